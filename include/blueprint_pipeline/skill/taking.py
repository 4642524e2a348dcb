"""Taking an object and setting it down, in as many tries as it needs: after each step the object is looked at, and the next is planned.

Two looks a try: once the fingers are closed, whether they closed on nothing; once the hand is raised, whether the object came along, and
lies in the hand so that it can be set down. Where it does not, the hand sets down what hangs in it, lets go, backs off, and holds it
otherwise than before. Nothing is looked at but the observed state, from which every step is planned.
"""

from collections.abc import Generator
from dataclasses import dataclass, replace

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import vector3
from blueprint_pipeline.geometry.transforms import quat_of
from blueprint_pipeline.kit.predicates import tilt_rad
from blueprint_pipeline.motion.errors import CandidateRejected, PlanningFailed
from blueprint_pipeline.motion.overhead import extend_up
from blueprint_pipeline.motion.plan import MotionPlan, SetpointBuilder
from blueprint_pipeline.motion.segments import constant, require_free, solve_line, time_checked
from blueprint_pipeline.skill.conditions import MAX_TILT_RAD
from blueprint_pipeline.skill.contract import Steps
from blueprint_pipeline.skill.grasping import APPROACH_M, GraspQuery
from blueprint_pipeline.skill.mishaps import MissedPick, plan_missed
from blueprint_pipeline.skill.picking import AWAY_PACE, LINE_PACE, PickPlan, find_lost, observe_hold, plan_pick
from blueprint_pipeline.skill.placing import PlacePlan, plan_lower, plan_place
from blueprint_pipeline.task.mishap import Mishap

MAX_TRIES = 3
LATEST_S = 15.0
"""No try begins later: an episode that goes on for so long is no demonstration."""
_TRY_SEED = 104_729
"""Between the seeds of two tries: more than between those of the searches of one."""
_REACH = 3
"""Phases of a pick until the fingers are closed."""
_CLOSED_SHARE = 0.25
"""Of the way by which fingers would press into an object: nearer to where they were told to close, there is none between them."""
_HANGS_M = 0.01
"""So far above where it stood, an object hangs in the hand."""
_DROP_M = 0.005
"""From which it is let go: more than what is kept from all else, so that it touches nothing on the way down."""
_STAGE = "recover"


@dataclass
class _Course:
    """What was done so far."""

    controls: FloatArray
    """What is commanded now (nu,)."""
    frames: int = 0

    def add(self, step: MotionPlan) -> MotionPlan:
        self.controls = step.setpoints[-1]
        self.frames += len(step.setpoints)
        return step


def take_and_place(query: GraspQuery, *, slip_m: float = 0.0, upright: bool, seed: int, mishap: Mishap | None = None) -> Steps:
    """Take an object, in up to :data:`MAX_TRIES` tries, and set it down.

    Args:
        query: What to take and where it should go, from the state before the first step.
        slip_m: How much more is kept from what it is set down on until it is in hand, in which it slips a little.
        upright: Whether it must end as upright as it stands: what has toppled over is then given up.
        seed: Decides every search.
        mishap: What goes wrong on purpose in the first try, where the situation allows it.

    Raises:
        PlanningFailed: There is no motion, or what was seen leaves no hope; from ``next`` and ``send``.
    """
    asked, course = replace(query, keep_m=query.keep_m + slip_m), _Course(controls=query.scene.holding(query.qpos))
    pick, looked = plan_pick(asked, seed=seed), asked
    missed = None if mishap is None else plan_missed(asked, pick, mishap, seed=seed)
    for number in range(1, MAX_TRIES + 1):
        looked, failed = yield from _try(looked, pick, missed or pick, course, again=number > 1)
        if failed is None:
            placed = _plan_place(replace(looked, keep_m=query.keep_m), pick, seed)
            if isinstance(placed, PlacePlan):
                yield from _set_down_at_goal(replace(looked, keep_m=query.keep_m), pick, placed, seed)
                return
            failed = placed
        _require_hope(asked, looked, failed, number, course.frames, upright=upright)
        tried = (*looked.tried, (missed or pick).pose_object_tcp)
        observed = yield course.add(_plan_back_off(looked, pick, course.controls, failed))
        looked, missed = _ask_again(asked, observed, tried), None
        pick = _plan_again(looked, course.controls, failed, seed=seed + _TRY_SEED * number)


def _plan_place(query: GraspQuery, pick: PickPlan, seed: int) -> PlacePlan | str:
    """The way to the goal with the object as it lies in the hand; or why there is none, in words."""
    try:
        return plan_place(query, pick, seed=seed)
    except PlanningFailed as failure:
        return f"as it lies in the hand, {failure.reason}"


def _set_down_at_goal(query: GraspQuery, pick: PickPlan, placed: PlacePlan, seed: int) -> Steps:
    """At once; or in two steps, where the target is looked at above its goal."""
    if not query.looks_above:
        yield placed
        return
    observed = yield placed.part(0, 1)
    yield plan_lower(replace(query, qpos=observed), pick, placed, seed=seed)


def _plan_again(query: GraspQuery, controls: FloatArray, failed: str, *, seed: int) -> PickPlan:
    """Another pick.

    Raises:
        PlanningFailed: There is none; what was seen to have failed before is told with the reason.
    """
    try:
        return plan_pick(query, seed=seed, controls=controls)
    except PlanningFailed as failure:
        raise PlanningFailed(_STAGE, failure.failure_code, f"after a try ({failed}), {failure.reason}") from failure


def _try(
    query: GraspQuery, pick: PickPlan, done: PickPlan | MissedPick, course: _Course, *, again: bool
) -> Generator[MotionPlan, FloatArray, tuple[GraspQuery, str | None]]:
    """Do one try, look after the fingers closed and after the lift; the query from there, and what was seen to have failed."""
    reach, lift = done.part(0, _REACH), done.part(_REACH)
    if again:
        reach, lift = (replace(step, phases=step.again()) for step in (reach, lift))
    query = replace(query, qpos=(yield course.add(replace(reach, begins_try=True, provoked=done.provoked))))
    if (failed := _find_closed(query, pick)) is None:
        query = replace(query, qpos=(yield course.add(lift)))
        failed = find_lost(query, pick)
    return query, failed


def _find_closed(query: GraspQuery, pick: PickPlan) -> str | None:
    """That the fingers closed on nothing, in words."""
    found_m = query.scene.gripper_width(query.qpos)
    if found_m > pick.close_m + _CLOSED_SHARE * (pick.width_m - pick.close_m):
        return None
    return (
        f"the fingers closed to {found_m * 100:.1f} cm, and '{query.target}' is {pick.width_m * 100:.1f} cm wide where they should hold it"
    )


def _require_hope(asked: GraspQuery, query: GraspQuery, failed: str, tries: int, frames: int, *, upright: bool) -> None:
    """Check that another try has a chance.

    Raises:
        PlanningFailed: ``too_many_tries``, ``too_late`` or ``object_toppled``.
    """
    if tries >= MAX_TRIES:
        raise PlanningFailed(_STAGE, "too_many_tries", f"{tries} tries did not take '{query.target}'; in the last one, {failed}")
    if frames > LATEST_S * query.scene.fps:
        raise PlanningFailed(_STAGE, "too_late", f"after {frames / query.scene.fps:.1f} s, {failed}")
    tilt = tilt_rad(quat_of(_pose_of_target(asked)), quat_of(_pose_of_target(query)))
    if upright and tilt > MAX_TILT_RAD:
        raise PlanningFailed(_STAGE, "object_toppled", f"'{query.target}' leans by {np.degrees(tilt):.0f} degrees after a try ({failed})")


def _pose_of_target(query: GraspQuery) -> FloatArray:
    query.reset()
    return query.scene.checker.pose_of(query.target)


def _ask_again(asked: GraspQuery, observed: FloatArray, tried: tuple[FloatArray, ...]) -> GraspQuery:
    """The same from another state (nq,): the target's middle shall come to the same place, wherever a try has turned the target."""
    query = replace(asked, qpos=observed, tried=tried)
    turned = _pose_of_target(asked)[:3, :3] - _pose_of_target(query)[:3, :3]
    return replace(query, goal_position_m=vector3(np.array(asked.goal_position_m) + turned @ np.array(asked.center_object_m)))


def _plan_back_off(query: GraspQuery, pick: PickPlan, controls: FloatArray, failed: str) -> MotionPlan:
    """From a failed try to where the hand is free: set down what hangs in it, let go, and back the way that the hand came.

    Raises:
        PlanningFailed: The hand cannot go back.
    """
    scene = query.scene
    builder = SetpointBuilder(scene.acting, fps=scene.fps, start=controls)
    try:
        _set_down(query, pick, builder, scene.acting.command_m(controls))
        query.allow_target()
        at, open_m = builder.arm_end, pick.open_m
        require_free(scene, at[None], open_m, "hand_caught")
        builder.grip("let_go", width_m=open_m, speed_m_s=scene.arm.gripper.max_speed_m_s, hold_s=0.0)
        pose_world_tcp = scene.tool_pose(at)
        if pick.over_m > float(pose_world_tcp[2, 3]):
            back = solve_line(scene, pose_world_tcp, at, -APPROACH_M * pose_world_tcp[:3, 2], "hand_caught")
            back = extend_up(scene, back, pick.over_m - float(scene.tool_pose(back[-1])[2, 3]), open_m)
            builder.move("back_off", *time_checked(scene, back, AWAY_PACE, constant(open_m)))
    except CandidateRejected as reason:
        raise PlanningFailed(_STAGE, reason.failure_code, f"after a try ({failed}), {reason.reason}") from reason
    setpoints, phases = builder.build()
    return MotionPlan(setpoints=setpoints, phases=phases, failed=failed)


def _set_down(query: GraspQuery, pick: PickPlan, builder: SetpointBuilder, command_m: float) -> None:
    """Lower an object that hangs in the hand until it is just above where it stood; afterwards the checker has it there.

    Raises:
        CandidateRejected: It would touch something, or the arm does not get there.
    """
    scene, checker = query.scene, query.scene.checker
    pose_tcp_object, width_m = observe_hold(query), scene.gripper_width(query.qpos)
    down_m = float(checker.pose_of(query.target)[2, 3] - pick.pose_world_object[2, 3]) - _DROP_M
    if down_m < _HANGS_M:
        return
    checker.hold(query.target, pose_tcp_object)
    at = builder.arm_end
    down = solve_line(scene, scene.tool_pose(at), at, np.array([0.0, 0.0, -down_m]), "hand_caught")
    setpoints, _ = time_checked(scene, down, LINE_PACE, constant(width_m))
    builder.move("set_down", setpoints, np.full(len(setpoints), command_m))
    checker.release()
    checker.put(query.target, scene.tool_pose(down[-1]) @ pose_tcp_object)
