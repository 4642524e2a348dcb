"""One attempt at a task: plan a step, act, look, plan the next from what is seen, settle, judge.

Plans are made in the MJCF twin; whatever simulator keeps the protocol acts. Failures are results, labelled with the
stage and the reason.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from blueprint_pipeline.episode.states import StateRow
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.kit.predicates import ObservedMotion
from blueprint_pipeline.motion.errors import PlanningFailed
from blueprint_pipeline.motion.plan import MotionPlan
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.simulation.errors import SimulationDiverged
from blueprint_pipeline.simulation.protocol import BodyContact, RecordingSimulator, SimulationState, Simulator
from blueprint_pipeline.skill.conditions import observe
from blueprint_pipeline.skill.contract import Skill, Steps
from blueprint_pipeline.skill.registry import load_skill
from blueprint_pipeline.skill.retracing import retrace
from blueprint_pipeline.task.demonstration import SourceDemonstration
from blueprint_pipeline.task.mishap import Provoked
from blueprint_pipeline.task.outcome import Outcome, Phase, Recovery, describe_missed
from blueprint_pipeline.task.spec import EpisodeSpec
from blueprint_pipeline.task.task import Task
from blueprint_pipeline.twin.model import SceneModel

SETTLE_S = 0.3
"""How long the robot waits where its plan ended before the outcome is judged."""


@dataclass(kw_only=True)
class Attempt:
    """What one attempt gave."""

    integration_state: FloatArray
    """Of row 0."""
    last: SimulationState
    """The state after the last frame."""
    rows: list[StateRow] = field(default_factory=list)
    """T rows, or none where nothing moved."""
    phases: list[Phase] = field(default_factory=list)
    recoveries: list[Recovery] = field(default_factory=list)
    provoked: Provoked | None = None
    try_frame: int = 0
    """Where the present try began."""
    cpu_plan_s: float = 0.0
    cpu_simulate_s: float = 0.0

    def all_rows(self) -> list[StateRow]:
        """T + 1 rows: the last is the state after the last frame, and repeats its setpoint; none where nothing moved."""
        if not self.rows:
            return []
        final = self.rows[-1]
        return [*self.rows, replace(final, state=self.last, contacts=())]


@dataclass(kw_only=True)
class SkillController:
    """Takes an episode from its specification to its outcome, whatever its skill.

    Args:
        simulator: With the scene loaded.
        twin: The scene's compiled twin.
        planner: Plans motions in that twin.
    """

    simulator: Simulator
    twin: SceneModel
    planner: MotionScene
    demonstrations: Mapping[str, SourceDemonstration] = field(default_factory=dict)
    """Those that episodes may be derived from, by their sha256."""

    def attempt(self, spec: EpisodeSpec) -> tuple[Attempt, Outcome]:
        """Try the task once; the same specification gives the same result, bit by bit."""
        skill = load_skill(spec.task.task_type)
        started = time.process_time()
        self.simulator.vary(spec.variation)
        state = self.simulator.reset(spec.object_poses, spec.robot_qpos)
        attempt = Attempt(integration_state=self.simulator.save_state(), last=state)
        attempt.cpu_simulate_s = time.process_time() - started
        with self._recorded(attempt, spec.episode_id):
            try:
                self._perform(skill, attempt, spec)
            except PlanningFailed as failure:
                return attempt, _failed(failure.stage, failure.failure_code, failure.reason)
            except SimulationDiverged as failure:
                return attempt, _failed("execute", failure.code, failure.message)
        return attempt, self._judge(skill, attempt, spec)

    @contextmanager
    def _recorded(self, attempt: Attempt, name: str) -> Iterator[None]:
        """A simulator that records more than it tells completes the attempt's rows by what it recorded."""
        if not isinstance(self.simulator, RecordingSimulator):
            yield
            return
        self.simulator.begin_recording(name)
        yield
        track = self.simulator.end_recording([row.state for row in attempt.all_rows()])
        if track is not None:
            rows = zip(attempt.rows, track.states[:-1], track.contacts, strict=True)
            attempt.rows = [replace(row, state=state, contacts=contacts) for row, state, contacts in rows]
            attempt.last = track.states[-1]

    def _perform(self, skill: Skill[Any], attempt: Attempt, spec: EpisodeSpec) -> None:
        """Plan and execute step by step, then wait."""
        steps = self._plan(skill, self._twin_qpos(attempt.last), spec)
        observed: FloatArray | None = None
        while True:
            started = time.process_time()
            try:
                plan = next(steps) if observed is None else steps.send(observed)
            except StopIteration:
                break
            finally:
                attempt.cpu_plan_s += time.process_time() - started
            self._act(attempt, plan)
            observed = self._twin_qpos(attempt.last)
        last = attempt.phases[-1]
        wait = np.tile(attempt.rows[-1].setpoint, (round(SETTLE_S * self.twin.fps), 1))
        self._execute(attempt, wait, [last.name] * len(wait))
        attempt.phases[-1] = last.model_copy(update={"end_frame": len(attempt.rows)})

    def _plan(self, skill: Skill[Any], qpos: FloatArray, spec: EpisodeSpec) -> Steps:
        """Steps of the skill's own planner, with what shall go wrong, or those of the demonstration that the episode is derived from."""
        if spec.derived_from is None and spec.mishap is not None:
            return skill.plan_with_mishap(self.planner, qpos, spec.task, spec.mishap, seed=spec.seed)
        if spec.derived_from is None:
            return skill.plan(self.planner, qpos, spec.task, seed=spec.seed)
        demonstration = self.demonstrations[spec.derived_from.demonstration_sha256]
        return retrace(self.planner, qpos, spec.task, skill, demonstration, seed=spec.seed)

    def _act(self, attempt: Attempt, plan: MotionPlan) -> None:
        """Execute a plan, and note its phases and what was seen before it."""
        offset = len(attempt.rows)
        _note_tries(attempt, plan, offset)
        names = [""] * len(plan.setpoints)
        for phase in plan.phases:
            names[phase.start_frame : phase.end_frame] = [phase.name] * (phase.end_frame - phase.start_frame)
        self._execute(attempt, plan.setpoints, names)
        for phase in plan.phases:
            attempt.phases.append(Phase(name=phase.name, start_frame=offset + phase.start_frame, end_frame=offset + phase.end_frame))

    def _execute(self, attempt: Attempt, setpoints: FloatArray, names: list[str]) -> None:
        started = time.process_time()
        track = self.simulator.track(setpoints)
        for setpoint, name, state, contacts in zip(setpoints, names, track.states, track.contacts, strict=True):
            row = StateRow(
                state=attempt.last,
                setpoint=setpoint,
                robot_command=self.twin.robot.joint_commands(setpoint),
                gripper_command_m=self.twin.robot.gripper_commands_m(setpoint),
                phase=name,
                contacts=contacts,
            )
            attempt.rows.append(row)
            attempt.last = state
        attempt.cpu_simulate_s += time.process_time() - started

    def _twin_qpos(self, state: SimulationState) -> FloatArray:
        """The twin's configuration for an observed state, whatever engine observed it, (nq,)."""
        return self.twin.qpos_of(state.robot_qpos, state.gripper_width_m, state.object_poses)

    def _judge(self, skill: Skill[Any], attempt: Attempt, spec: EpisodeSpec) -> Outcome:
        rows = attempt.all_rows()
        motion = observe_motion(
            spec.task,
            self.twin.object_ids,
            [row.state for row in rows],
            [row.contacts for row in rows],
            arm=self.planner.acting.layout.index,
            fps=self.twin.fps,
        )
        checks = skill.check(spec.task, motion)
        missed = [check for check in checks if not check.held]
        if not missed:
            return Outcome(success=True, failure_stage=None, failure_code=None, failure_reason=None, predicate=checks)
        return Outcome(
            success=False,
            failure_stage="predicate",
            failure_code=f"not_{missed[0].name}",
            failure_reason=describe_missed(missed),
            predicate=checks,
        )


def observe_motion(
    task: Task,
    object_ids: Sequence[str],
    states: Sequence[SimulationState],
    contacts: Sequence[tuple[BodyContact, ...]],
    *,
    arm: int,
    fps: int,
) -> ObservedMotion:
    """What the success predicate judges.

    Args:
        task: What was to be done.
        object_ids: Objects, in the order of the states' poses.
        states: T + 1 states.
        contacts: T + 1 entries: what touched during the frame after each state; the last is empty.
        arm: Index of the arm that acts.
        fps: Frames a second.
    """
    return observe(
        task,
        object_ids,
        np.stack([state.object_poses for state in states]),
        gripper_width_m=np.array([state.gripper_width_m[arm] for state in states]),
        contacts=[tuple(contact.bodies for contact in frame) for frame in contacts],
        fps=fps,
    )


def _note_tries(attempt: Attempt, plan: MotionPlan, offset: int) -> None:
    """Note that a try was seen to fail, that one begins, and what goes wrong in it on purpose; the plan is executed from a frame on."""
    if plan.failed is not None:
        attempt.recoveries.append(Recovery(failed_from_frame=attempt.try_frame, seen_frame=offset, again_frame=None, seen=plan.failed))
    if plan.begins_try:
        attempt.try_frame = offset
        if attempt.recoveries:
            attempt.recoveries[-1] = attempt.recoveries[-1].model_copy(update={"again_frame": offset})
    if plan.provoked is not None:
        attempt.provoked = plan.provoked.model_copy(update={"from_frame": offset + plan.provoked.from_frame})


def _failed(stage: str, code: str, reason: str) -> Outcome:
    return Outcome(success=False, failure_stage=stage, failure_code=code, failure_reason=reason, predicate=())
