"""Which parameters go into which stage's request: the one list for the DAG, and for batches of a big night."""

from collections.abc import Callable

_OF_STAGE: dict[str, dict[str, str]] = {
    "ingest_scene": {"source": "source"},
    "estimate_physics": {},
    "process_meshes": {},
    "assemble_scene": {},
    "settle_scene": {"duration_s": "settle_s"},
    "plan_tasks": {name: name for name in ("robot", "episodes", "seed", "shard_size", "fps", "width", "height")},
    "simulate_shard": {},
    "import_episodes": {},
    "gate_episodes": {"tier": "tier"},
    "record_approval": {},
    "render_shard": {"depth": "depth", "segmentation": "segmentation"},
    "gate_renders": {"tier": "tier"},
    "write_dataset": {},
    "certify_dataset": {},
    "price_run": {},
    "package_bundle": {"lab": "lab"},
    "deliver_bundle": {"lab": "lab"},
    "notify_lab": {"lab": "lab"},
}
"""Stage, in order of the flow, to the fields of its request and the parameters that they take."""

SHARDED = frozenset({"simulate_shard", "render_shard"})
"""Stages that run once a shard of the plan."""


def stage_names() -> list[str]:
    """All stages, in order of the flow."""
    return list(_OF_STAGE)


def build_request(stage: str, value_of: Callable[[str], object]) -> dict[str, object]:
    """The request of a stage, its values by parameter: templates for the DAG, the values themselves for a batch."""
    return {"scene_id": value_of("scene_id"), **{field: value_of(name) for field, name in _OF_STAGE[stage].items()}}


def as_template(name: str) -> str:
    """The Jinja expression of a parameter."""
    return f"{{{{ params.{name} }}}}"
