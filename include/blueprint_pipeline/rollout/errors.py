"""What can go wrong when a shard is simulated."""

from blueprint_pipeline.errors import InputError, TransientError


class NothingPlanned(InputError):
    """A simulator shall be proved on a scene that has no plan."""

    code = "simulation.nothing_planned"

    def __init__(self, scene_id: str, plan: str) -> None:
        super().__init__(
            f"Scene {scene_id} has no {plan}, so there is no episode to attempt. Run plan_tasks on it first.", scene_id=scene_id, plan=plan
        )


class WorkerDied(TransientError):
    """A worker process ended without an answer (out of memory, or a crash in native code)."""

    code = "simulation.worker_died"

    def __init__(self, units: list[str], reasons: list[str], finished: int) -> None:
        super().__init__(
            f"{len(units)} worker process(es) died while working on {', '.join(units)} ({'; '.join(sorted(set(reasons)))}). "
            f"The other {finished} are finished and kept: run the stage again to redo these. "
            "If the same ones die again, look at the machine's memory, or lower BPP__COMPUTE__WORKERS.",
            units=units,
            reasons=reasons,
            finished=finished,
        )
