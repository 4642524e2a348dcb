"""Attempts the episodes of a shard, and writes each whole.

Imported where episodes are attempted only: planners take seconds to import.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from blueprint_pipeline.episode.record import EPISODE_NAME, STATES_NAME, EpisodeRecord, EpisodeUsage
from blueprint_pipeline.episode.states import build_states_table, write_states
from blueprint_pipeline.motion.scene import build_motion_scene
from blueprint_pipeline.origin import Origin
from blueprint_pipeline.price.usage import measure_usage, usage_of_unit
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.rollout.controller import Attempt, SkillController
from blueprint_pipeline.rollout.shard_work import EpisodeSummary, ShardWork, summarise
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.simulation.open_simulator import load_beside_twin
from blueprint_pipeline.simulation.platform_class import platform_class
from blueprint_pipeline.simulation.protocol import LoadedScene, Simulator
from blueprint_pipeline.skill.registry import load_skill
from blueprint_pipeline.skill.retracing import VERSION as RETRACING
from blueprint_pipeline.task.outcome import Outcome
from blueprint_pipeline.task.spec import EpisodeSpec
from blueprint_pipeline.twin.model import SceneModel, planning_copy
from blueprint_pipeline.workspace.checksums import FileDigest
from blueprint_pipeline.workspace.folder_commits import WrittenFolder, digest_folder


@dataclass(frozen=True, kw_only=True)
class Worker:
    """Everything that simulates episodes of one shard."""

    work: ShardWork
    twin: SceneModel
    simulator: Simulator
    loaded: LoadedScene
    controllers: Mapping[str, SkillController]
    """By the name of the arm that acts."""


def build_worker(work: ShardWork, twin: SceneModel, simulator: Simulator | None = None) -> Worker:
    """Everything that simulates episodes of one shard.

    Args:
        work: The shard.
        twin: The scene with its robot, compiled.
        simulator: What acts, open; MuJoCo on the very model of the twin if not given.

    Raises:
        TwinDiffers: The simulator addresses the scene otherwise than the twin.
    """
    if simulator is None:
        simulator = embedded = MujocoSimulator()
        loaded = embedded.use(twin)
    else:
        loaded = load_beside_twin(simulator, work.scene, work.robot, twin)
    embodiment, model = load_embodiment(work.robot.embodiment), planning_copy(twin.model)
    planners = {
        arm.name: build_motion_scene(model, embodiment, arm.name, fps=work.fps, cache_dir=work.cache_dir) for arm in embodiment.arms
    }
    demonstrations = {item.sha256: item for item in work.demonstrations}
    controllers = {
        name: SkillController(simulator=simulator, twin=twin, planner=planner, demonstrations=demonstrations)
        for name, planner in planners.items()
    }
    return Worker(work=work, twin=twin, simulator=simulator, loaded=loaded, controllers=controllers)


def write_attempt(worker: Worker, spec: EpisodeSpec) -> WrittenFolder[EpisodeSummary]:
    """Attempt one episode, and write its folder below the shard's output: states first, ``episode.json`` last."""
    folder = worker.work.output / spec.episode_id
    folder.mkdir(parents=True, exist_ok=True)
    with measure_usage() as measured:
        attempt, outcome = worker.controllers[spec.arm].attempt(spec)
        states = _write_states(folder / STATES_NAME, attempt, worker.twin)
    record = _build_record(worker, spec, attempt, outcome, states)
    usage = EpisodeUsage(
        episode_id=spec.episode_id,
        cpu_plan_s=round(attempt.cpu_plan_s, 6),
        cpu_simulate_s=round(attempt.cpu_simulate_s, 6),
        made=usage_of_unit(measured.usage, machine=worker.work.machine, side_by_side=worker.work.side_by_side),
    )
    _write_record(worker.work.usage / f"{spec.episode_id}.json", usage)
    _write_record(folder / EPISODE_NAME, record)
    return WrittenFolder(summary=summarise(record), files=digest_folder(folder))


def _write_record(path: Path, record: BaseModel) -> None:
    beside = path.with_name(f"{path.name}.part")
    beside.write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")
    beside.replace(path)


def _write_states(path: Path, attempt: Attempt, twin: SceneModel) -> FileDigest | None:
    rows = attempt.all_rows()
    if not rows:
        path.unlink(missing_ok=True)
        return None
    positions = twin.joint_positions(np.stack([row.state.object_poses for row in rows]))
    return write_states(path, build_states_table(rows, attempt.integration_state, positions))


def _build_record(worker: Worker, spec: EpisodeSpec, attempt: Attempt, outcome: Outcome, states: FileDigest | None) -> EpisodeRecord:
    work, twin = worker.work, worker.twin
    return EpisodeRecord(
        scene_id=work.scene_id,
        job_id=work.job_id,
        shard_index=work.shard_index,
        episode_id=spec.episode_id,
        spec=spec,
        robot=work.robot,
        fps=work.fps,
        frames=len(attempt.rows),
        duration_s=len(attempt.rows) / work.fps,
        object_ids=twin.object_ids,
        joint_columns=tuple(joint.column for joint in twin.parts.values()),
        phases=tuple(attempt.phases),
        recoveries=tuple(attempt.recoveries),
        provoked=attempt.provoked,
        outcome=outcome,
        simulator=worker.loaded.info,
        capabilities=worker.simulator.capabilities(),
        controller=_name_controller(spec),
        platform=platform_class() if isinstance(worker.simulator, MujocoSimulator) else None,
        model_sha256=worker.loaded.model_sha256,
        states=states,
        origins={"states": Origin.SIMULATED, "ctrl": Origin.SIMULATED, "instruction": Origin.HEURISTIC, "outcome": Origin.SIMULATED},
    )


def _name_controller(spec: EpisodeSpec) -> str:
    """What planned the motion: the skill, or what repeats demonstrations of it."""
    version = load_skill(spec.task.task_type).version
    return version if spec.derived_from is None else f"{RETRACING} of {version}"
