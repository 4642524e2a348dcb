"""``starts.json`` of a replay kit: from where its tasks begin, and the conditions of their success, as data."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from blueprint_pipeline.dataset.provenance import load_integration_state
from blueprint_pipeline.episode.record import EpisodeRecord
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.skill.registry import load_skill
from blueprint_pipeline.task.spec import EpisodeSpec
from blueprint_pipeline.twin.model import SceneModel


def dump_starts(delivered: Sequence[tuple[EpisodeRecord, Path]], held_out: Sequence[EpisodeSpec], scene: SceneModel) -> bytes:
    """The file's bytes.

    Args:
        delivered: Record and ``states.parquet`` of every delivered episode.
        held_out: Starts that no episode has.
        scene: The scene with its robot, compiled.
    """
    simulator = MujocoSimulator()
    simulator.use(scene)
    rows = [describe_start(record.spec, load_integration_state(states, record.episode_id), delivered=True) for record, states in delivered]
    for spec in held_out:
        simulator.vary(spec.variation)
        simulator.reset(spec.object_poses, spec.robot_qpos)
        rows.append(describe_start(spec, simulator.save_state().tolist(), delivered=False))
    return json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def describe_start(spec: EpisodeSpec, integration_state: list[float], *, delivered: bool) -> Mapping[str, Any]:
    """One row: what :class:`blueprint_pipeline.kit.starts.Start` reads."""
    return {
        "start_id": spec.episode_id,
        "delivered": delivered,
        "task": spec.task.model_dump(mode="json"),
        "arm": spec.arm,
        "variation": spec.variation.model_dump(mode="json"),
        "conditions": [condition.as_json() for condition in load_skill(spec.task.task_type).conditions(spec.task)],
        "integration_state": integration_state,
    }
