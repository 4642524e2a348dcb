"""Moving an object along its support while the hand holds it: a hold, a straight way at the height at which it stands, and letting go.

Two steps. The second is planned from how the object lies in the hand once the fingers are closed.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import invert, shift
from blueprint_pipeline.motion.errors import CandidateRejected, PlanningFailed
from blueprint_pipeline.motion.grasp_set import GraspSet
from blueprint_pipeline.motion.overhead import bottom_of, height_over
from blueprint_pipeline.motion.plan import MotionPlan, SetpointBuilder
from blueprint_pipeline.motion.segments import constant, require_free, solve_line, time_checked
from blueprint_pipeline.motion.timing import Pace
from blueprint_pipeline.skill.attempts import complete_first
from blueprint_pipeline.skill.grasping import OPEN_GAP_M, GraspQuery, ReachableGrasp, reachable_grasps
from blueprint_pipeline.skill.picking import (
    STOP_S,
    HoldPlan,
    find_lost,
    observe_hold,
    require_free_start,
    summarise_rejected,
    take_hold,
)
from blueprint_pipeline.skill.placing import let_go, solve_retreat
from blueprint_pipeline.skill.push_contact import observe_pushed

SLIDE_PACE = Pace(velocity=0.12, acceleration=0.05)
"""Slower than through the air: friction leans a tall object in the hand the more, the faster it sets out."""
SLIP_M = 0.004
"""By which an object may lie otherwise in the hand than planned: so much more room it gets until it is in hand."""
BEYOND_M = 0.01
"""How much farther than to the goal the arm must be able to slide it, before it is in hand."""
MOST_SLANTED = 0.06
"""Vertical part of the axis along which fingers close, at most: what they close on aligns with it, and leans."""
NO_STEADY_GRASP = "every hold of '{target}' is so high, or so slanted, that its front edge would catch on '{support}'"
_TAKE, _SLIDE = "plan_take", "plan_slide"


def slidable_grasps(query: GraspQuery, rejected: list[CandidateRejected]) -> Iterator[ReachableGrasp]:
    """Grasps with which the arm gets straight to the goal, touching nothing but the support; why others do not is added to ``rejected``.

    Fingers come no wider open than they must: what stands beside the target is near to where the hand goes all along.
    """
    asked, checker = replace(query, among=_steady_grasps(query), keep_m=query.keep_m + SLIP_M), query.scene.checker
    for grasp in reachable_grasps(asked, rejected):
        try:
            asked.reset()
            checker.hold(query.target, invert(grasp.pose_object_tcp))
            checker.set_least_clearance(asked.keep_m)
            end = _solve_way(asked, grasp.lift[0], grasp.width_m, BEYOND_M)[-1]
            solve_retreat(query.scene, query.scene.tool_pose(end), end)
        except CandidateRejected as reason:
            rejected.append(reason)
        else:
            yield replace(grasp, open_m=min(grasp.open_m, grasp.width_m + OPEN_GAP_M))


def _steady_grasps(query: GraspQuery) -> GraspSet:
    """Grasps that leave the target upright: level, and so low that it slides and does not tip.

    Friction at its base turns what is held by its neck over between the fingers.
    """
    scene, way_m = query.scene, _offset_m(query)[:2]
    query.reset()
    grasps, pose_world_object = scene.grasps_of(query.target), scene.checker.pose_of(query.target)
    pushed = observe_pushed(scene, query.qpos, query.target, query.support)
    poses = pose_world_object @ grasps.pose_object_tcp
    is_low = poses[:, 2, 3] - pushed.bottom_m <= pushed.highest_push_m(way_m / np.linalg.norm(way_m))
    return grasps.choose(is_low & (np.abs(poses[:, 2, 1]) <= MOST_SLANTED))


def _solve_way(query: GraspQuery, at: FloatArray, width_m: float, beyond_m: float = 0.0) -> FloatArray:
    """Joint positions (k, n) straight from a configuration (n,) to the goal or beyond, with the object in hand as the checker has it.

    Raises:
        CandidateRejected: ``goal_unreachable`` or ``slide_blocked``.
    """
    scene = query.scene
    offset_m = _offset_m(query)
    offset_m *= 1 + beyond_m / np.linalg.norm(offset_m)
    way = solve_line(scene, scene.tool_pose(at), at, offset_m, "goal_unreachable")
    query.allow_support()
    require_free(scene, way, width_m, "slide_blocked")
    return way


def _offset_m(query: GraspQuery) -> FloatArray:
    """From where the target is in the query's state to the goal, level (3,)."""
    address = int(query.scene.model.jnt_qposadr[query.scene.model.body(query.target).jntadr[0]])
    offset = np.array(query.goal_position_m) - query.qpos[address : address + 3]
    return np.array([offset[0], offset[1], 0.0])


def plan_take(query: GraspQuery, *, seed: int) -> HoldPlan:
    """Plan from the present state until the fingers hold the target where it stands.

    Raises:
        PlanningFailed: With the most frequent reason among the grasps that were tried.
    """
    scene = query.scene
    start = scene.holding(query.qpos)
    require_free_start(query, start, _TAKE)
    query.reset()
    over_m = height_over(scene, bottom_of(scene, query.target), query.target)
    rejected: list[CandidateRejected] = []
    found = complete_first(slidable_grasps(query, rejected), partial(_complete_take, query, start, over_m), rejected, seed=seed)
    if found is not None:
        return found
    if not rejected:
        raise PlanningFailed(_TAKE, "no_grasp", NO_STEADY_GRASP.format(target=query.target, support=query.support))
    raise summarise_rejected(_TAKE, query.target, rejected)


def _complete_take(
    query: GraspQuery, start: FloatArray, over_m: float, grasp: ReachableGrasp, /, *, seed: int, may_wander: bool
) -> HoldPlan:
    """Search the path to a grasp and time all of it, from what is commanded now (nu,)."""
    builder = SetpointBuilder(query.scene.acting, fps=query.scene.fps, start=start)
    take_hold(query, grasp, builder, over_m, seed=seed, may_wander=may_wander)
    setpoints, phases = builder.build()
    return HoldPlan(
        setpoints=setpoints,
        phases=phases,
        pose_object_tcp=grasp.pose_object_tcp,
        width_m=grasp.width_m,
        open_m=grasp.open_m,
        close_m=grasp.close_m,
        over_m=over_m,
    )


def plan_slide(query: GraspQuery, held: HoldPlan, *, seed: int) -> MotionPlan:
    """Plan from the closed fingers until the target stands at the goal and the arm is home.

    Args:
        query: The same as for the hold, but from the state after it was executed.
        held: The plan that was executed; its last setpoint is where this plan starts.
        seed: Decides the search of the way home.

    Raises:
        PlanningFailed: The target is not in hand, or there is no way.
    """
    if (lost := find_lost(query, held)) is not None:
        raise PlanningFailed(_SLIDE, "object_not_held", lost)
    scene, checker = query.scene, query.scene.checker
    pose_tcp_object = observe_hold(query)
    pose_world_object, offset_m = checker.pose_of(query.target), _offset_m(query)
    builder = SetpointBuilder(scene.acting, fps=scene.fps, start=held.setpoints[-1])
    try:
        checker.hold(query.target, pose_tcp_object)
        way = _solve_way(query, builder.arm_end, held.width_m)
        setpoints, _ = time_checked(scene, way, SLIDE_PACE, constant(held.width_m))
        builder.move("slide", setpoints, np.full(len(setpoints), held.close_m), hold_s=STOP_S)
        checker.release()
        checker.put(query.target, shift(pose_world_object, offset_m))
        let_go(query, held, builder, scene.tool_pose(way[-1]), way[-1], seed=seed)
    except CandidateRejected as reason:
        raise PlanningFailed(_SLIDE, reason.failure_code, reason.reason) from reason
    setpoints, phases = builder.build()
    return MotionPlan(setpoints=setpoints, phases=phases)
