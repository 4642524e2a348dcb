"""The k-of-n rule: recorded setpoints are executed n times from the recorded start, by a simulator that promises no same bits.

An execution counts if the task's own predicate holds of what was observed in it. The episode is certified if at least k of n count, and
the target of each that counts comes to rest within a bound of where it did in the recording. No more is said of it than that: the motion
does the task again, and the target ends so near; never that the states are the same.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from blueprint_pipeline.episode.record import EpisodeRecord, Execution, KOfN, KOfNEvidence
from blueprint_pipeline.episode.states import Motion, load_poses
from blueprint_pipeline.errors import BlueprintError
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import vector3
from blueprint_pipeline.render.errors import NotReplayed
from blueprint_pipeline.render.replay import ReplayVerdict, load_recorded_motion, refuse_replay
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.rollout.controller import observe_motion
from blueprint_pipeline.simulation.errors import SimulationDiverged
from blueprint_pipeline.simulation.protocol import LoadedScene, SimulationState, Simulator, Track
from blueprint_pipeline.skill.registry import load_skill
from blueprint_pipeline.task.outcome import describe_missed


@dataclass(frozen=True)
class _Run:
    execution: Execution
    first_difference: int | None
    max_abs_qpos_difference: float | None


def execute_episode(simulator: Simulator, loaded: LoadedScene, record: EpisodeRecord, states: Path, rule: KOfN) -> ReplayVerdict:
    """Execute an episode as often as the rule says, and judge it.

    Args:
        simulator: With the scene of the episode loaded.
        loaded: What it loaded.
        record: The episode.
        states: Its ``states.parquet``.
        rule: How often, how many must count, and how near the target must end.
    """
    try:
        motion = load_recorded_motion(simulator, loaded, record, states)
        ends_m = load_poses(states).object_poses[-1, :, :3]
    except BlueprintError as error:
        return refuse_replay("k_of_n", error)
    end_m = ends_m[record.object_ids.index(record.spec.task.target_object)]
    runs = [_execute(simulator, record, motion, end_m) for _ in range(rule.attempts)]
    evidence = KOfNEvidence(rule=rule, executions=tuple(run.execution for run in runs))
    missed = judge_evidence(evidence)
    return ReplayVerdict(
        rule="k_of_n",
        replayed=missed is None,
        first_difference_frame=min((run.first_difference for run in runs if run.first_difference is not None), default=None),
        max_abs_qpos_difference=max((run.max_abs_qpos_difference for run in runs if run.max_abs_qpos_difference is not None), default=None),
        refusal=None if missed is None else NotReplayed(record.episode_id, missed),
        k_of_n=evidence,
    )


def judge_evidence(evidence: KOfNEvidence) -> str | None:
    """What the rule holds against an episode; ``None``: nothing."""
    rule, held, spread_m = evidence.rule, evidence.held, evidence.spread_m
    if held < rule.needed:
        reasons = sorted({item.failure for item in evidence.executions if item.failure})
        return f"{held} of {len(evidence.executions)} executions did the task, {rule.needed} must ({'; '.join(reasons)})"
    if spread_m is None or spread_m > rule.spread_m:
        return f"the target ended up to {spread_m} m from where it did in the recording, {rule.spread_m} m are allowed"
    return None


def _execute(simulator: Simulator, record: EpisodeRecord, motion: Motion, end_m: FloatArray) -> _Run:
    start = simulator.restore_state(motion.integration_state)
    try:
        track = simulator.track(motion.ctrl[: motion.frames])
    except SimulationDiverged as error:
        return _Run(Execution(held=False, failure=error.code, target_end_m=None, distance_m=None), None, None)
    states = [start, *track.states]
    differences = np.abs(np.stack([state.qpos for state in states]) - motion.qpos).max(axis=1)
    differing = np.flatnonzero(differences)
    return _Run(_judge(record, states, track, end_m), int(differing[0]) if len(differing) else None, float(differences.max()))


def _judge(record: EpisodeRecord, states: list[SimulationState], track: Track, end_m: FloatArray) -> Execution:
    target = record.object_ids.index(record.spec.task.target_object)
    arm = load_embodiment(record.robot.embodiment).arm_index(record.spec.arm)
    motion = observe_motion(record.spec.task, record.object_ids, states, [*track.contacts, ()], arm=arm, fps=record.fps)
    target_end_m = states[-1].object_poses[target, :3]
    checks = load_skill(record.spec.task.task_type).check(record.spec.task, motion)
    missed = [check for check in checks if not check.held]
    return Execution(
        held=not missed,
        failure=describe_missed(missed) or None,
        target_end_m=vector3(target_end_m),
        distance_m=float(np.linalg.norm(target_end_m - end_m)),
    )
