"""Taking an object: the first step of every skill that holds one. Open and approach, straight to the grasp, close, lift."""

from collections import Counter
from dataclasses import dataclass
from functools import partial

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import invert
from blueprint_pipeline.motion.collision import relative_pose
from blueprint_pipeline.motion.errors import CandidateRejected, PlanningFailed
from blueprint_pipeline.motion.overhead import bottom_of, extend_up, from_above, height_over
from blueprint_pipeline.motion.plan import MotionPlan, SetpointBuilder
from blueprint_pipeline.motion.segments import constant, describe_contact, find_direct, find_path, time_checked
from blueprint_pipeline.motion.timing import Pace
from blueprint_pipeline.skill.attempts import complete_first
from blueprint_pipeline.skill.contract import Workplace
from blueprint_pipeline.skill.grasping import LIFT_M, GraspQuery, ReachableGrasp, goal_pose, raise_above_goal, reachable_grasps, solve_place

PHASES = ("approach", "pre_grasp", "close", "lift")
FREE_PACE = Pace(velocity=0.7, acceleration=0.4)
LINE_PACE = Pace(velocity=0.3, acceleration=0.18)
AWAY_PACE = Pace(velocity=0.4, acceleration=0.3)
GRIP_SPEED_M_S = 0.08
STOP_S = 0.1
"""How long the arm stands still at the end of a motion that must be exact."""
_STAGE = "plan_pick"
_IN_WORDS = {"no_ik": "out of reach"}
"""Failure codes that say nothing to who does not know the field."""
CLOSE_HOLD_S = 0.1
_LOST_M = 0.05
_RISES = (1.0, 0.5, 0.0)
"""Shares of the rise to the height of travel, the first that is good."""


def find_untakeable(place: Workplace, target: str) -> str | None:
    """Why an object cannot be taken, in words: it bears another, is closed by its pieces, cannot be gripped, or is too heavy."""
    facts, arm = place.objects[target], place.planner.arm
    if facts.bears:
        return f"{', '.join(facts.bears)} would fall off it"
    if facts.closed is not None:
        return facts.closed
    if place.planner.count_grasps(target) == 0:
        return "the gripper has no grasp of it"
    if facts.mass_kg > arm.max_payload_kg:
        return f"it weighs {facts.mass_kg:.1f} kg, and the arm carries {arm.max_payload_kg:g} kg"
    return None


@dataclass(frozen=True, kw_only=True)
class HoldPlan(MotionPlan):
    """A plan that ends with the object in hand, and what letting go of it needs to know."""

    pose_object_tcp: FloatArray
    """The grasp as planned (4, 4)."""
    width_m: float
    """Of the object between the fingers."""
    open_m: float
    """Opening before the grasp and after the release."""
    close_m: float
    """Commanded opening while holding."""
    over_m: float
    """Height in the world that is above all that is in the way."""


@dataclass(frozen=True, kw_only=True)
class PickPlan(HoldPlan):
    """A plan that ends with the object lifted, and what putting it down needs to know."""

    object_id: str
    pose_world_object: FloatArray
    """Where the object stood (4, 4): its orientation is how it stands upright."""
    yaw_rad: float
    """Turn of the object about the world's up axis for which the goal was found reachable."""
    grasp_quality: float
    rise_m: float
    """By how much more than :data:`~blueprint_pipeline.skill.grasping.LIFT_M` the object is raised to travel."""
    at_place: FloatArray
    """Joint positions (n,) at the goal, on the branch to which a direct way leads."""


def plan_pick(query: GraspQuery, *, seed: int, controls: FloatArray | None = None) -> PickPlan:
    """Plan from the present state until the target is lifted.

    Tries grasps in order of promise. A grasp counts only if the goal can be reached with it as well.

    Args:
        query: What to take and where it should go, from which state.
        controls: What is commanded now (nu,), where the robot moved before; it is held where it is if not given.
        seed: Decides the path search: the same seed gives the same setpoints, bit by bit.

    Raises:
        PlanningFailed: With the most frequent reason among the grasps that were tried.
    """
    start = query.scene.holding(query.qpos) if controls is None else controls
    require_free_start(query, start, _STAGE)
    rejected: list[CandidateRejected] = []
    found = complete_first(reachable_grasps(query, rejected), partial(_complete_pick, query, start), rejected, seed=seed)
    if found is not None:
        return found
    if not rejected:
        raise PlanningFailed(_STAGE, "no_grasp", f"the gripper has no grasp of '{query.target}' from above")
    raise summarise_rejected(_STAGE, query.target, rejected)


def require_free_start(query: GraspQuery, start: FloatArray, stage: str) -> None:
    """Check that the robot touches nothing where it begins, at controls (nu,).

    Raises:
        PlanningFailed: ``start_in_collision``: what touches what.
    """
    query.reset()
    scene = query.scene
    if not scene.checker.is_free(start[scene.acting.actuators], scene.gripper_width(query.qpos)):
        raise PlanningFailed(stage, "start_in_collision", f"where the robot starts, {describe_contact(scene)}")


def take_hold(query: GraspQuery, grasp: ReachableGrasp, builder: SetpointBuilder, over_m: float, *, seed: int, may_wander: bool) -> None:
    """Search the path to a grasp, and time it until the fingers are closed; afterwards the checker has the object in hand.

    Args:
        query: What to take.
        grasp: How.
        builder: Is added to: ``approach``, ``pre_grasp`` and ``close``.
        over_m: Height in the world from which the hand comes down.
        seed: Decides the search.
        may_wander: Whether the hand may go a long way round if there is no other.

    Raises:
        CandidateRejected: There is no way.
    """
    scene = query.scene
    query.reset()
    down = from_above(scene, grasp.approach, over_m, grasp.open_m)
    path = find_path(scene, builder.arm_end, down[0], grasp.open_m, seed, may_wander=may_wander)
    builder.move("approach", *time_checked(scene, path, FREE_PACE, builder.early(grasp.open_m)))
    query.allow_target()
    builder.move("pre_grasp", *time_checked(scene, down, LINE_PACE, builder.early(grasp.open_m)), hold_s=STOP_S)
    builder.grip("close", width_m=grasp.close_m, speed_m_s=GRIP_SPEED_M_S, hold_s=CLOSE_HOLD_S)
    scene.checker.hold(query.target, invert(grasp.pose_object_tcp))
    query.allow_lift(grasp.lift[0], grasp.width_m)


def _complete_pick(query: GraspQuery, start: FloatArray, grasp: ReachableGrasp, /, *, seed: int, may_wander: bool) -> PickPlan:
    """Search the path to a grasp and time all of it, from what is commanded now (nu,)."""
    scene, checker = query.scene, query.scene.checker
    query.reset()
    pose_world_object = checker.pose_of(query.target)
    bottom_m = bottom_of(scene, query.target)
    over_m = height_over(scene, bottom_m, query.target)
    builder = SetpointBuilder(scene.acting, fps=scene.fps, start=start)
    take_hold(query, grasp, builder, over_m, seed=seed, may_wander=may_wander)
    raised, rise_m, at_place = _raise(query, grasp, pose_world_object, over_m - bottom_m - LIFT_M)
    query.allow_lift(grasp.lift[0], grasp.width_m)
    lift, _ = time_checked(scene, raised, LINE_PACE, constant(grasp.width_m))
    builder.move("lift", lift, np.full(len(lift), grasp.close_m))
    setpoints, phases = builder.build()
    return PickPlan(
        setpoints=setpoints,
        phases=phases,
        object_id=query.target,
        pose_object_tcp=grasp.pose_object_tcp,
        pose_world_object=pose_world_object,
        yaw_rad=grasp.yaw_rad,
        width_m=grasp.width_m,
        open_m=grasp.open_m,
        close_m=grasp.close_m,
        grasp_quality=grasp.quality,
        over_m=over_m,
        rise_m=rise_m,
        at_place=at_place,
    )


def _raise(
    query: GraspQuery, grasp: ReachableGrasp, pose_world_object: FloatArray, wanted_m: float
) -> tuple[FloatArray, float, FloatArray]:
    """The lift (k, n) continued to the height of travel, or as far as a direct way leads from there to above the goal.

    Returns:
        The lift, by how much it is continued [m], and the joint positions (n,) at the goal.

    Raises:
        CandidateRejected: ``detour``: no direct way leads there from any height, or the arm bends so far on it that the hand goes a long
            way round.
    """
    scene, checker, width_m = query.scene, query.scene.checker, grasp.width_m
    pose_world_place = goal_pose(query, pose_world_object, grasp.yaw_rad) @ grasp.pose_object_tcp
    up = solve_place(query, pose_world_place, grasp.lift[-1], width_m)
    for share in _RISES:
        query.allow_lift(grasp.lift[0], width_m)
        raised = extend_up(scene, grasp.lift, share * wanted_m, width_m)
        query.allow_support()
        above_goal = raise_above_goal(scene, up, share * wanted_m, width_m)
        checker.allow()
        way = find_direct(scene, raised[-1], above_goal[-1], width_m)
        if way is not None:
            return raised, share * wanted_m, up[0]
    raise CandidateRejected("detour", "no direct way leads from the lifted object to the goal")


def observe_hold(query: GraspQuery) -> FloatArray:
    """Where the target is in the hand's frame (4, 4), as observed."""
    query.reset()
    checker = query.scene.checker
    return relative_pose(checker.tcp_pose(query.scene.arm_qpos(query.qpos)), checker.pose_of(query.target))


def find_lost(query: GraspQuery, pick: HoldPlan) -> str | None:
    """Why the target is not in the hand after the lift, in words; ``None``: it is."""
    slipped_m = float(np.linalg.norm((pick.pose_object_tcp @ observe_hold(query))[:3, 3]))
    if slipped_m <= _LOST_M:
        return None
    return f"'{query.target}' is {slipped_m * 100:.0f} cm away from where the hand should hold it"


def summarise_rejected(stage: str, object_id: str, rejected: list[CandidateRejected]) -> PlanningFailed:
    """The failure of a step whose candidates (one or more) were all rejected: the most frequent cause, with an example."""
    codes = Counter(reason.failure_code for reason in rejected)
    code = max(sorted(codes), key=lambda name: codes[name])
    counts = ", ".join(f"{_IN_WORDS.get(name, name.replace('_', ' '))} {count}" for name, count in codes.most_common())
    example = next(reason.reason for reason in rejected if reason.failure_code == code)
    return PlanningFailed(stage, code, f"no way to handle '{object_id}' works, of {len(rejected)} tried ({counts}); for example, {example}")
