"""What can go wrong when a shard is simulated."""

from collections.abc import Sequence

from blueprint_pipeline.errors import InputError, TransientError


class NothingPlanned(InputError):
    """A simulator shall be proved on a scene that has no plan."""

    code = "simulation.nothing_planned"
    template = "Scene {scene_id} has no {plan}, so there is no episode to attempt. Run plan_tasks on it first."

    scene_id: str
    plan: str


class WorkerDied(TransientError):
    """A worker process ended without an answer (out of memory, or a crash in native code)."""

    code = "simulation.worker_died"
    template = (
        "Worker processes died while working on {units} ({reasons:; }). The other {finished} units are finished and kept: run "
        "the stage again to redo these. If the same ones die again, check the machine's memory, or lower BPP__COMPUTE__WORKERS."
    )

    units: Sequence[str]
    reasons: Sequence[str]
    finished: int
