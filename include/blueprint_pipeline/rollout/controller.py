"""One attempt at a pick-and-place: plan, act, look, plan again from what is seen, act, settle, judge.

Plans are made in the MJCF twin; whatever simulator keeps the protocol acts. Failures are results, labelled with the
stage and the reason.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from blueprint_pipeline.episode.states import Row
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.motion.errors import PlanningFailed
from blueprint_pipeline.motion.plan import MotionPlan
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.simulation.errors import SimulationDiverged
from blueprint_pipeline.simulation.protocol import BodyContact, SimulationState, Simulator
from blueprint_pipeline.skill.pick_place import plan_pick, plan_place
from blueprint_pipeline.skill.predicate import ObservedMotion, check_pick_place
from blueprint_pipeline.task.outcome import Outcome, Phase, PredicateCheck
from blueprint_pipeline.task.spec import EpisodeSpec
from blueprint_pipeline.twin.model import SceneModel

CONTROLLER = "pick_place-1"
SETTLE_S = 0.5
"""How long the robot waits at home before the outcome is judged."""
_HOME: Literal["home"] = "home"

FailureStage = Literal["plan_pick", "plan_place", "execute", "predicate"]


@dataclass(kw_only=True)
class Attempt:
    """What one attempt gave."""

    integration_state: FloatArray
    """Of row 0."""
    last: SimulationState
    """The state after the last frame."""
    rows: list[Row] = field(default_factory=list)
    """T rows, or none where nothing moved."""
    phases: list[Phase] = field(default_factory=list)
    cpu_plan_s: float = 0.0
    cpu_simulate_s: float = 0.0

    def all_rows(self) -> list[Row]:
        """T + 1 rows: the last is the state after the last frame, and repeats its setpoint; none where nothing moved."""
        if not self.rows:
            return []
        final = self.rows[-1]
        end = Row(state=self.last, setpoint=final.setpoint, gripper_command_m=final.gripper_command_m, phase=final.phase, contacts=())
        return [*self.rows, end]


@dataclass(kw_only=True)
class PickPlaceController:
    """Takes an episode from its specification to its outcome.

    Args:
        simulator: With the scene loaded.
        twin: The scene's compiled twin.
        planner: Plans motions in that twin.
    """

    simulator: Simulator
    twin: SceneModel
    planner: MotionScene

    def attempt(self, spec: EpisodeSpec) -> tuple[Attempt, Outcome]:
        """Try the task once; the same specification gives the same result, bit by bit."""
        started = time.process_time()
        state = self.simulator.reset(spec.object_poses, spec.robot_qpos)
        attempt = Attempt(integration_state=self.simulator.save_state(), last=state)
        attempt.cpu_simulate_s = time.process_time() - started
        try:
            self._pick_and_place(attempt, spec)
        except PlanningFailed as failure:
            return attempt, _failed(failure.stage, failure.failure_code, failure.reason)
        except SimulationDiverged as failure:
            return attempt, _failed("execute", failure.code, failure.message)
        return attempt, self._judge(attempt, spec)

    def _pick_and_place(self, attempt: Attempt, spec: EpisodeSpec) -> None:
        started = time.process_time()
        try:
            pick = plan_pick(self.planner, self._twin_qpos(attempt.last), spec.task, seed=spec.seed)
        finally:
            attempt.cpu_plan_s += time.process_time() - started
        self._act(attempt, pick)
        started = time.process_time()
        try:
            place = plan_place(self.planner, self._twin_qpos(attempt.last), spec.task, pick, seed=spec.seed)
        finally:
            attempt.cpu_plan_s += time.process_time() - started
        self._act(attempt, place)
        wait = np.tile(attempt.rows[-1].setpoint, (round(SETTLE_S * self.twin.fps), 1))
        self._execute(attempt, wait, [_HOME] * len(wait))
        _extend_phase(attempt, _HOME)

    def _act(self, attempt: Attempt, plan: MotionPlan) -> None:
        """Execute a plan, and note its phases."""
        offset = len(attempt.rows)
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
            command = self.twin.robot.gripper_command_m(setpoint)
            attempt.rows.append(Row(state=attempt.last, setpoint=setpoint, gripper_command_m=command, phase=name, contacts=contacts))
            attempt.last = state
        attempt.cpu_simulate_s += time.process_time() - started

    def _twin_qpos(self, state: SimulationState) -> FloatArray:
        """The twin's configuration for an observed state, whatever engine observed it, (nq,)."""
        return self.twin.qpos_of(state.robot_qpos, state.gripper_width_m, state.object_poses)

    def _judge(self, attempt: Attempt, spec: EpisodeSpec) -> Outcome:
        rows = attempt.all_rows()
        motion = observe_motion(
            [row.state for row in rows],
            [row.contacts for row in rows],
            self.twin.object_ids.index(spec.task.target_object),
            self.twin.fps,
        )
        checks = check_pick_place(spec.task, motion)
        missed = [check for check in checks if not check.held]
        if not missed:
            return Outcome(success=True, failure_stage=None, failure_code=None, failure_reason=None, predicate=checks)
        return Outcome(
            success=False,
            failure_stage="predicate",
            failure_code=f"not_{missed[0].name}",
            failure_reason=tell_missed(missed),
            predicate=checks,
        )


def observe_motion(states: Sequence[SimulationState], contacts: Sequence[tuple[BodyContact, ...]], target: int, fps: int) -> ObservedMotion:
    """What the success predicate judges.

    Args:
        states: T + 1 states.
        contacts: T + 1 entries: what touched during the frame after each state; the last is empty.
        target: Index of the target among the objects.
        fps: Frames a second.
    """
    poses = np.stack([state.object_poses[target] for state in states])
    speed = np.linalg.norm(np.diff(poses[:, :3], axis=0), axis=1) * fps
    return ObservedMotion(
        target_poses=poses,
        target_speed_m_s=np.concatenate([[0.0], speed]),
        gripper_width_m=np.array([state.gripper_width_m for state in states]),
        contacts=tuple(contacts),
    )


def tell_missed(missed: Sequence[PredicateCheck]) -> str:
    """Conditions that did not hold, with value and limit."""
    return "; ".join(f"{check.name}: {check.value:.4g} {check.unit}, limit {check.limit:.4g}" for check in missed)


def _extend_phase(attempt: Attempt, name: Literal["home"]) -> None:
    """Let the last phase, if it is ``name``, reach to the last frame; else add it."""
    last = attempt.phases[-1]
    if last.name == name:
        attempt.phases[-1] = last.model_copy(update={"end_frame": len(attempt.rows)})
    else:
        attempt.phases.append(Phase(name=name, start_frame=last.end_frame, end_frame=len(attempt.rows)))


def _failed(stage: FailureStage, code: str, reason: str, checks: tuple[PredicateCheck, ...] = ()) -> Outcome:
    return Outcome(success=False, failure_stage=stage, failure_code=code, failure_reason=reason, predicate=checks)
