"""Pick an object and place it somewhere else on its support.

Two steps: taking (:mod:`blueprint_pipeline.skill.picking`), then, planned from what was observed after the lift: transport,
straight down to just above the support, release, straight back, home.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Vector3
from blueprint_pipeline.geometry.transforms import invert, pose_from_quat
from blueprint_pipeline.motion.candidates import rank_grasps
from blueprint_pipeline.motion.collision import relative_pose
from blueprint_pipeline.motion.errors import CandidateRejected, PlanningFailed
from blueprint_pipeline.motion.overhead import extend_up
from blueprint_pipeline.motion.plan import MotionPlan, SetpointBuilder
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.motion.segments import constant, find_path, solve_line, time_checked
from blueprint_pipeline.motion.timing import Pace
from blueprint_pipeline.skill.conditions import ObservedMotion, check_at_rest, check_untouched, check_upright
from blueprint_pipeline.skill.contract import NotOffered, Skill, StartState, Steps, Workplace, is_shown_at, named_objects, shown_spots
from blueprint_pipeline.skill.goals import Destination, GoalSearch
from blueprint_pipeline.skill.grasping import YAWS_RAD, GraspQuery, goal_pose, raise_above_goal, solve_place
from blueprint_pipeline.skill.instruction import PUT, NamedObject, phrases_of, say
from blueprint_pipeline.skill.picking import (
    FREE_PACE,
    LINE_PACE,
    SEED_STEP,
    STOP_S,
    PickPlan,
    plan_pick,
    summarise_rejected,
)
from blueprint_pipeline.skill.region import RELATIONS, THIRDS, RegionTask, center_in_object, rounded_corners
from blueprint_pipeline.task.outcome import PredicateCheck, at_least, at_most

CARRY_PACE = Pace(velocity=0.5, acceleration=0.25)
AWAY_PACE = Pace(velocity=0.4, acceleration=0.3)
RELEASE_SPEED_M_S = 0.03
"""Of the opening at the release: at 0.08 the finger that lets go last drags a tall object along and tips it against the palm."""
RETRACT_M = 0.08
LIFTED_M = 0.05
HEIGHT_SLACK_M = 0.02
"""How far above or below where it would stand on its support the object may end: it may lie there otherwise than it stood."""
OPENING_GAIN_M = 0.004
RELEASE_M = 0.012
"""Opened so slowly beyond the object's width; the rest while the hand goes back."""
_RELEASE_HOLD_S = 0.1
_LOST_M = 0.05
_STAGE = "plan_place"


class PickPlaceTask(RegionTask):
    """Take one object and set it down in the region that the sentence names."""

    task_type: Literal["pick_place"] = "pick_place"
    goal_position_m: Vector3
    """Where the demonstration aims to set the target's origin down, in the world: within the region. Whether the task is done does not
    depend on it but for its height, which is that of the support."""
    upright: bool
    """Whether the target must end as upright as it began."""
    max_tilt_rad: float = Field(default=0.26, gt=0)


class PickPlace(Skill[PickPlaceTask]):
    """Takes an object and sets it down where the sentence says."""

    name = "pick_place"
    version = "pick_place-7"
    difficulty = 0.3
    phases = ("approach", "pre_grasp", "close", "lift", "transport", "place", "release", "retract", "home")
    travel_phases = ("approach", "pre_grasp", "lift", "transport", "place", "retract", "home")
    touch_phases = frozenset({"pre_grasp", "close", "lift", "transport", "place", "release", "retract"})
    takes = True
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
        """A part of the surface, or a place beside another object, and how to say so."""
        named = named_objects(place, start)
        subject = named.pop(target)
        phrases = phrases_of(subject, list(named.values()))
        if not phrases:
            raise NotOffered("no words tell it from another object")
        references = {name: told for name, item in named.items() if (told := phrases_of(item, [subject, *_but(named, name)]))}
        footprint = start.footprints[target]
        found = _draw_destination(place, start, target, list(references), rng)
        if found is None:
            raise NotOffered("there is no free spot for it within reach that a sentence names")
        reference = str(rng.choice(references[found.reference])) if found.reference is not None else None
        template = PUT[rng.integers(len(PUT))]
        spot = found.spot_m + footprint.origin_m[:2] - footprint.center_m
        height = place.surface.height_m + float(footprint.origin_m[2]) - footprint.bottom_m
        return PickPlaceTask(
            instruction=say(template, str(rng.choice(phrases)), found.words, place.frame, reference),
            target_object=target,
            support_object=place.surface.support,
            region_m=rounded_corners(found.region),
            center_object_m=center_in_object(start.poses[target], footprint),
            goal_position_m=(round(float(spot[0]), 4), round(float(spot[1]), 4), round(height, 5)),
            upright=place.objects[target].upright,
        )

    def plan(self, scene: MotionScene, qpos: FloatArray, task: PickPlaceTask, *, seed: int) -> Steps:
        """Take it; then, from how it lies in the hand, set it down."""
        pick = plan_pick(_query(scene, qpos, task), seed=seed)
        observed = yield pick
        yield plan_place(_query(scene, observed, task), pick, seed=seed)

    def check(self, task: PickPlaceTask, motion: ObservedMotion) -> tuple[PredicateCheck, ...]:
        """Lifted, in the region, on the support, upright where the task asks, released, at rest and untouched."""
        height = motion.target_poses[:, 2]
        opened = float(motion.gripper_width_m[-1] - motion.gripper_width_m.min())
        return (
            at_least("lifted", float(height.max() - height[0]), LIFTED_M, "m"),
            task.check_in_region(motion.target_poses[-1]),
            at_most("on_support", abs(float(height[-1]) - task.goal_position_m[2]), HEIGHT_SLACK_M, "m"),
            *((check_upright(motion, task.max_tilt_rad),) if task.upright else ()),
            at_least("released", opened, OPENING_GAIN_M, "m"),
            check_at_rest(motion),
            check_untouched(motion, task.target_object),
        )


SKILL = PickPlace()


def _but(named: Mapping[str, NamedObject], left_out: str) -> list[NamedObject]:
    return [item for name, item in named.items() if name != left_out]


def _draw_destination(
    place: Workplace, start: StartState, target: str, references: Sequence[str], rng: np.random.Generator
) -> Destination | None:
    """One of what is on offer: every part of the surface and every relation has the same chance, whatever there are of each."""
    others = {name: footprint for name, footprint in start.footprints.items() if name != target}
    center_m, held_m = start.footprints[target].center_m, _preferred_hold_m(place, start, target)
    search = GoalSearch(
        surface=place.surface,
        frame=place.frame,
        reach=place.reach,
        target=start.footprints[target],
        others=others,
        hand_m=place.planner.arm.gripper.palm.radius_m,
        hand_from_center_m=held_m - center_m,
        is_shown=lambda spots_m: shown_spots(place, start, target, spots_m),
    )
    if not place.surface.at(search.room_for_hand, held_m[None])[0]:
        raise NotOffered("where the hand would hold it, something taller stands too near")
    for words in rng.permutation([*THIRDS, *RELATIONS]):
        for reference in rng.permutation(list(references)) if words in RELATIONS else [None]:
            found = search.offers(str(words), None if reference is None else str(reference))
            if found is not None and is_shown_at(place, start, target, found.spot_m):
                return found
    return None


def _preferred_hold_m(place: Workplace, start: StartState, target: str) -> FloatArray:
    """Where the hand would hold an object that stands alone, (2,) in the world."""
    stands = start.poses[target]
    pose = pose_from_quat(np.array(stands.position_m), np.array(stands.quat_wxyz))
    best = rank_grasps(place.planner, target, pose, 1)
    if len(best) == 0:
        raise NotOffered("the gripper has no grasp of it from above, as it stands")
    held: FloatArray = (pose @ place.planner.grasps_of(target).pose_object_tcp[best[0]])[:2, 3]
    return held


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
    up = solve_place(query, pose_world_tcp, pick.at_place, pick.width_m)
    up = raise_above_goal(scene, up, pick.rise_m, pick.width_m)
    checker.allow()
    path = find_path(scene, start, up[-1], pick.width_m, seed)
    transport, _ = time_checked(scene, path, CARRY_PACE, constant(pick.width_m))
    query.allow_support()
    lower, _ = time_checked(scene, up[::-1], LINE_PACE, constant(pick.width_m))
    builder.move("transport", transport, np.full(len(transport), pick.close_m))
    builder.move("place", lower, np.full(len(lower), pick.close_m), hold_s=STOP_S)
    released_m = min(pick.open_m, pick.width_m + RELEASE_M)
    builder.grip("release", width_m=released_m, speed_m_s=RELEASE_SPEED_M_S, hold_s=_RELEASE_HOLD_S)

    checker.release()
    checker.put(query.target, pose_world_goal)
    query.allow_target()
    back = solve_line(scene, pose_world_tcp, up[0], -RETRACT_M * pose_world_tcp[:3, 2], "goal_unreachable")
    back = extend_up(scene, back, pick.over_m - float(scene.tool_pose(back[-1])[2, 3]), pick.open_m)
    builder.move("retract", *time_checked(scene, back, AWAY_PACE, builder.early(pick.open_m)))
    checker.release()
    checker.allow()
    home = find_path(scene, back[-1], np.array(scene.arm.default_qpos_rad), pick.open_m, seed + 1)
    builder.move("home", *time_checked(scene, home, FREE_PACE, builder.late(scene.arm.gripper.stroke_m)), hold_s=STOP_S)
    setpoints, phases = builder.build()
    return MotionPlan(setpoints=setpoints, phases=phases)
