"""Taking a part by its handle, or a knob across, and bringing it along its joint: approach, reach, grasp, along it, let go, back away.

The hand goes as the part does. About a hinge it may also turn less than the part does, where an upright bar turns between the fingers.
World frame: z up, metres.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
from scipy.spatial.transform import Rotation

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.motion.candidates import hand_turns, natural_x
from blueprint_pipeline.motion.errors import CandidateRejected, PlanningFailed
from blueprint_pipeline.motion.handles import HandleGrasps
from blueprint_pipeline.motion.plan import MotionPlan, SetpointBuilder
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.motion.segments import LARGEST_JUMP_RAD, constant, find_path, require_free, solve_line, time_checked
from blueprint_pipeline.motion.timing import Pace
from blueprint_pipeline.skill.attempts import complete_first
from blueprint_pipeline.skill.grasping import OPEN_GAP_M
from blueprint_pipeline.skill.part_query import PartQuery, require_direct_home, turn_to
from blueprint_pipeline.skill.picking import FREE_PACE, GRIP_SPEED_M_S, LINE_PACE, STOP_S, summarise_rejected
from blueprint_pipeline.twin.articulation import PartJoint

PULL_PACE = Pace(velocity=0.12, acceleration=0.06)
APPROACH_M, LEAVE_M = 0.08, 0.08
MAX_TRIES = 400
"""Grasps of a handle that are looked at: of a low one with another above it, one in a hundred can be reached and followed."""
OUT_OF_REACH = 60
"""Grasps, spread over all approaches, of which none is reached and followed: after so many the part itself is out of reach."""
TURN_SHARES = (1.0, 0.6, 0.2)
"""Of the turn of a part about its hinge, those by which the hand turns with it, in the order in which they are tried."""
_STAGE = "plan_pull"
_REACH_CODES = frozenset({"no_ik", "way_unreachable"})
_HOLD_S = 0.15
_STEP_M, _STEP_RAD = 0.015, 0.06
_ALONG = 0.9
"""Cosine between a bar and a hinge from which the bar may turn between the fingers."""


@dataclass(frozen=True, kw_only=True)
class PullQuery(PartQuery):
    """What is asked: to bring a part from where it is to a position of its joint."""

    goal: float
    """[m] or [rad]; it may lie a little beyond the range: the hand then presses."""


@dataclass(frozen=True, kw_only=True)
class Pull:
    """Joint positions of the arm (k, n) each, and openings of the gripper."""

    approach: FloatArray
    """From before the handle to the grasp."""
    way: FloatArray
    """With the part."""
    leave: FloatArray
    """Straight back from it."""
    width_m: float
    """Of the handle between the fingers."""
    open_m: float
    close_m: float


def plan_pull(query: PullQuery, controls: FloatArray, phase: str, *, seed: int) -> MotionPlan:
    """Plan from the present state until the hand is off the part again.

    Args:
        query: What to move where.
        controls: What is commanded now (nu,).
        phase: Name of the phase in which the part moves.
        seed: Decides the path search: the same seed gives the same setpoints, bit by bit.

    Raises:
        PlanningFailed: With the most frequent reason among the grasps that were tried.
    """
    part, rejected = query.joint.part, list[CandidateRejected]()
    found = complete_first(find_pulls(query, rejected), partial(_complete, query, controls, phase), rejected, seed=seed)
    if found is None:
        raise no_pull(part, rejected)
    return found


def no_pull(part: str, rejected: list[CandidateRejected]) -> PlanningFailed:
    """The failure of a pull of which every try was rejected."""
    if rejected:
        return summarise_rejected(_STAGE, part, rejected)
    return PlanningFailed(_STAGE, "no_grasp", f"the gripper has no grasp of '{part}' from its front")


def find_pulls(query: PullQuery, rejected: list[CandidateRejected]) -> Iterator[Pull]:
    """What the arm can do, in order of promise; why it cannot do the rest is added to ``rejected``."""
    found = query.scene.handle_of(query.joint.part)
    if found is None:
        return
    shares = TURN_SHARES if _may_turn(query.joint, found.handle.axes[:, 0]) else TURN_SHARES[:1]
    for hands, width_m in islice(_ways_to_hold(query, found), MAX_TRIES):
        failed: CandidateRejected | None = None
        for hand in hands:
            for share in shares:
                try:
                    yield _solve(query, hand, width_m, share)
                except CandidateRejected as reason:
                    failed = failed or reason
                else:
                    failed = None
                    break
            else:
                continue
            break
        if failed is not None:
            rejected.append(failed)
        if len(rejected) >= OUT_OF_REACH and all(reason.failure_code in _REACH_CODES for reason in rejected):
            return


def _ways_to_hold(query: PullQuery, found: HandleGrasps) -> Iterator[tuple[list[FloatArray], float]]:
    """Ways to hold a part, the most promising first: poses of the hand (4, 4) that hold it alike, and its width between the fingers.

    A handle is held by its best grasp, as the arm has its hand by default. A knob turns the hand: it is held so that the hand is as the arm
    has it by default in the middle of the turn.
    """
    poses = query.pose_world_part @ found.grasps.pose_object_tcp
    if found.handle.use != "knob":
        for index in found.ranked(query.pose_world_part[:3, :3]):
            yield hand_turns(query.scene, poses[index]), float(found.grasps.width_m[index])
        return
    hands = [(pose, width) for grip, width in zip(poses, found.grasps.width_m, strict=True) for pose in hand_turns(query.scene, grip)]
    halfway = query.joint.line.motion(0.0, (query.goal - query.start) / 2)[:3, :3]
    turned = [float(halfway @ hand[:3, 0] @ natural_x(query.scene, hand[:3, 3], hand[:3, 2])) for hand, _ in hands]
    for index in np.argsort(-np.round(turned, 6), kind="stable"):
        yield [hands[index][0]], float(hands[index][1])


def _may_turn(joint: PartJoint, along: FloatArray) -> bool:
    """Whether a handle of which this is the longer side, in the frame of its part, may turn between the fingers as the part turns."""
    line = joint.line
    rotation = Rotation.from_quat(line.closed.quat_wxyz, scalar_first=True).as_matrix()
    return not line.slides and abs(float(rotation @ along @ np.array(line.axis))) >= _ALONG


def _solve(query: PullQuery, hand: FloatArray, width_m: float, turn_share: float) -> Pull:
    """A whole pull with the hand at a pose (4, 4) of the world where it takes the handle.

    Raises:
        CandidateRejected: ``no_ik``, ``grasp_blocked`` or ``way_blocked``.
    """
    scene, checker, line = query.scene, query.scene.checker, query.joint.line
    query.reset()
    at_grasp = turn_to(scene, hand)
    if at_grasp is None:
        raise CandidateRejected("no_ik", "the handle is out of the arm's reach")
    approach = solve_line(scene, hand, at_grasp, -APPROACH_M * hand[:3, 2], "no_ik")[::-1]
    open_m = _opening(scene, approach, width_m)
    poses = _hand_poses(query, hand, turn_share)
    way = _follow(scene, poses, at_grasp)
    checker.pull(query.joint, hand)
    require_free(scene, way, width_m, "way_blocked")
    checker.leave_part(query.joint, np.clip(query.goal, *line.limits))
    leave = solve_line(scene, poses[-1], way[-1], -LEAVE_M * poses[-1][:3, 2], "no_ik")
    require_free(scene, leave, open_m, "way_blocked")
    squeezed_m = max(0.0, width_m - scene.arm.gripper.squeeze_m)
    return Pull(approach=approach, way=way, leave=leave, width_m=width_m, open_m=open_m, close_m=squeezed_m)


def _opening(scene: MotionScene, approach: FloatArray, width_m: float) -> float:
    """How far the fingers are open on the way to the handle: a little more than it, or as far as they go where that is blocked."""
    widest_m = scene.arm.gripper.stroke_m
    narrow_m = min(widest_m, width_m + OPEN_GAP_M)
    try:
        require_free(scene, approach, narrow_m, "grasp_blocked")
    except CandidateRejected:
        require_free(scene, approach, widest_m, "grasp_blocked")
        return widest_m
    return narrow_m


def _hand_poses(query: PullQuery, hand: FloatArray, turn_share: float) -> list[FloatArray]:
    """Where the hand is at equal steps of the part's way, without the first."""
    line, start = query.joint.line, query.start
    axis = np.array(line.axis)
    if line.slides:
        steps = abs(query.goal - start) / _STEP_M
    else:
        lever_m = float(np.linalg.norm(np.cross(axis, hand[:3, 3] - line.anchor_m)))
        steps = abs(query.goal - start) / min(_STEP_RAD, _STEP_M / max(lever_m, _STEP_M))
    poses = []
    for position in np.linspace(start, query.goal, max(2, int(np.ceil(steps)) + 1))[1:]:
        pose = line.motion(start, position) @ hand
        if not line.slides:
            pose[:3, :3] = Rotation.from_rotvec((turn_share - 1) * (position - start) * axis).as_matrix() @ pose[:3, :3]
        poses.append(pose)
    return poses


def _follow(scene: MotionScene, poses: list[FloatArray], start: FloatArray) -> FloatArray:
    """Joint positions (k, n) that take the hand through poses, from ``start``.

    Raises:
        CandidateRejected: ``way_unreachable``.
    """
    points = [start]
    for pose in poses:
        seeds = [2 * points[-1] - points[-2], points[-1]] if len(points) > 1 else [points[-1]]
        solution = scene.solve_ik(pose, seeds)
        if solution is None or np.abs(solution - points[-1]).max() > LARGEST_JUMP_RAD:
            share = len(points) / (len(poses) + 1)
            raise CandidateRejected("way_unreachable", f"the arm follows the part only {share:.0%} of its way")
        points.append(solution)
    return np.array(points)


def _complete(query: PullQuery, controls: FloatArray, phase: str, pull: Pull, /, *, seed: int, may_wander: bool) -> MotionPlan:
    """Search the path to a pull and time all of it."""
    scene, checker = query.scene, query.scene.checker
    builder = SetpointBuilder(scene.acting, fps=scene.fps, start=controls)
    checker.place_objects(query.qpos)
    checker.allow()
    checker.leave_part(query.joint, np.clip(query.goal, *query.joint.line.limits))
    require_direct_home(scene, pull.leave[-1], pull.open_m)
    checker.place_objects(query.qpos)
    path = find_path(scene, builder.arm_end, pull.approach[0], pull.open_m, seed, may_wander=may_wander)
    builder.move("approach", *time_checked(scene, path, FREE_PACE, builder.early(pull.open_m)))
    query.reset()
    builder.move("reach", *time_checked(scene, pull.approach, LINE_PACE, constant(pull.open_m)), hold_s=STOP_S)
    builder.grip("grasp", width_m=pull.close_m, speed_m_s=GRIP_SPEED_M_S, hold_s=_HOLD_S)
    checker.pull(query.joint, checker.tcp_pose(pull.way[0]))
    setpoints, _ = time_checked(scene, pull.way, PULL_PACE, constant(pull.width_m))
    builder.move(phase, setpoints, np.full(len(setpoints), pull.close_m), hold_s=STOP_S)
    checker.leave_part(query.joint, np.clip(query.goal, *query.joint.line.limits))
    builder.grip("release", width_m=pull.open_m, speed_m_s=GRIP_SPEED_M_S, hold_s=STOP_S)
    builder.move("leave", *time_checked(scene, pull.leave, LINE_PACE, constant(pull.open_m)), hold_s=STOP_S)
    rows, phases = builder.build()
    return MotionPlan(setpoints=rows, phases=phases)
