"""A scene with episodes of which two failed: a collision and a goal that was missed, drawn as failures."""

import json
import shutil
from pathlib import Path

from upath import UPath

from blueprint_pipeline.episode.record import EpisodeRecord, recording_path, render_path
from blueprint_pipeline.origin import Origin
from blueprint_pipeline.quality.verdicts import EpisodeVerdict, GateResult
from blueprint_pipeline.task.outcome import PredicateCheck
from blueprint_pipeline.workspace.storage import SceneFolder
from tests.dataset.conftest import write_manifest, write_scene
from tests.quality.gate_reports import write_report

HEAD = {"scene_id": "tabletop", "job_id": "job-0123456789ab"}
COLLIDED, MISSED = "ep_0010", "ep_0011"


def write_failures(root: Path, *, sold: bool = True) -> SceneFolder:
    """Ten kept episodes and two failures, which are drawn and pass the gates on their pictures if they are to be sold."""
    scene = SceneFolder(UPath(root / "scenes" / "tabletop"), "tabletop", root / "cache")
    write_scene(scene, [60 + index for index in range(12)])
    write_manifest(scene, bowl="CC-BY-4.0", lemon="MIT")
    _miss(scene)
    facts = {"tier": "core", "unit": "frames", "origin": Origin.MEASURED, "limit": 0.0}
    fine = GateResult(gate="certificate", passed=True, value=0.0, message="same", when_failed="unusable", **facts)
    hit = GateResult(
        gate="unexplained_contacts",
        passed=False,
        value=3.0,
        message="bowl|robot/hand in 3 frames from 20",
        when_failed="failure",
        frame=20,
        **facts,
    )
    away = hit.model_copy(update={"gate": "outcome", "message": "predicate: not_in_region: in_region: -0.02 m, at least 0", "frame": None})
    names = [f"ep_{index:04d}" for index in range(12)]
    failed = {COLLIDED: hit, MISSED: away}

    def judge(gates, verdicts, episode_ids):
        return tuple(
            EpisodeVerdict(episode_id=name, shard_index=names.index(name) // 4, verdict=verdicts(name), gates=gates(name), metrics={})
            for name in episode_ids
        )

    simulated = judge(lambda name: (failed.get(name, fine),), lambda name: "rejected" if name in failed else "kept", names)
    write_report(scene.write_bytes, "verdicts", simulated, **HEAD)
    write_report(scene.write_bytes, "render_verdicts", judge(lambda _: (fine,), lambda _: "kept", names[:10]), **HEAD)
    drawn = judge(lambda _: (fine,), lambda _: "kept" if sold else "rejected", failed)
    write_report(scene.write_bytes, "failure_verdicts", drawn, **HEAD)
    for name in failed:
        folders = [Path(scene.root.path) / render_path(2, name, selection) for selection in ("kept", "failures")]
        folders[1].parent.mkdir(parents=True, exist_ok=True)
        shutil.move(*folders)
    return scene


def _miss(scene: SceneFolder) -> None:
    path = Path(scene.root.path) / recording_path(2, MISSED) / "episode.json"
    record = EpisodeRecord.model_validate_json(path.read_text())
    check = PredicateCheck(name="in_region", held=False, value=-0.02, limit=0.0, direction="at_least", unit="m")
    told = {"success": False, "failure_stage": "predicate", "failure_code": "not_in_region", "failure_reason": "2 cm beside its goal"}
    outcome = record.outcome.model_copy(update={**told, "predicate": (check,)})
    path.write_text(record.model_copy(update={"outcome": outcome}).model_dump_json())


def load_lines(path: Path) -> list[dict]:
    """The lines of a sidecar."""
    return [json.loads(line) for line in path.read_text().splitlines()]
