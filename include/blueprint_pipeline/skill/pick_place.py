"""Pick an object and place it: two plans that a controller executes one after the other.

``plan_pick``: open and approach, straight down to the grasp, close, lift. ``plan_place``, made from what was observed after
the lift: transport, straight down to just above the support, release, straight back, home.
"""

from collections import Counter
from itertools import islice

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import invert
from blueprint_pipeline.motion.collision import relative_pose
from blueprint_pipeline.motion.errors import CandidateRejected, FailureCode, PlanningFailed, PlanningStage
from blueprint_pipeline.motion.plan import MotionPlan, PickPlan, SetpointBuilder
from blueprint_pipeline.motion.reachable_grasps import YAWS_RAD, Query, ReachableGrasp, goal_pose, reachable_grasps, solve_place
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.motion.segments import constant, describe_contact, find_path, solve_line, time_checked
from blueprint_pipeline.motion.timing import Pace
from blueprint_pipeline.robot.embodiment import ROBOT_PREFIX
from blueprint_pipeline.task.spec import PickPlaceTask

FREE_PACE = Pace(velocity=0.7, acceleration=0.4)
CARRY_PACE = Pace(velocity=0.5, acceleration=0.25)
LINE_PACE = Pace(velocity=0.3, acceleration=0.18)
AWAY_PACE = Pace(velocity=0.4, acceleration=0.3)

RETRACT_M = 0.08
MAX_PATH_SEARCHES = 5
"""Grasps that pass all cheap checks and get a path search."""
GRIP_SPEED_M_S = 0.08
_CLOSE_HOLD_S = 0.25
_SETTLE_S = 0.1
_RELEASE_HOLD_S = 0.2
_LOST_M = 0.05
_SEED_STEP = 1000
"""Between the seeds of two attempts of one plan."""


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
    query = Query(scene=scene, qpos=qpos, task=task)
    query.reset()
    if not scene.checker.is_free(scene.arm_qpos(qpos), scene.gripper_width(qpos)):
        raise PlanningFailed("plan_pick", "start_in_collision", f"where the robot starts, {describe_contact(scene)}")
    rejected: list[CandidateRejected] = []
    for attempt, grasp in enumerate(islice(reachable_grasps(query, rejected), MAX_PATH_SEARCHES), start=1):
        try:
            return _complete_pick(query, grasp, seed + _SEED_STEP * attempt)
        except CandidateRejected as reason:
            rejected.append(reason)
    raise _summary("plan_pick", task.target_object, rejected)


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
    query = Query(scene=scene, qpos=qpos, task=task)
    query.reset()
    pose_world_object = scene.checker.pose_of(task.target_object)
    pose_tcp_object = relative_pose(scene.checker.tcp_pose(scene.arm_qpos(qpos)), pose_world_object)
    slipped = float(np.linalg.norm((pick.pose_object_tcp @ pose_tcp_object)[:3, 3]))
    if slipped > _LOST_M:
        reason = f"'{task.target_object}' is {slipped * 100:.0f} cm away from where the hand should hold it"
        raise PlanningFailed("plan_place", "object_not_held", reason)
    rejected: list[CandidateRejected] = []
    for attempt, yaw in enumerate(sorted(YAWS_RAD, key=lambda value: abs(value - pick.yaw_rad)), start=1):
        try:
            return _complete_place(query, pick, pose_tcp_object, float(yaw), seed + _SEED_STEP * attempt)
        except CandidateRejected as reason:
            rejected.append(reason)
    raise _summary("plan_place", task.target_object, rejected)


def _complete_pick(query: Query, grasp: ReachableGrasp, seed: int) -> PickPlan:
    """Search the path to a grasp and time all of it."""
    scene, checker = query.scene, query.scene.checker
    start, width = scene.arm_qpos(query.qpos), scene.gripper_width(query.qpos)
    query.reset()
    pose_world_object = checker.pose_of(query.task.target_object)
    builder = SetpointBuilder(scene.model, scene.arm, fps=scene.fps, arm_start=start, width_m=width)
    path = find_path(scene, start, grasp.approach[0], grasp.open_m, seed)
    builder.move("approach", *time_checked(scene, path, FREE_PACE, builder.early(grasp.open_m)))
    query.allow_target()
    builder.move("pre_grasp", *time_checked(scene, grasp.approach, LINE_PACE, builder.early(grasp.open_m)), hold_s=_SETTLE_S)
    builder.grip("close", width_m=grasp.close_m, speed_m_s=GRIP_SPEED_M_S, hold_s=_CLOSE_HOLD_S)
    checker.hold(query.task.target_object, invert(grasp.pose_object_tcp))
    query.allow_lift(grasp.lift[0], grasp.width_m)
    lift, _ = time_checked(scene, grasp.lift, LINE_PACE, constant(grasp.width_m))
    builder.move("lift", lift, np.full(len(lift), grasp.close_m))
    setpoints, phases = builder.build()
    return PickPlan(
        setpoints=setpoints,
        phases=phases,
        object_id=query.task.target_object,
        pose_object_tcp=grasp.pose_object_tcp,
        pose_world_object=pose_world_object,
        yaw_rad=grasp.yaw_rad,
        width_m=grasp.width_m,
        open_m=grasp.open_m,
        close_m=grasp.close_m,
        grasp_quality=grasp.quality,
    )


def _complete_place(query: Query, pick: PickPlan, pose_tcp_object: FloatArray, yaw_rad: float, seed: int) -> MotionPlan:
    """Transport, lower, release, retract and go home, for one orientation at the goal."""
    scene, checker, target = query.scene, query.scene.checker, query.task.target_object
    start = _last_arm_setpoint(scene, pick)
    pose_world_goal = goal_pose(query.task, pick.pose_world_object, yaw_rad)
    pose_world_tcp = pose_world_goal @ invert(pose_tcp_object)
    builder = SetpointBuilder(scene.model, scene.arm, fps=scene.fps, arm_start=start, width_m=pick.close_m)
    query.reset()
    checker.hold(target, pose_tcp_object)
    up = solve_place(query, pose_world_tcp, start, pick.width_m)
    checker.allow()
    path = find_path(scene, start, up[-1], pick.width_m, seed)
    transport, _ = time_checked(scene, path, CARRY_PACE, constant(pick.width_m))
    query.allow_support()
    lower, _ = time_checked(scene, up[::-1], LINE_PACE, constant(pick.width_m))
    builder.move("transport", transport, np.full(len(transport), pick.close_m))
    builder.move("place", lower, np.full(len(lower), pick.close_m), hold_s=_SETTLE_S)
    builder.grip("release", width_m=pick.open_m, speed_m_s=GRIP_SPEED_M_S, hold_s=_RELEASE_HOLD_S)

    checker.release()
    checker.put(target, pose_world_goal)
    query.allow_target()
    back = solve_line(scene, pose_world_tcp, up[0], -RETRACT_M * pose_world_tcp[:3, 2], "goal_unreachable")
    builder.move("retract", *time_checked(scene, back, AWAY_PACE, constant(pick.open_m)))
    checker.release()
    checker.allow()
    home = find_path(scene, back[-1], np.array(scene.arm.default_qpos_rad), pick.open_m, seed + 1)
    builder.move("home", *time_checked(scene, home, FREE_PACE, builder.late(scene.arm.gripper.stroke_m)), hold_s=_SETTLE_S)
    setpoints, phases = builder.build()
    return MotionPlan(setpoints=setpoints, phases=phases)


def _summary(stage: PlanningStage, object_id: str, rejected: list[CandidateRejected]) -> PlanningFailed:
    if not rejected:
        return PlanningFailed(stage, "no_grasp", f"the gripper has no grasp of '{object_id}' from above")
    codes = Counter(reason.failure_code for reason in rejected)
    code: FailureCode = max(sorted(codes), key=lambda name: codes[name])
    counts = ", ".join(f"{codes[name]} x {name}" for name in sorted(codes))
    example = next(reason.reason for reason in rejected if reason.failure_code == code)
    return PlanningFailed(stage, code, f"{len(rejected)} candidates for '{object_id}' were rejected ({counts}); for example: {example}")


def _last_arm_setpoint(scene: MotionScene, pick: PickPlan) -> FloatArray:
    columns = [scene.model.actuator(ROBOT_PREFIX + joint.actuator).id for joint in scene.arm.joints]
    setpoint: FloatArray = pick.setpoints[-1, columns]
    return setpoint
