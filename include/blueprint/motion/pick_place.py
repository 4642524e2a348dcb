"""Pick an object and place it: two plans that a controller executes one after the other.

``plan_pick``: open and approach, straight down to the grasp, close, lift. ``plan_place``, made from what was observed after
the lift: transport, straight down to just above the support, release, straight back, home.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from blueprint.motion.candidates import hand_turns, ik_seeds, rank_grasps
from blueprint.motion.collision import Allowance, relative_pose
from blueprint.motion.errors import CandidateRejected, FailureCode, PlanningFailed, PlanningStage
from blueprint.motion.plan import MotionPlan, PickPlan, SetpointBuilder
from blueprint.motion.pose import FloatArray, build_pose, invert, turn_about_z
from blueprint.motion.scene import MotionScene
from blueprint.motion.segments import describe_contact, find_path, require_free, solve_line, time_checked
from blueprint.motion.timing import Pace
from blueprint.task.spec import PickPlaceTask

FREE_PACE = Pace(velocity=0.45, acceleration=0.22)
CARRY_PACE = Pace(velocity=0.35, acceleration=0.12)
LINE_PACE = Pace(velocity=0.16, acceleration=0.08)

APPROACH_M = 0.10
LIFT_M = 0.12
LOWER_M = 0.10
RETRACT_M = 0.10
RELEASE_HEIGHT_M = 0.002
"""Between the object and its support when the fingers open."""
MAX_GRASPS = 60
MAX_FULL_ATTEMPTS = 5
"""Grasps that pass all cheap checks and get a path search."""
SQUEEZE_M = 0.008
"""How much narrower than the object the fingers are commanded; with the servo's stiffness, it is the force."""
_OPEN_GAP_M = 0.03
_CLOSE_SPEED_M_S = 0.08
_CLOSE_HOLD_S = 0.3
_SETTLE_S = 0.15
_RELEASE_HOLD_S = 0.25
_TOUCH_M = 0.002
_SUPPORT_TOUCH_M = 0.008
_LOST_M = 0.05
_YAWS_RAD = tuple(np.deg2rad((0, 45, -45, 90, -90, 135, -135, 180)))


@dataclass(frozen=True, kw_only=True)
class _Grasp:
    """A grasp that can be reached from the start and taken to the goal, before paths are searched."""

    pose_object_tcp: FloatArray
    approach: FloatArray
    """Joint positions from the pre-grasp to the grasp (k, n)."""
    lift: FloatArray
    open_m: float
    close_m: float
    quality: float
    yaw_rad: float


def plan_pick(scene: MotionScene, qpos: FloatArray, task: PickPlaceTask, *, seed: int) -> PickPlan:
    """Plan from the present state until the target is lifted.

    Tries grasps in order of promise. A grasp counts only if the goal can be reached with it as well.

    Args:
        scene: The prepared model.
        qpos: Whole state (nq,): the arm at rest, every object where it stands.
        task: What to take and where it shall go.
        seed: Decides the path search: the same seed gives the same setpoints, bit by bit.

    Raises:
        PlanningFailed: With the most frequent reason among the grasps that were tried.
    """
    checker = scene.checker
    checker.place_objects(qpos)
    start, width = scene.arm_qpos(qpos), scene.gripper_width(qpos)
    if not checker.is_free(start, width):
        raise PlanningFailed("plan_pick", "start_in_collision", f"where the robot starts, {describe_contact(scene)}")
    rejected: list[CandidateRejected] = []
    attempts = 0
    for candidate in _candidates(scene, qpos, task, rejected):
        attempts += 1
        try:
            return _complete_pick(scene, qpos, task, candidate, seed + 1000 * attempts)
        except CandidateRejected as reason:
            rejected.append(reason)
        if attempts >= MAX_FULL_ATTEMPTS:
            break
    raise _summary("plan_pick", task.target_object, rejected)


def _summary(stage: PlanningStage, object_id: str, rejected: list[CandidateRejected]) -> PlanningFailed:
    if not rejected:
        return PlanningFailed(stage, "no_grasp", f"the gripper has no grasp of '{object_id}' from above")
    codes = Counter(reason.failure_code for reason in rejected)
    code: FailureCode = max(sorted(codes), key=lambda name: codes[name])
    counts = ", ".join(f"{codes[name]} x {name}" for name in sorted(codes))
    example = next(reason.reason for reason in rejected if reason.failure_code == code)
    return PlanningFailed(stage, code, f"{len(rejected)} candidates for '{object_id}' were rejected ({counts}); for example: {example}")


def _candidates(scene: MotionScene, qpos: FloatArray, task: PickPlaceTask, rejected: list[CandidateRejected]) -> Iterator[_Grasp]:
    """Grasps that pass the cheap checks, in order of promise."""
    grasps = scene.grasps_of(task.target_object)
    scene.checker.place_objects(qpos)
    pose_world_object = scene.checker.pose_of(task.target_object)
    for index in rank_grasps(scene, task.target_object, pose_world_object, MAX_GRASPS):
        width, quality = float(grasps.width_m[index]), float(grasps.quality[index])
        failed: CandidateRejected | None = None
        for pose_world_tcp in hand_turns(scene, pose_world_object @ grasps.pose_object_tcp[index]):
            try:
                yield _check_grasp(scene, qpos, task, relative_pose(pose_world_object, pose_world_tcp), width, quality)
                failed = None
                break
            except CandidateRejected as reason:
                failed = failed or reason
        if failed is not None:
            rejected.append(failed)


def _check_grasp(
    scene: MotionScene, qpos: FloatArray, task: PickPlaceTask, pose_object_tcp: FloatArray, width_m: float, quality: float
) -> _Grasp:
    """All that can be asked of a grasp without searching for a path."""
    checker, target = scene.checker, task.target_object
    checker.place_objects(qpos)
    pose_world_object = checker.pose_of(target)
    pose_world_tcp = pose_world_object @ pose_object_tcp
    at_grasp = scene.solve_ik(pose_world_tcp, ik_seeds(scene, pose_world_tcp[:3, 3]))
    if at_grasp is None:
        raise CandidateRejected("no_ik", "the grasp is out of the arm's reach")
    open_m = min(scene.arm.gripper.stroke_m, width_m + _OPEN_GAP_M)
    _allow_target(scene, target)
    require_free(scene, at_grasp[None], open_m, "grasp_blocked")
    back = solve_line(scene, pose_world_tcp, at_grasp, -APPROACH_M * pose_world_tcp[:3, 2], "no_ik")
    require_free(scene, back, open_m, "grasp_blocked")
    lift = solve_line(scene, pose_world_tcp, at_grasp, np.array([0.0, 0.0, LIFT_M]), "no_ik")
    _carry(scene, task, invert(pose_object_tcp))
    require_free(scene, lift, width_m, "grasp_blocked")
    yaw = _reachable_yaw(scene, task, pose_world_object, pose_object_tcp, lift[-1], width_m)
    close = max(0.0, width_m - SQUEEZE_M)
    return _Grasp(
        pose_object_tcp=pose_object_tcp, approach=back[::-1], lift=lift, open_m=open_m, close_m=close, quality=quality, yaw_rad=yaw
    )


def _reachable_yaw(
    scene: MotionScene, task: PickPlaceTask, pose_world_object: FloatArray, pose_object_tcp: FloatArray, near: FloatArray, width_m: float
) -> float:
    """A turn of the object at the goal that the arm can reach with this grasp, smallest first."""
    last: CandidateRejected | None = None
    for yaw in _YAWS_RAD:
        try:
            pose_world_tcp = _goal_pose(task, pose_world_object, yaw) @ pose_object_tcp
            _solve_place(scene, pose_world_tcp, near, width_m)
        except CandidateRejected as reason:
            last = reason
        else:
            return float(yaw)
    raise last or CandidateRejected("goal_unreachable", "the goal is out of reach")


def _solve_place(scene: MotionScene, pose_world_tcp: FloatArray, near: FloatArray, width_m: float) -> FloatArray:
    """Joint positions from the place upward (k, n), free with the object in hand."""
    at_place = scene.solve_ik(pose_world_tcp, ik_seeds(scene, pose_world_tcp[:3, 3], near=near))
    if at_place is None:
        raise CandidateRejected("goal_unreachable", "the goal is out of the arm's reach with this grasp")
    require_free(scene, at_place[None], width_m, "goal_unreachable")
    up = solve_line(scene, pose_world_tcp, at_place, np.array([0.0, 0.0, LOWER_M]), "goal_unreachable")
    require_free(scene, up, width_m, "goal_unreachable")
    return up


def _goal_pose(task: PickPlaceTask, pose_world_object: FloatArray, yaw_rad: float) -> FloatArray:
    """The object standing at the goal as it stood at the start, turned about the vertical, a little above the support."""
    rotation = turn_about_z(yaw_rad)[:3, :3] @ pose_world_object[:3, :3]
    return build_pose(np.array(task.goal_position_m) + np.array([0.0, 0.0, RELEASE_HEIGHT_M]), rotation)


def _allow_target(scene: MotionScene, target: str) -> None:
    """The fingers may come close to the target, and touch it lightly."""
    checker = scene.checker
    checker.set_clearance(target, 0.0)
    checker.allow(Allowance(checker.finger_bodies, checker.bodies_of(target), _TOUCH_M))


def _carry(scene: MotionScene, task: PickPlaceTask, pose_tcp_object: FloatArray) -> None:
    """The target is in hand and may touch what it stands on."""
    checker = scene.checker
    checker.hold(task.target_object, pose_tcp_object)
    checker.allow(Allowance(checker.bodies_of(task.target_object), checker.bodies_of(task.support_object), _SUPPORT_TOUCH_M))


def _complete_pick(scene: MotionScene, qpos: FloatArray, task: PickPlaceTask, grasp: _Grasp, seed: int) -> PickPlan:
    """Search the path to a grasp and time all of it."""
    checker = scene.checker
    start, width = scene.arm_qpos(qpos), scene.gripper_width(qpos)
    checker.place_objects(qpos)
    pose_world_object = checker.pose_of(task.target_object)
    checker.allow()
    path = find_path(scene, start, grasp.approach[0], grasp.open_m, seed)
    builder = SetpointBuilder(scene.model, scene.arm, fps=scene.fps, arm_start=start, width_m=width)
    builder.move("approach", time_checked(scene, path, FREE_PACE, grasp.open_m), width_m=grasp.open_m)
    _allow_target(scene, task.target_object)
    builder.move("pre_grasp", time_checked(scene, grasp.approach, LINE_PACE, grasp.open_m), width_m=grasp.open_m, hold_s=_SETTLE_S)
    builder.grip("close", width_m=grasp.close_m, speed_m_s=_CLOSE_SPEED_M_S, hold_s=_CLOSE_HOLD_S)
    _carry(scene, task, invert(grasp.pose_object_tcp))
    holding = grasp.close_m + SQUEEZE_M
    builder.move("lift", time_checked(scene, grasp.lift, LINE_PACE, holding), width_m=grasp.close_m)
    setpoints, phases = builder.build()
    return PickPlan(
        setpoints=setpoints,
        phases=phases,
        object_id=task.target_object,
        pose_object_tcp=grasp.pose_object_tcp,
        pose_world_object=pose_world_object,
        yaw_rad=grasp.yaw_rad,
        open_m=grasp.open_m,
        close_m=grasp.close_m,
        grasp_quality=grasp.quality,
    )


def plan_place(scene: MotionScene, qpos: FloatArray, task: PickPlaceTask, pick: PickPlan, *, seed: int) -> MotionPlan:
    """Plan from the lifted object, as it lies in the hand, until it stands at the goal and the arm is home.

    Args:
        scene: The prepared model.
        qpos: Whole state (nq,) after ``pick`` was executed.
        task: Where the object shall go.
        pick: The plan that was executed; its last setpoint is where this plan starts.
        seed: Decides the path search.

    Raises:
        PlanningFailed: The object is not in hand, or no orientation at the goal has a motion.
    """
    checker = scene.checker
    checker.place_objects(qpos)
    pose_world_object = checker.pose_of(task.target_object)
    pose_world_tcp = checker.tcp_pose(scene.arm_qpos(qpos))
    pose_tcp_object = relative_pose(pose_world_tcp, pose_world_object)
    slipped = float(np.linalg.norm((pick.pose_object_tcp @ pose_tcp_object)[:3, 3]))
    if slipped > _LOST_M:
        reason = f"'{task.target_object}' is {slipped * 100:.0f} cm away from where the hand should hold it"
        raise PlanningFailed("plan_place", "object_not_held", reason)
    rejected: list[CandidateRejected] = []
    for attempt, yaw in enumerate(sorted(_YAWS_RAD, key=lambda value: abs(value - pick.yaw_rad))):
        try:
            return _complete_place(scene, qpos, task, pick, pose_tcp_object, yaw, seed + 1000 * (attempt + 1))
        except CandidateRejected as reason:
            rejected.append(reason)
    raise _summary("plan_place", task.target_object, rejected)


def _complete_place(
    scene: MotionScene, qpos: FloatArray, task: PickPlaceTask, pick: PickPlan, pose_tcp_object: FloatArray, yaw_rad: float, seed: int
) -> MotionPlan:
    """Transport, lower, release, retract and go home, for one orientation at the goal."""
    checker = scene.checker
    start = _last_arm_setpoint(scene, pick)
    holding = pick.close_m + SQUEEZE_M
    checker.place_objects(qpos)
    _carry(scene, task, pose_tcp_object)
    pose_world_goal = _goal_pose(task, pick.pose_world_object, yaw_rad)
    pose_world_tcp = pose_world_goal @ invert(pose_tcp_object)
    up = _solve_place(scene, pose_world_tcp, start, holding)
    path = find_path(scene, start, up[-1], holding, seed)
    builder = SetpointBuilder(scene.model, scene.arm, fps=scene.fps, arm_start=start, width_m=pick.close_m)
    builder.move("transport", time_checked(scene, path, CARRY_PACE, holding), width_m=pick.close_m)
    builder.move("place", time_checked(scene, up[::-1], LINE_PACE, holding), width_m=pick.close_m, hold_s=_SETTLE_S)
    builder.grip("release", width_m=pick.open_m, speed_m_s=_CLOSE_SPEED_M_S, hold_s=_RELEASE_HOLD_S)
    checker.release()
    checker.put(task.target_object, pose_world_goal)
    _allow_target(scene, task.target_object)
    back = solve_line(scene, pose_world_tcp, up[0], -RETRACT_M * pose_world_tcp[:3, 2], "goal_unreachable")
    builder.move("retract", time_checked(scene, back, LINE_PACE.slower(1.5), pick.open_m), width_m=pick.open_m)
    checker.release()
    checker.allow()
    home = find_path(scene, back[-1], np.array(scene.arm.default_qpos_rad), pick.open_m, seed + 1)
    builder.move("home", time_checked(scene, home, FREE_PACE, pick.open_m), width_m=scene.arm.gripper.stroke_m, hold_s=_SETTLE_S)
    setpoints, phases = builder.build()
    return MotionPlan(setpoints=setpoints, phases=phases)


def _last_arm_setpoint(scene: MotionScene, pick: PickPlan) -> FloatArray:
    columns = [scene.model.actuator(f"robot/{joint.actuator}").id for joint in scene.arm.joints]
    setpoint: FloatArray = pick.setpoints[-1, columns]
    return setpoint
