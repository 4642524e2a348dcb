"""The tasks of a run in order: stages, and what people have to do with them. For who shows a run, and needs no Airflow for that."""

from blueprint_pipeline.stage.flow import GROUPS, stages_of

ASKED_BEFORE = {"record_approval": "approve_episodes"}
"""Stage to the task before it that asks a person."""
ANNOUNCED_AFTER = {"notify_lab": "announce_delivery"}
"""Stage to the task after it that tells people."""


def task_ids() -> dict[str, tuple[str, ...]]:
    """All tasks between the first and the last of a run, by group, in order."""
    return {group: tuple(task for row in stages_of(group) for task in _tasks_of(row.name)) for group in GROUPS}


def _tasks_of(stage: str) -> list[str]:
    return [*filter(None, [ASKED_BEFORE.get(stage), stage, ANNOUNCED_AFTER.get(stage)])]
