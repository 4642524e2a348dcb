"""Setting an object down: the second step of every skill that holds one.

Planned from what was observed after the lift: transport, straight down to just above what it shall stand on, release, straight back, home.
"""

from dataclasses import dataclass, replace

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import invert
from blueprint_pipeline.motion.errors import CandidateRejected, PlanningFailed
from blueprint_pipeline.motion.plan import MotionPlan, SetpointBuilder
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.motion.segments import constant, find_path, solve_line, time_checked
from blueprint_pipeline.motion.timing import Pace
from blueprint_pipeline.skill import picking
from blueprint_pipeline.skill.attempts import SEED_STEP
from blueprint_pipeline.skill.grasping import RELEASE_M, GraspQuery, goal_pose, raise_above_goal, solve_place
from blueprint_pipeline.skill.homing import find_home
from blueprint_pipeline.skill.picking import (
    AWAY_PACE,
    FREE_PACE,
    LINE_PACE,
    STOP_S,
    HoldPlan,
    PickPlan,
    find_lost,
    observe_hold,
    summarise_rejected,
)
from blueprint_pipeline.skill.subtasks import Subtask

RECOVERY_PHASES = ("set_down", "let_go", "back_off")
"""Between a try to take an object that was seen to fail and the next; ``set_down`` where it hangs in the hand."""
PHASES = ("transport", "place", "release", "retract", "home")
ALL_PHASES = (*picking.PHASES, *RECOVERY_PHASES, *PHASES)
"""Of taking an object, perhaps not at once, and setting it down."""
TRAVEL_PHASES = ("approach", "pre_grasp", "lift", "transport", "place", "retract", "home")
TOUCH_PHASES = frozenset(ALL_PHASES) - {"approach", "home"}
SUBTASKS = (
    Subtask(name="grasp", reference="target", phases=(*picking.PHASES, *RECOVERY_PHASES), ways=frozenset({"approach"})),
    Subtask(name="place", reference="goal", phases=PHASES, ways=frozenset({"transport", "home"})),
)
CARRY_PACE = Pace(velocity=0.5, acceleration=0.25)
RELEASE_SPEED_M_S = 0.03
"""Of the opening at the release: at 0.08 the finger that lets go last drags a tall object along and tips it against the palm."""
RETRACT_M = 0.08
_RELEASE_HOLD_S = 0.1
_ASIDE_RAD = 0.15
"""Of any joint, between above the goal as planned and as it is seen to be right: more is another way."""
_STAGE = "plan_place"


@dataclass(frozen=True, kw_only=True)
class PlacePlan(MotionPlan):
    """A plan that ends with the object at the goal and the arm home."""

    yaw_rad: float
    """Turn of the object at the goal about the world's up axis."""


@dataclass(frozen=True, kw_only=True)
class _Down:
    """The last of the way to the goal, with the object as it lies in the hand."""

    pose_world_goal: FloatArray
    pose_world_tcp: FloatArray
    up: FloatArray
    """Joint positions from the goal upward (k, n)."""
    beside: FloatArray | None = None
    """Where the arm is instead, beside the upper end (n,)."""

    @property
    def way(self) -> FloatArray:
        """Joint positions from where the arm is down to the goal (k, n)."""
        down: FloatArray = self.up[::-1]
        return down if self.beside is None else np.vstack([self.beside, down])


def plan_place(query: GraspQuery, pick: PickPlan, *, seed: int) -> PlacePlan:
    """Plan from the lifted object, as it lies in the hand, until it stands at the goal and the arm is home.

    Args:
        query: The same as for the pick, but from the state after it was executed.
        pick: The plan that was executed; its last setpoint is where this plan starts.
        seed: Decides the path search.

    Raises:
        PlanningFailed: The object is not in hand, or no orientation at the goal has a motion.
    """
    query.reset()
    pose_tcp_object = observe_hold(query)
    if (lost := find_lost(query, pick)) is not None:
        raise PlanningFailed(_STAGE, "object_not_held", lost)
    rejected: list[CandidateRejected] = []
    for attempt, yaw in enumerate(sorted(query.yaws_rad, key=lambda value: abs(value - pick.yaw_rad)), start=1):
        try:
            return _complete_place(query, pick, pose_tcp_object, float(yaw), seed + SEED_STEP * attempt)
        except CandidateRejected as reason:
            rejected.append(reason)
    raise summarise_rejected(_STAGE, query.target, rejected)


def plan_lower(query: GraspQuery, pick: PickPlan, carried: PlacePlan, *, seed: int) -> PlacePlan:
    """Plan the same again from where the object hangs above its goal, with its pose in the hand as it is there.

    Args:
        query: The same, but from the state after the transport was executed.
        pick: The plan that took the object.
        carried: The plan whose first phase, the transport, was executed.
        seed: Decides the path search on the way home.

    Raises:
        PlanningFailed: The object is not in hand, or cannot be lowered as it lies there.
    """
    scene, controls = query.scene, carried.part(0, 1).setpoints[-1]
    query.reset()
    pose_tcp_object = observe_hold(query)
    if (lost := find_lost(query, pick)) is not None:
        raise PlanningFailed(_STAGE, "object_not_held", lost)
    scene.checker.hold(query.target, pose_tcp_object)
    builder = SetpointBuilder(scene.acting, fps=scene.fps, start=controls)
    try:
        down = _solve_down(query, pick, pose_tcp_object, carried.yaw_rad)
        _require_near(down.up[-1], builder.arm_end)
        _lower_and_leave(query, pick, builder, replace(down, beside=builder.arm_end), seed)
    except CandidateRejected as reason:
        raise PlanningFailed(_STAGE, reason.failure_code, f"from above the goal, {reason.reason}") from reason
    setpoints, phases = builder.build()
    return PlacePlan(setpoints=setpoints, phases=phases, yaw_rad=carried.yaw_rad)


def _require_near(qpos: FloatArray, other: FloatArray) -> None:
    """Check that two configurations (n,) above the goal differ by little.

    Raises:
        CandidateRejected: ``goal_unreachable``.
    """
    if np.abs(qpos - other).max() > _ASIDE_RAD:
        raise CandidateRejected("goal_unreachable", "the arm would come there from another side")


def _complete_place(query: GraspQuery, pick: PickPlan, pose_tcp_object: FloatArray, yaw_rad: float, seed: int) -> PlacePlan:
    """Transport, lower, release, retract and go home, for one orientation at the goal."""
    scene, checker = query.scene, query.scene.checker
    start: FloatArray = pick.setpoints[-1, scene.acting.actuators]
    builder = SetpointBuilder(scene.acting, fps=scene.fps, start=pick.setpoints[-1])
    query.reset()
    checker.hold(query.target, pose_tcp_object)
    down = _solve_down(query, pick, pose_tcp_object, yaw_rad)
    checker.allow()
    path = find_path(scene, start, down.up[-1], pick.width_m, seed)
    transport, _ = time_checked(scene, path, CARRY_PACE, constant(pick.width_m))
    builder.move("transport", transport, np.full(len(transport), pick.close_m), hold_s=STOP_S * query.looks_above)
    _lower_and_leave(query, pick, builder, down, seed)
    setpoints, phases = builder.build()
    return PlacePlan(setpoints=setpoints, phases=phases, yaw_rad=yaw_rad)


def _solve_down(query: GraspQuery, pick: PickPlan, pose_tcp_object: FloatArray, yaw_rad: float) -> _Down:
    """The way down for one orientation at the goal, the object in hand."""
    pose_world_goal = goal_pose(query, pick.pose_world_object, yaw_rad)
    pose_world_tcp = pose_world_goal @ invert(pose_tcp_object)
    up = solve_place(query, pose_world_tcp, pick.at_place, pick.width_m)
    up = raise_above_goal(query.scene, up, pick.rise_m, pick.width_m)
    return _Down(pose_world_goal=pose_world_goal, pose_world_tcp=pose_world_tcp, up=up)


def _lower_and_leave(query: GraspQuery, pick: PickPlan, builder: SetpointBuilder, down: _Down, seed: int) -> None:
    """Lower, release, retract and go home."""
    scene, checker = query.scene, query.scene.checker
    query.allow_support()
    lower, _ = time_checked(scene, down.way, LINE_PACE, constant(pick.width_m))
    builder.move("place", lower, np.full(len(lower), pick.close_m), hold_s=STOP_S)
    checker.release()
    checker.put(query.target, down.pose_world_goal)
    let_go(query, pick, builder, down.pose_world_tcp, down.up[0], seed=seed + 1)


def let_go(query: GraspQuery, held: HoldPlan, builder: SetpointBuilder, pose_world_tcp: FloatArray, at: FloatArray, *, seed: int) -> None:
    """Open the fingers, straight back and up, and home.

    Args:
        query: What was held; the checker has it where it stands now.
        held: How.
        builder: Is added to: ``release``, ``retract`` and ``home``.
        pose_world_tcp: Of the hand (4, 4), there.
        at: Joint positions (n,), there.
        seed: Decides the search of the way home.

    Raises:
        CandidateRejected: There is no way.
    """
    scene = query.scene
    released_m = min(held.open_m, held.width_m + RELEASE_M)
    builder.grip("release", width_m=released_m, speed_m_s=RELEASE_SPEED_M_S, hold_s=_RELEASE_HOLD_S)
    query.allow_target()
    back = solve_retreat(scene, pose_world_tcp, at)
    open_m = _opening_back(scene, back, held.open_m, released_m)
    back, home = find_home(query, back, held.over_m - float(scene.tool_pose(back[-1])[2, 3]), open_m, seed)
    query.allow_target()
    builder.move("retract", *time_checked(scene, back, AWAY_PACE, builder.early(open_m)))
    scene.checker.release()
    scene.checker.allow()
    builder.move("home", *time_checked(scene, home, FREE_PACE, builder.late(scene.arm.gripper.stroke_m)), hold_s=STOP_S)


def solve_retreat(scene: MotionScene, pose_world_tcp: FloatArray, at: FloatArray) -> FloatArray:
    """Joint positions (k, n) straight back from where the hand (4, 4) lets go.

    Raises:
        CandidateRejected: ``goal_unreachable``.
    """
    return solve_line(scene, pose_world_tcp, at, -RETRACT_M * pose_world_tcp[:3, 2], "goal_unreachable")


def _opening_back(scene: MotionScene, back: FloatArray, wide_m: float, released_m: float) -> float:
    """How far the fingers open on the way back (k, n): as before the grasp, or, between walls, not beyond the release."""
    return wide_m if all(scene.checker.is_free(qpos, wide_m) for qpos in back) else released_m
