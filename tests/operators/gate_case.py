"""A gate report as ``gate_episodes`` writes it: two kept, one rejected, and as many borderline as asked for."""

from blueprint_pipeline.origin import Origin
from blueprint_pipeline.quality.verdicts import EpisodeVerdict, GateResult
from blueprint_pipeline.workspace.storage import Workspace
from tests.quality.gate_reports import write_report


def verdict(episode_id, kind):
    gate = GateResult(
        gate="penetration",
        tier="core",
        passed=kind == "kept",
        borderline=kind == "borderline",
        value=0.0031,
        limit=0.003,
        unit="m",
        origin=Origin.SIMULATED,
        message="can in table at 2.1 s",
    )
    return EpisodeVerdict(episode_id=episode_id, shard_index=0, verdict=kind, gates=(gate,), metrics={})


def write_gates(settings, scene_id, borderline, job_id="job-1"):
    """Write ``gates.json`` of a scene; returns the ids of its borderline episodes."""
    waiting = [f"ep_{index:02d}" for index in range(10, 10 + borderline)]
    kinds = [("ep_00", "kept"), ("ep_01", "kept"), ("ep_02", "rejected"), *((episode, "borderline") for episode in waiting)]
    scene = Workspace(settings.workspace).scene(scene_id)
    write_report(scene.write_bytes, "verdicts", [verdict(name, kind) for name, kind in kinds], scene_id=scene_id, job_id=job_id)
    return waiting
