"""The flow: every stage by name, in the order in which a scene goes through them.

Stages are looked up lazily, so that naming one does not import a simulator.
"""

from importlib import import_module
from typing import Any

from blueprint.errors import InputError
from blueprint.stage import Stage

FLOW: dict[str, str] = {
    "ingest_scene": "blueprint.scene.stages",
    "estimate_physics": "blueprint.scene.stages",
    "process_meshes": "blueprint.scene.stages",
    "assemble_scene": "blueprint.scene.stages",
    "settle_scene": "blueprint.scene.stages",
    "plan_tasks": "blueprint.simulation.stages",
    "simulate_shard": "blueprint.simulation.stages",
    "import_episodes": "blueprint.episode.stages",
    "gate_episodes": "blueprint.quality.stages",
    "record_approval": "blueprint.quality.stages",
    "render_shard": "blueprint.episode.stages",
    "gate_renders": "blueprint.quality.stages",
    "write_dataset": "blueprint.dataset.stages",
    "certify_dataset": "blueprint.dataset.stages",
    "price_run": "blueprint.cost.stages",
    "package_bundle": "blueprint.delivery.stages",
    "deliver_bundle": "blueprint.delivery.stages",
    "notify_lab": "blueprint.delivery.stages",
}
"""Stage name to the module that defines it; the module holds the stage under its name in capitals."""


class UnknownStage(InputError):
    """No stage has this name."""

    code = "flow.unknown_stage"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no stage '{name}'. Stages, in order: {', '.join(FLOW)}.", name=name)


def load_stage(name: str) -> Stage[Any, Any]:
    """Import and return a stage.

    Raises:
        UnknownStage: No stage has this name.
    """
    if name not in FLOW:
        raise UnknownStage(name)
    stage: Stage[Any, Any] = getattr(import_module(FLOW[name]), name.upper())
    return stage
