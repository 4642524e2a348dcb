"""Pick an object and place it somewhere else on its support.

Two steps: taking (:mod:`blueprint_pipeline.skill.picking`), then, planned from what was observed after the lift: transport,
straight down to just above the support, release, straight back, home.
"""

from typing import Literal

import numpy as np
from pydantic import Field

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Vector3
from blueprint_pipeline.geometry.transforms import invert
from blueprint_pipeline.motion.collision import relative_pose
from blueprint_pipeline.motion.errors import CandidateRejected, PlanningFailed
from blueprint_pipeline.motion.plan import MotionPlan, SetpointBuilder
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.motion.segments import constant, find_path, solve_line, time_checked
from blueprint_pipeline.motion.timing import Pace
from blueprint_pipeline.skill.conditions import ObservedMotion, check_at_rest, check_untouched, check_upright
from blueprint_pipeline.skill.contract import NotOffered, Skill, StartState, Steps, Workplace, named_objects
from blueprint_pipeline.skill.goals import goal_spots
from blueprint_pipeline.skill.grasping import YAWS_RAD, GraspQuery, goal_pose, solve_place
from blueprint_pipeline.skill.instruction import build_instruction
from blueprint_pipeline.skill.picking import (
    FREE_PACE,
    LINE_PACE,
    SEED_STEP,
    STOP_S,
    PickPlan,
    plan_pick,
    summarise_rejected,
)
from blueprint_pipeline.task.outcome import PredicateCheck, at_least, at_most
from blueprint_pipeline.task.task import Task

VERBS = ("move", "put", "place")
CARRY_PACE = Pace(velocity=0.5, acceleration=0.25)
AWAY_PACE = Pace(velocity=0.4, acceleration=0.3)
RELEASE_SPEED_M_S = 0.03
"""Of the opening at the release: at 0.08 the finger that lets go last drags a tall object along and tips it against the palm."""
RETRACT_M = 0.08
LIFT_M = 0.05
HEIGHT_SLACK_M = 0.02
"""How far the object may end above or below the goal before the excess counts as distance."""
OPENING_GAIN_M = 0.004
_RELEASE_HOLD_S = 0.2
_LOST_M = 0.05
_STAGE = "plan_place"


class PickPlaceTask(Task):
    """Take one object and set it down in a region of a supporting surface."""

    task_type: Literal["pick_place"] = "pick_place"
    goal_position_m: Vector3
    """Where the target's settled origin should come to rest, in the world."""
    goal_radius_m: float = Field(default=0.03, gt=0)
    """Horizontal tolerance of the goal."""
    upright: bool
    """Whether the target must end as upright as it began."""
    max_tilt_rad: float = Field(default=0.26, gt=0)

    @property
    def goal_xy_m(self) -> tuple[float, float]:
        """The goal, seen from above."""
        return self.goal_position_m[:2]


class PickPlace(Skill[PickPlaceTask]):
    """Takes an object and sets it down where the sentence says."""

    name = "pick_place"
    version = "pick_place-2"
    difficulty = 0.3
    phases = ("approach", "pre_grasp", "close", "lift", "transport", "place", "release", "retract", "home")
    travel_phases = ("approach", "pre_grasp", "lift", "transport", "place", "retract", "home")
    touch_phases = frozenset({"pre_grasp", "close", "lift", "transport", "place", "release", "retract"})
    task = PickPlaceTask

    def find_unsuitable(self, place: Workplace, target: str) -> str | None:
        """An object that bears another, is closed by its pieces, cannot be gripped, or is too heavy."""
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

    def propose(self, place: Workplace, start: StartState, target: str, rng: np.random.Generator) -> PickPlaceTask:
        """A free spot, and how to say so."""
        footprint = start.footprints[target]
        spots = goal_spots(place.surface, footprint, start.others(target), place.reach)
        if len(spots) == 0:
            raise NotOffered("there is no free spot for it within reach")
        spot = spots[rng.integers(len(spots))]
        named = named_objects(place, start)
        subject = named.pop(target)
        height = place.surface.height_m + float(footprint.origin_m[2]) - footprint.bottom_m
        return PickPlaceTask(
            instruction=build_instruction(subject, spot, list(named.values()), place.frame, verb=VERBS[rng.integers(len(VERBS))]),
            target_object=target,
            support_object=place.surface.support,
            goal_position_m=(round(float(spot[0]), 4), round(float(spot[1]), 4), round(height, 5)),
            upright=place.objects[target].upright,
        )

    def plan(self, scene: MotionScene, qpos: FloatArray, task: PickPlaceTask, *, seed: int) -> Steps:
        """Take it; then, from how it lies in the hand, set it down."""
        pick = plan_pick(_query(scene, qpos, task), seed=seed)
        observed = yield pick
        yield plan_place(_query(scene, observed, task), pick, seed=seed)

    def check(self, task: PickPlaceTask, motion: ObservedMotion) -> tuple[PredicateCheck, ...]:
        """Lifted, arrived, upright where the task asks, released, at rest and untouched."""
        height = motion.target_poses[:, 2]
        offset = motion.target_poses[-1, :3] - np.array(task.goal_position_m)
        missed = float(np.hypot(np.linalg.norm(offset[:2]), max(0.0, abs(float(offset[2])) - HEIGHT_SLACK_M)))
        opened = float(motion.gripper_width_m[-1] - motion.gripper_width_m.min())
        return (
            at_least("lifted", float(height.max() - height[0]), LIFT_M, "m"),
            at_most("arrived", missed, task.goal_radius_m, "m"),
            *((check_upright(motion, task.max_tilt_rad),) if task.upright else ()),
            at_least("released", opened, OPENING_GAIN_M, "m"),
            check_at_rest(motion),
            check_untouched(motion, task.target_object),
        )


SKILL = PickPlace()


def plan_place(query: GraspQuery, pick: PickPlan, *, seed: int) -> MotionPlan:
    """Plan from the lifted object, as it lies in the hand, until it stands at the goal and the arm is home.

    Args:
        query: The same as for the pick, but from the state after it was executed.
        pick: The plan that was executed; its last setpoint is where this plan starts.
        seed: Decides the path search.

    Raises:
        PlanningFailed: The object is not in hand, or no orientation at the goal has a motion.
    """
    query.reset()
    checker = query.scene.checker
    pose_tcp_object = relative_pose(checker.tcp_pose(query.scene.arm_qpos(query.qpos)), checker.pose_of(query.target))
    slipped = float(np.linalg.norm((pick.pose_object_tcp @ pose_tcp_object)[:3, 3]))
    if slipped > _LOST_M:
        reason = f"'{query.target}' is {slipped * 100:.0f} cm away from where the hand should hold it"
        raise PlanningFailed(_STAGE, "object_not_held", reason)
    rejected: list[CandidateRejected] = []
    for attempt, yaw in enumerate(sorted(YAWS_RAD, key=lambda value: abs(value - pick.yaw_rad)), start=1):
        try:
            return _complete_place(query, pick, pose_tcp_object, float(yaw), seed + SEED_STEP * attempt)
        except CandidateRejected as reason:
            rejected.append(reason)
    raise summarise_rejected(_STAGE, query.target, rejected)


def _query(scene: MotionScene, qpos: FloatArray, task: PickPlaceTask) -> GraspQuery:
    return GraspQuery(scene=scene, qpos=qpos, target=task.target_object, support=task.support_object, goal_position_m=task.goal_position_m)


def _complete_place(query: GraspQuery, pick: PickPlan, pose_tcp_object: FloatArray, yaw_rad: float, seed: int) -> MotionPlan:
    """Transport, lower, release, retract and go home, for one orientation at the goal."""
    scene, checker = query.scene, query.scene.checker
    start: FloatArray = pick.setpoints[-1, scene.acting.actuators]
    pose_world_goal = goal_pose(query, pick.pose_world_object, yaw_rad)
    pose_world_tcp = pose_world_goal @ invert(pose_tcp_object)
    builder = SetpointBuilder(scene.acting, fps=scene.fps, start=pick.setpoints[-1])
    query.reset()
    checker.hold(query.target, pose_tcp_object)
    up = solve_place(query, pose_world_tcp, start, pick.width_m)
    checker.allow()
    path = find_path(scene, start, up[-1], pick.width_m, seed)
    transport, _ = time_checked(scene, path, CARRY_PACE, constant(pick.width_m))
    query.allow_support()
    lower, _ = time_checked(scene, up[::-1], LINE_PACE, constant(pick.width_m))
    builder.move("transport", transport, np.full(len(transport), pick.close_m))
    builder.move("place", lower, np.full(len(lower), pick.close_m), hold_s=STOP_S)
    builder.grip("release", width_m=pick.open_m, speed_m_s=RELEASE_SPEED_M_S, hold_s=_RELEASE_HOLD_S)

    checker.release()
    checker.put(query.target, pose_world_goal)
    query.allow_target()
    back = solve_line(scene, pose_world_tcp, up[0], -RETRACT_M * pose_world_tcp[:3, 2], "goal_unreachable")
    builder.move("retract", *time_checked(scene, back, AWAY_PACE, constant(pick.open_m)))
    checker.release()
    checker.allow()
    home = find_path(scene, back[-1], np.array(scene.arm.default_qpos_rad), pick.open_m, seed + 1)
    builder.move("home", *time_checked(scene, home, FREE_PACE, builder.late(scene.arm.gripper.stroke_m)), hold_s=STOP_S)
    setpoints, phases = builder.build()
    return MotionPlan(setpoints=setpoints, phases=phases)
