"""Read a job's plan and its recorded episodes from the scene's folder."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from blueprint_pipeline.episode.arrays import EpisodeArrays, check_table, parse_arrays
from blueprint_pipeline.episode.errors import NothingAudited, RecordingUnreadable
from blueprint_pipeline.episode.record import EpisodeRecord
from blueprint_pipeline.task.plan import PLAN_PATH, JobPlan, load_plan
from blueprint_pipeline.task.spec import EpisodeSpec
from blueprint_pipeline.workspace.storage import SceneFolder


def load_audited_plan(scene: SceneFolder, stage: str) -> JobPlan:
    """The plan, for a stage that looks at every episode of it.

    Raises:
        NothingAudited: The plan has no episode.
    """
    plan = load_plan(scene)
    if not plan.episodes:
        raise NothingAudited(scene.scene_id, stage, f"{PLAN_PATH} has no episode")
    return plan


def planned_episodes(plan: JobPlan) -> list[tuple[int, EpisodeSpec]]:
    """``(shard_index, spec)`` of every episode of a plan, in the plan's order."""
    shard_of = {index: shard.shard_index for shard in plan.shards for index in shard.episode_indices}
    return [(shard_of[spec.episode_index], spec) for spec in plan.episodes]


def load_record(folder: Path) -> EpisodeRecord:
    """Read ``episode.json``.

    Raises:
        RecordingUnreadable: It is missing or not in its format.
    """
    path = folder / "episode.json"
    try:
        return EpisodeRecord.model_validate_json(path.read_bytes())
    except OSError as error:
        raise RecordingUnreadable(f"{folder.name}/episode.json", [f"it cannot be read ({error.strerror})"]) from error
    except ValidationError as error:
        findings = [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()]
        raise RecordingUnreadable(f"{folder.name}/episode.json", findings) from error


def check_states(path: Path, record: EpisodeRecord) -> tuple[EpisodeArrays | None, tuple[str, ...]]:
    """The arrays of ``states.parquet``, or the findings against it."""
    try:
        table = pq.read_table(pa.BufferReader(path.read_bytes()))  # of the file itself, its end would be read twice
    except (pa.ArrowInvalid, OSError) as error:
        return None, (f"no readable parquet file: {error}",)
    sizes = {"frames": record.frames, "n_objects": len(record.object_ids), "n_parts": len(record.joint_columns)}
    findings = check_table(table, **sizes, unmeasured=record.unmeasured_columns)
    return (None, tuple(findings)) if findings else (parse_arrays(table), ())
