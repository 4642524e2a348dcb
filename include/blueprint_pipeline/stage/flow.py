"""The flow: every stage by name, in the order in which a scene goes through them.

Stages are looked up lazily, so that naming one does not import a simulator.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from blueprint_pipeline.errors import InputError
from blueprint_pipeline.stage.contract import Stage

FLOW: dict[str, str] = {
    "ingest_scene": "blueprint_pipeline.scene.stages",
    "estimate_physics": "blueprint_pipeline.scene.stages",
    "process_meshes": "blueprint_pipeline.scene.stages",
    "assemble_scene": "blueprint_pipeline.scene.stages",
    "settle_scene": "blueprint_pipeline.scene.stages",
    "plan_tasks": "blueprint_pipeline.job.stages",
    "simulate_shard": "blueprint_pipeline.rollout.stages",
    "import_episodes": "blueprint_pipeline.episode_import.import_episodes",
    "gate_episodes": "blueprint_pipeline.quality.stages",
    "record_approval": "blueprint_pipeline.quality.stages",
    "render_shard": "blueprint_pipeline.render.stages",
    "gate_renders": "blueprint_pipeline.quality.stages",
    "write_dataset": "blueprint_pipeline.dataset.stages",
    "certify_dataset": "blueprint_pipeline.dataset.stages",
    "price_run": "blueprint_pipeline.cost.stages",
    "package_bundle": "blueprint_pipeline.delivery.stages",
    "deliver_bundle": "blueprint_pipeline.delivery.stages",
    "notify_lab": "blueprint_pipeline.delivery.stages",
}
"""Stage name to the module that defines it; the module holds the stage under its name in capitals."""


class UnknownStage(InputError):
    """No stage has this name."""

    code = "flow.unknown_stage"
    template = "There is no stage '{name}'. Stages, in order: {known}."

    name: str
    known: Sequence[str] = tuple(FLOW)


def load_stage(name: str) -> Stage[Any, Any]:
    """Import and return a stage.

    Raises:
        UnknownStage: No stage has this name.
    """
    if name not in FLOW:
        raise UnknownStage(name)
    stage: Stage[Any, Any] = getattr(import_module(FLOW[name]), name.upper())
    return stage
