"""Episodes whose phases are those of a whole pick and place, for the format that cuts them into subtasks."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from blueprint_pipeline.dataset.layout import DATASET_PATH
from blueprint_pipeline.dataset.stages import WRITE_DATASET, WriteDatasetRequest
from blueprint_pipeline.episode.record import STATE_COLUMNS, render_path
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.skill.placing import ALL_PHASES
from blueprint_pipeline.workspace.checksums import digest_file
from blueprint_pipeline.workspace.storage import SceneFolder
from tests.dataset.conftest import stage_context

REQUEST = WriteDatasetRequest(scene_id="tabletop", more_formats=("mimic",))
LIFTED = ALL_PHASES.index("transport")
"""So many phases belong to the grasp."""


def phase_ends(frames: int) -> list[int]:
    """Where the phases of an episode of the case end."""
    return np.linspace(0, frames, len(ALL_PHASES) + 1).round().astype(int)[1:].tolist()


def grasp_end(frames: int) -> int:
    """Where its first subtask ends."""
    return phase_ends(frames)[LIFTED - 1]


def copy_with_phases(scene: SceneFolder, root: Path) -> SceneFolder:
    """A copy of a scene in which each record has all phases, and commands that a robot could follow; it may be damaged."""
    copied = SceneFolder(UPath(root / "scenes" / "tabletop"), "tabletop", root / "cache")
    shutil.copytree(scene.root.path, copied.root.path)
    for path in Path(copied.root.path).rglob("episode.json"):
        record = json.loads(path.read_text())
        ends = phase_ends(record["frames"])
        record["phases"] = [
            {"name": name, "start_frame": start, "end_frame": end} for name, start, end in zip(ALL_PHASES, [0, *ends], ends, strict=False)
        ]
        record["states"] = _keep_limits(path.with_name("states.parquet"))
        path.write_text(json.dumps(record))
        certificate = Path(copied.root.path) / render_path(record["shard_index"], record["episode_id"]) / "certificate.json"
        certificate.write_text(json.dumps(json.loads(certificate.read_text()) | {"states_sha256": record["states"]["sha256"]}))
    return copied


def _keep_limits(path: Path) -> dict[str, object]:
    """Bring the joints' commands of a recording into their ranges; returns its digest."""
    table = pq.read_table(path)
    joints = load_embodiment("franka_panda").arms[0].joints
    commands = np.clip(table["robot_command"].to_pylist(), [joint.lower_rad for joint in joints], [joint.upper_rad for joint in joints])
    column = pa.array(list(commands), STATE_COLUMNS["robot_command"])
    pq.write_table(table.set_column(table.column_names.index("robot_command"), "robot_command", column), path)
    return digest_file(path).model_dump(mode="json")


def write_mimic(scene: SceneFolder, staging: Path) -> Path:
    """Folder of the format, below a staging folder, beside the usual ones."""
    WRITE_DATASET.run(REQUEST, stage_context(scene, staging))
    return staging / DATASET_PATH / "mimic"
