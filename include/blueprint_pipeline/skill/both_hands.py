"""Taking an object with both hands, carrying it and setting it down: one plan of both arms, a closed chain while they hold it.

Two steps. The first: approach, reach down, grasp, lift. The second, from how the object is observed to lie in the hands: carry, lower,
release, retract, home. World frame: z up, metres.
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import invert
from blueprint_pipeline.motion.closed_chain import time_carried
from blueprint_pipeline.motion.errors import CandidateRejected, PlanningFailed
from blueprint_pipeline.motion.overhead import bottom_of, from_above, height_over
from blueprint_pipeline.motion.plan import MotionPlan, SetpointBuilder
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.motion.segments import constant, describe_contact, find_path, solve_line, time_checked
from blueprint_pipeline.motion.timing import Pace
from blueprint_pipeline.skill.attempts import SEED_STEP, complete_first
from blueprint_pipeline.skill.grasping import RELEASE_M, GraspQuery, goal_pose
from blueprint_pipeline.skill.homing import find_home
from blueprint_pipeline.skill.picking import (
    AWAY_PACE,
    FREE_PACE,
    GRIP_SPEED_M_S,
    LINE_PACE,
    STOP_S,
    summarise_rejected,
)
from blueprint_pipeline.skill.placing import RELEASE_SPEED_M_S, RETRACT_M
from blueprint_pipeline.skill.two_handed_holds import YAWS_RAD, PairedHold, find_holds, solve_way

PHASES = (
    "both_approach",
    "both_reach",
    "both_grasp",
    "both_lift",
    "both_carry",
    "both_lower",
    "both_release",
    "both_retract",
    "both_home",
)
TRAVEL_PHASES = ("both_approach", "both_reach", "both_lift", "both_carry", "both_lower", "both_retract", "both_home")
TOUCH_PHASES = frozenset(PHASES) - {"both_approach", "both_home"}
LIFT_PACE, CARRY_PACE = Pace(velocity=0.25, acceleration=0.1), Pace(velocity=0.35, acceleration=0.12)
_LOST_M, _NEARLY_M = 0.03, 0.01
"""By how much an object that slipped is lost; and by how much it still lies as planned, so that the way found for that is still good."""
_HOLD_S, _STILL_S = 0.15, 0.1


@dataclass(frozen=True, kw_only=True)
class LiftPlan(MotionPlan):
    """A plan that ends with the object lifted, and what setting it down needs to know."""

    hold: PairedHold
    pose_world_object: FloatArray
    """Where the object stood (4, 4)."""
    over_m: float
    """Height in the world that is above all that is in the way."""


def both_arms(scene: MotionScene) -> MotionScene:
    """The scene for the robot's first two arms together."""
    first, second = (arm.name for arm in scene.embodiment.arms[:2])
    return scene.with_arms(first, second)


def plan_lift(query: GraspQuery, *, seed: int) -> LiftPlan:
    """Plan from the present state until both hands have lifted the target.

    Args:
        query: What to take and where it should go, with the scene of both arms.
        seed: Decides the path search: the same seed gives the same setpoints, bit by bit.

    Raises:
        PlanningFailed: With the most frequent reason among the pairs of grasps that were tried.
    """
    stage, scene = "plan_lift", query.scene
    query.reset()
    if not scene.checker.is_free(scene.arm_qpos(query.qpos), scene.gripper_widths(query.qpos)):
        raise PlanningFailed(stage, "start_in_collision", f"where the robot starts, {describe_contact(scene)}")
    rejected: list[CandidateRejected] = []
    found = complete_first(find_holds(query, rejected), partial(_complete_lift, query), rejected, seed=seed)
    if found is not None:
        return found
    if not rejected:
        raise PlanningFailed(stage, "no_grasp", f"the hands have no two grasps of '{query.target}' from above on opposite sides")
    raise summarise_rejected(stage, query.target, rejected)


def _complete_lift(query: GraspQuery, hold: PairedHold, /, *, seed: int, may_wander: bool) -> LiftPlan:
    """Search the path to a hold and time all of it."""
    scene, chain = query.scene, hold.chain
    query.reset()
    pose_world_object, bottom_m = scene.checker.pose_of(query.target), bottom_of(scene, query.target)
    over_m = height_over(scene, bottom_m, query.target)
    down = from_above(scene, hold.approach, over_m, hold.open_m)
    builder = SetpointBuilder(*scene.arms.bindings, fps=scene.fps, start=scene.holding(query.qpos))
    path = find_path(scene, scene.arm_qpos(query.qpos), down[0], hold.open_m, seed, may_wander=may_wander)
    builder.move("both_approach", *time_checked(scene, path, FREE_PACE, builder.early(hold.open_m)))
    query.allow_target()
    builder.move("both_reach", *time_checked(scene, down, LINE_PACE, builder.early(hold.open_m)), hold_s=STOP_S)
    builder.grip("both_grasp", width_m=hold.close_m, speed_m_s=GRIP_SPEED_M_S, hold_s=_HOLD_S)
    chain.hold()
    query.allow_lift(hold.lift[0], chain.widths_m)
    lift, _ = time_carried(scene, chain.held, hold.lift, LIFT_PACE, constant(chain.widths_m))
    builder.move("both_lift", lift, np.tile(hold.close_m, (len(lift), 1)))
    setpoints, phases = builder.build()
    return LiftPlan(setpoints=setpoints, phases=phases, hold=hold, pose_world_object=pose_world_object, over_m=over_m)


def plan_set_down(query: GraspQuery, lifted: LiftPlan, *, seed: int) -> MotionPlan:
    """Plan from the lifted object, as it lies in both hands, until it stands at the goal and both arms are home.

    Args:
        query: The same as for the lift, but from the state after it was executed.
        lifted: The plan that was executed; its last setpoint is where this plan starts.
        seed: Decides the path search.

    Raises:
        PlanningFailed: The object is not in both hands, or no turn at the goal has a motion.
    """
    query.reset()
    scene, planned = query.scene, lifted.hold.chain.held
    observed = invert(scene.checker.pose_of(query.target)) @ scene.tool_poses(scene.arm_qpos(query.qpos))
    slipped_m = np.linalg.norm(observed[:, :3, 3] - planned[:, :3, 3], axis=1)
    if slipped_m.max() > _LOST_M:
        hand = scene.arms.bindings[int(slipped_m.argmax())].arm.name
        reason = f"'{query.target}' is {slipped_m.max() * 100:.0f} cm away from where the {hand} hand should hold it"
        raise PlanningFailed("plan_set_down", "object_not_held", reason)
    as_seen = observed[0] @ invert(planned[0]) @ planned  # the hands stay as they were commanded; the object lies in them as it is seen
    yaws_rad = sorted(YAWS_RAD, key=lambda value: abs(value - lifted.hold.yaw_rad))
    ways = [
        (as_seen, yaws_rad[0]),
        *([(planned, yaws_rad[0])] if slipped_m.max() <= _NEARLY_M else []),
        *((as_seen, yaw) for yaw in yaws_rad[1:]),
    ]
    rejected: list[CandidateRejected] = []
    for attempt, (held, yaw_rad) in enumerate(ways, start=1):
        chain = replace(lifted.hold.chain, query=query, held=held)
        try:
            return _complete_set_down(query, replace(lifted, hold=replace(lifted.hold, chain=chain)), yaw_rad, seed + SEED_STEP * attempt)
        except CandidateRejected as reason:
            rejected.append(reason)
    raise summarise_rejected("plan_set_down", query.target, rejected)


def _complete_set_down(query: GraspQuery, lifted: LiftPlan, yaw_rad: float, seed: int) -> MotionPlan:
    """Carry, lower, release, retract and go home, for one turn at the goal."""
    scene, hold, chain = query.scene, lifted.hold, lifted.hold.chain
    start: FloatArray = lifted.setpoints[-1, scene.arms.actuators]
    pose_world_goal = goal_pose(query, lifted.pose_world_object, yaw_rad)
    builder = SetpointBuilder(*scene.arms.bindings, fps=scene.fps, start=lifted.setpoints[-1])
    query.reset()
    chain.hold()
    carry, lower = solve_way(chain, start, scene.tool_poses(start)[0] @ invert(chain.held[0]), pose_world_goal, hold.rise_m)
    scene.checker.allow()
    carried, _ = time_carried(scene, chain.held, carry, CARRY_PACE, constant(chain.widths_m))
    query.allow_support()
    lowered, _ = time_carried(scene, chain.held, lower, LIFT_PACE, constant(chain.widths_m))
    builder.move("both_carry", carried, np.tile(hold.close_m, (len(carried), 1)))
    builder.move("both_lower", lowered, np.tile(hold.close_m, (len(lowered), 1)), hold_s=STOP_S)
    released_m = np.minimum(hold.open_m, chain.widths_m + RELEASE_M)
    builder.grip("both_release", width_m=released_m, speed_m_s=RELEASE_SPEED_M_S, hold_s=_STILL_S)
    scene.checker.release()
    scene.checker.put(query.target, pose_world_goal)
    _go_away(query, lifted, builder, released_m, seed)
    setpoints, phases = builder.build()
    return MotionPlan(setpoints=setpoints, phases=phases)


def _go_away(query: GraspQuery, lifted: LiftPlan, builder: SetpointBuilder, released_m: FloatArray, seed: int) -> None:
    """Both hands back from the object and home."""
    scene, wide_m, start = query.scene, lifted.hold.open_m, builder.arm_end
    query.allow_target()
    tools = scene.tool_poses(start)
    back = solve_line(scene, tools, start, -RETRACT_M * tools[:, :3, 2], "goal_unreachable")
    open_m = wide_m if all(scene.checker.is_free(qpos, wide_m) for qpos in back) else released_m
    back, home = find_home(query, back, lifted.over_m - float(scene.tool_poses(back[-1])[:, 2, 3].min()), open_m, seed + 1)
    query.allow_target()
    builder.move("both_retract", *time_checked(scene, back, AWAY_PACE, builder.early(open_m)))
    scene.checker.release()
    scene.checker.allow()
    strokes_m = np.array([binding.arm.gripper.stroke_m for binding in scene.arms.bindings])
    builder.move("both_home", *time_checked(scene, home, FREE_PACE, builder.late(strokes_m)), hold_s=STOP_S)
