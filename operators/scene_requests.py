"""Which parameters and connections go into which stage's request: the one list for the DAG, and for batches of a big night."""

from collections.abc import Callable

_OF_STAGE: dict[str, dict[str, str]] = {
    "ingest_scene": {"source": "source"},
    "estimate_physics": {},
    "process_meshes": {},
    "assemble_scene": {},
    "settle_scene": {"duration_s": "settle_s"},
    "plan_tasks": {name: name for name in ("robot", "skills", "episodes", "seed", "shard_size", "fps", "width", "height")},
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

_LISTS = frozenset({"skills"})
"""Parameters that are lists."""

SHARDED = frozenset({"simulate_shard", "render_shard"})
"""Stages that run once a shard of the plan."""


_CONNECTED: dict[str, dict[str, str]] = {"deliver_bundle": {"bucket": "delivery_url"}}
"""Stage to the fields of its request that the lab's connection has, where it has them."""

_SECRETS: dict[str, tuple[tuple[str, str], ...]] = {
    "notify_lab": (("BPP__DELIVERY__WEBHOOK_URL", "host"), ("BPP__DELIVERY__WEBHOOK_SECRET", "password"))
}
"""Stage to the variables of its process that the lab's connection has."""


def connected_fields(stage: str, lab: str) -> dict[str, str]:
    """Fields of a stage's request as ``connection_id.field``. A lab is an Airflow connection of type http: ``lab_<name>``."""
    return {name: f"lab_{lab}.{field}" for name, field in _CONNECTED.get(stage, {}).items()}


def secret_variables(stage: str, lab: str) -> dict[str, str]:
    """Variables of a stage's process as ``connection_id.field``."""
    return {name: f"lab_{lab}.{field}" for name, field in _SECRETS.get(stage, ())}


def stage_names() -> list[str]:
    """All stages, in order of the flow."""
    return list(_OF_STAGE)


def build_request(stage: str, value_of: Callable[[str], object]) -> dict[str, object]:
    """The request of a stage, its values by parameter: templates for the DAG, the values themselves for a batch."""
    return {"scene_id": value_of("scene_id"), **{field: value_of(name) for field, name in _OF_STAGE[stage].items()}}


def as_template(name: str) -> str:
    """The Jinja expression of a parameter; lists become JSON."""
    return f"{{{{ params.{name} | tojson }}}}" if name in _LISTS else f"{{{{ params.{name} }}}}"
