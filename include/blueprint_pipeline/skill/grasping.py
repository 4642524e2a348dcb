"""Which grasps of the target can be reached, lifted and taken to the goal: all that can be asked without searching for a path."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Vector3
from blueprint_pipeline.geometry.transforms import build_pose, invert, turn_about_z
from blueprint_pipeline.motion.candidates import hand_turns, ik_seeds, rank_grasps
from blueprint_pipeline.motion.collision import CLEARANCE_M, Allowance, relative_pose
from blueprint_pipeline.motion.errors import CandidateRejected
from blueprint_pipeline.motion.grasp_set import GraspSet
from blueprint_pipeline.motion.overhead import extend_up
from blueprint_pipeline.motion.plan import Widths
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.motion.segments import LINE_STEP_M, require_free, solve_line

APPROACH_M = 0.08
LIFT_M = 0.10
LOWER_M = 0.08
RELEASE_HEIGHT_M = 0.002
"""Between the object and its support when the fingers open."""
RELEASE_M = 0.012
"""Opened so slowly beyond the object's width; the rest while the hand goes back."""
MAX_GRASPS = 60
MAX_UNREACHABLE = 10
"""Grasps, spread over the object, that cannot be taken to the goal: after so many the goal itself is at fault."""
YAWS_RAD = tuple(np.deg2rad((0, 45, -45, 90, -90, 135, -135, 180)))
"""Turns of an object at its goal, where any will do."""
PALM_GAP_M = 0.006
"""Between the target and all of the hand but the fingers: an arm lags behind its setpoints, and an object slips a little in hand."""
_SAME_M, _SAME_COS = 0.015, float(np.cos(0.3))
"""So near and so little turned, one grasp is as good as the other."""
OPEN_GAP_M = 0.03
"""By how much more than the object is wide the fingers open where they have no room to open wide."""
_TOUCH_M = 0.002
SUPPORT_TOUCH_M = 0.008


@dataclass(frozen=True, kw_only=True)
class GraspQuery:
    """What is asked: to take an object from where it stands, and to set it down somewhere else."""

    scene: MotionScene
    qpos: FloatArray
    """Whole state (nq,)."""
    target: str
    support: str
    """What the target is set down on."""
    goal_position_m: Vector3
    """Where the target's origin should come to rest, if it is not turned."""
    center_object_m: Vector3
    """The middle of the target in its own frame: what it is turned about at the goal, wherever its origin lies."""
    keep_m: float = CLEARANCE_M
    """What the robot keeps from that support when the target is set down: more before it is in hand, in which it will slip a little."""

    yaws_rad: tuple[float, ...] = YAWS_RAD
    """Turns of the target at the goal about the vertical, in the order in which they are tried."""
    looks_above: bool = False
    """Whether the target is looked at again above its goal, and lowered from how it lies in the hand there: it slips on the way."""
    line_step_m: float = LINE_STEP_M
    """Between two points of the straight way down to the goal."""
    support_touch_m: float = SUPPORT_TOUCH_M
    """How deep the target in hand may touch what it is set down on; below 0: what is kept between them."""
    among: GraspSet | None = None
    """All grasps that count; if not given, all of the target's."""
    tried: tuple[FloatArray, ...] = ()
    """Where the hand was in earlier tries, in the target's frame (4, 4) each: it is not held in the same way again."""

    def was_tried(self, pose_object_tcp: FloatArray) -> bool:
        """Whether a grasp (4, 4) is nearly one of those; turned by half a turn about its approach, it is the same."""
        return any(
            np.linalg.norm(pose_object_tcp[:3, 3] - other[:3, 3]) < _SAME_M
            and pose_object_tcp[:3, 2] @ other[:3, 2] > _SAME_COS
            and abs(pose_object_tcp[:3, 1] @ other[:3, 1]) > _SAME_COS
            for other in self.tried
        )

    def reset(self) -> None:
        """Bring the checker back to the state: nothing in hand, nothing allowed."""
        self.scene.checker.place_objects(self.qpos)
        self.scene.checker.allow()

    def allow_target(self) -> None:
        """The fingers may come close to the target, and touch it lightly; the palm keeps :data:`PALM_GAP_M` from it."""
        checker, target = self.scene.checker, self.target
        checker.set_clearance(target, PALM_GAP_M)
        checker.allow(Allowance(checker.finger_bodies, checker.bodies_of(target), _TOUCH_M))

    def allow_lift(self, start: FloatArray, width_m: Widths) -> None:
        """The target in hand may touch what it touches where it is taken (its support, a neighbour that leans on it)."""
        checker = self.scene.checker
        target = checker.bodies_of(self.target)
        checker.allow()
        checker.is_free(start, width_m)
        checker.allow(Allowance(target, checker.touching(target), SUPPORT_TOUCH_M))

    def allow_support(self) -> None:
        """The target in hand may touch what it should stand on."""
        checker = self.scene.checker
        support = checker.bodies_of(self.support)
        checker.set_clearance(self.support, self.keep_m)
        checker.allow(Allowance(checker.bodies_of(self.target), support, self.support_touch_m))


@dataclass(frozen=True, kw_only=True)
class ReachableGrasp:
    """A grasp that can be reached from above and taken to the goal."""

    pose_object_tcp: FloatArray
    approach: FloatArray
    """Joint positions from the pre-grasp to the grasp (k, n)."""
    lift: FloatArray
    width_m: float
    """Of the object between the fingers."""
    open_m: float
    close_m: float
    quality: float
    yaw_rad: float


def reachable_grasps(query: GraspQuery, rejected: list[CandidateRejected]) -> Iterator[ReachableGrasp]:
    """Grasps that pass, in order of promise; why others did not is added to ``rejected``.

    Ends early when many good grasps fail at the goal: it is out of reach or occupied for all of them.
    """
    scene, target = query.scene, query.target
    grasps = scene.grasps_of(target) if query.among is None else query.among
    query.reset()
    pose_world_object = scene.checker.pose_of(target)
    for index in rank_grasps(scene, target, pose_world_object, MAX_GRASPS, grasps):
        failed: CandidateRejected | None = None
        for pose_world_tcp in hand_turns(scene, pose_world_object @ grasps.pose_object_tcp[index]):
            pose_object_tcp = relative_pose(pose_world_object, pose_world_tcp)
            try:
                yield _check_grasp(query, pose_object_tcp, float(grasps.width_m[index]), float(grasps.quality[index]))
                failed = None
                break
            except CandidateRejected as reason:
                failed = failed or reason
        if failed is not None:
            rejected.append(failed)
        if sum(reason.failure_code == "goal_unreachable" for reason in rejected) >= MAX_UNREACHABLE:
            return


def _check_grasp(query: GraspQuery, pose_object_tcp: FloatArray, width_m: float, quality: float) -> ReachableGrasp:
    if query.was_tried(pose_object_tcp):
        raise CandidateRejected("tried", "it was held nearly so before, in vain")
    query.reset()
    pose_world_object = query.scene.checker.pose_of(query.target)
    taking = check_taking(query, pose_object_tcp, width_m)
    return ReachableGrasp(
        pose_object_tcp=pose_object_tcp,
        approach=taking.approach,
        lift=taking.lift,
        width_m=width_m,
        open_m=taking.open_m,
        close_m=max(0.0, width_m - query.scene.arm.gripper.squeeze_m),
        quality=quality,
        yaw_rad=find_yaw(query, pose_world_object, pose_object_tcp, taking.lift[-1], width_m),
    )


@dataclass(frozen=True, kw_only=True)
class Taking:
    """How a hand takes an object where it stands: joint positions (k, n) each."""

    approach: FloatArray
    """From before the grasp to the grasp."""
    lift: FloatArray
    """From there upward."""
    open_m: float
    """Opening before the grasp."""


def check_taking(query: GraspQuery, pose_object_tcp: FloatArray, width_m: float) -> Taking:
    """Reach down to a grasp, and lift; afterwards the checker has the target in hand.

    Raises:
        CandidateRejected: ``no_ik``, ``grasp_blocked``.
    """
    scene, checker = query.scene, query.scene.checker
    query.reset()
    pose_world_tcp = checker.pose_of(query.target) @ pose_object_tcp
    at_grasp = scene.solve_ik(pose_world_tcp, ik_seeds(scene, pose_world_tcp))
    if at_grasp is None:
        raise CandidateRejected("no_ik", "the grasp is out of the arm's reach")
    back = solve_line(scene, pose_world_tcp, at_grasp, -APPROACH_M * pose_world_tcp[:3, 2], "no_ik")
    query.allow_target()
    open_m = _opening(query, back, width_m)
    lift = solve_line(scene, pose_world_tcp, at_grasp, np.array([0.0, 0.0, LIFT_M]), "no_ik")
    checker.hold(query.target, invert(pose_object_tcp))
    query.allow_lift(at_grasp, width_m)
    require_free(scene, lift, width_m, "grasp_blocked")
    return Taking(approach=back[::-1], lift=lift, open_m=open_m)


def _opening(query: GraspQuery, way: FloatArray, width_m: float) -> float:
    """How far the fingers are open on the way (k, n) to the object: as far as they go, or only so far that nothing else is touched.

    Raises:
        CandidateRejected: ``grasp_blocked``: there is no room for a little more than the object either.
    """
    widest_m = query.scene.arm.gripper.stroke_m
    try:
        require_free(query.scene, way, widest_m, "grasp_blocked")
    except CandidateRejected:
        narrow_m = min(widest_m, width_m + OPEN_GAP_M)
        require_free(query.scene, way, narrow_m, "grasp_blocked")
        return narrow_m
    return widest_m


def find_yaw(query: GraspQuery, pose_world_object: FloatArray, pose_object_tcp: FloatArray, near: FloatArray, width_m: float) -> float:
    """The first turn of the object at the goal that the arm can reach with this grasp [rad]; the checker has the object in hand.

    Raises:
        CandidateRejected: ``goal_unreachable``, for the reason of the first of all.
    """
    rejected: CandidateRejected | None = None
    for yaw in query.yaws_rad:
        try:
            solve_place(query, goal_pose(query, pose_world_object, yaw) @ pose_object_tcp, near, width_m)
        except CandidateRejected as reason:
            rejected = rejected or reason
        else:
            return float(yaw)
    raise rejected or CandidateRejected("goal_unreachable", "the goal is out of reach")


def solve_place(query: GraspQuery, pose_world_tcp: FloatArray, near: FloatArray, width_m: float) -> FloatArray:
    """Joint positions from the place upward (k, n), free with the object in hand.

    Raises:
        CandidateRejected: ``goal_unreachable``.
    """
    scene = query.scene
    at_place = scene.solve_ik(pose_world_tcp, ik_seeds(scene, pose_world_tcp, near=near))
    if at_place is None:
        raise CandidateRejected("goal_unreachable", "the goal is out of the arm's reach with this grasp")
    query.allow_support()
    require_free(scene, at_place[None], width_m, "goal_unreachable")
    require_free(scene, at_place[None], min(scene.arm.gripper.stroke_m, width_m + RELEASE_M), "goal_unreachable")
    up = solve_line(scene, pose_world_tcp, at_place, np.array([0.0, 0.0, LOWER_M]), "goal_unreachable", step_m=query.line_step_m)
    require_free(scene, up, width_m, "goal_unreachable")
    return up


def raise_above_goal(scene: MotionScene, up: FloatArray, rise_m: float, width_m: float) -> FloatArray:
    """The way up from the place (k, n) continued as high as an object is lifted, and by ``rise_m`` more."""
    return extend_up(scene, up, LIFT_M - LOWER_M + rise_m, width_m)


def goal_pose(query: GraspQuery, pose_world_object: FloatArray, yaw_rad: float) -> FloatArray:
    """The object at the goal as it stood at the start, turned about the vertical through its middle, a little above the support."""
    stood, center_m = pose_world_object[:3, :3], np.array(query.center_object_m)
    rotation = turn_about_z(yaw_rad)[:3, :3] @ stood
    position_m = np.array(query.goal_position_m) + (stood - rotation) @ center_m
    return build_pose(position_m + np.array([0.0, 0.0, RELEASE_HEIGHT_M]), rotation)
