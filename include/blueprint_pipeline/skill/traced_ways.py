"""Motions of a demonstration as motions of this arm: solved about where the gripper acts, timed and checked like all others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import matrix_of
from blueprint_pipeline.motion.candidates import ik_seeds
from blueprint_pipeline.motion.errors import CandidateRejected
from blueprint_pipeline.motion.plan import SetpointBuilder
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.motion.segments import LARGEST_JUMP_RAD, constant, require_free, time_checked
from blueprint_pipeline.motion.timing import Pace
from blueprint_pipeline.skill.picking import AWAY_PACE, LINE_PACE
from blueprint_pipeline.task.demonstration import HandMotion, Segment

_PACES: dict[str, Pace] = {"retract": AWAY_PACE}
"""Of the phases that have another pace than a line to or from an object."""


@dataclass(frozen=True, kw_only=True)
class TracedWay:
    """A motion of the demonstration as joint positions of this arm, (k, n)."""

    motion: HandMotion
    points: FloatArray


def solve_ways(scene: MotionScene, segment: Segment, place: Callable[[FloatArray], FloatArray], near: FloatArray | None) -> list[TracedWay]:
    """The ways of a segment, solved from where the gripper grips or lets go: backwards, then forwards.

    Args:
        scene: With its arm.
        segment: What to repeat.
        place: From a pose of the tool in the reference's frame to one in the world, (4, 4) each.
        near: Joint positions (n,) to begin the search from; ``None``: none are known.

    Raises:
        CandidateRejected: ``no_ik``.
    """
    middle = next(index for index, motion in enumerate(segment.motions) if motion.is_still)
    poses = [[place(matrix_of(pose)) for pose in motion.tool_poses] for motion in segment.motions]
    anchor = poses[middle][0]
    at = scene.solve_ik(anchor, ik_seeds(scene, anchor, near=near))
    if at is None:
        raise CandidateRejected("no_ik", f"where the gripper acts in {segment.subtask} is out of the arm's reach")
    solved: dict[int, FloatArray] = {middle: at[None]}
    last = at
    for index in range(middle - 1, -1, -1):
        solved[index] = _follow(scene, poses[index][::-1], last)[::-1]
        last = solved[index][0]
    last = at
    for index in range(middle + 1, len(poses)):
        solved[index] = _follow(scene, poses[index], last)
        last = solved[index][-1]
    return [TracedWay(motion=motion, points=solved[index]) for index, motion in enumerate(segment.motions)]


def grip_pose(segment: Segment) -> FloatArray:
    """Where the hand stands still to grip or to let go, in the frame of the segment's reference (4, 4)."""
    return matrix_of(next(motion for motion in segment.motions if motion.is_still).tool_poses[0])


def split_ways(ways: Sequence[TracedWay]) -> tuple[Sequence[TracedWay], TracedWay, Sequence[TracedWay]]:
    """Ways before the gripper acts, the acting itself, and ways after it; a demonstration has one or more of each."""
    middle = next(index for index, way in enumerate(ways) if way.motion.is_still)
    return ways[:middle], ways[middle], ways[middle + 1 :]


def _follow(scene: MotionScene, poses: Sequence[FloatArray], start: FloatArray) -> FloatArray:
    """Joint positions (k, n) for poses of the tool (4, 4) one after the other, on the branch of a start (n,)."""
    found: list[FloatArray] = []
    before, last = start, start
    for pose in poses:
        solution = scene.solve_ik(pose, [2 * last - before, last])
        if solution is None or np.abs(solution - last).max() > LARGEST_JUMP_RAD:
            raise CandidateRejected("no_ik", "the demonstration's way leaves the arm's reach here")
        found.append(solution)
        before, last = last, solution
    return np.array(found)


def require_all_free(scene: MotionScene, ways: Sequence[TracedWay], width_m: float, code: str) -> None:
    """Check every point of some ways.

    Raises:
        CandidateRejected: With ``code``: what touches what.
    """
    for way in ways:
        require_free(scene, way.points, width_m, code)


def move_along(scene: MotionScene, builder: SetpointBuilder, way: TracedWay, *, held_m: float | None = None) -> None:
    """One motion of the demonstration at this arm's own pace; ``held_m`` is how wide what is held keeps the fingers."""
    motion = way.motion
    if motion.is_still:
        grip_now(builder, motion)
        return
    pace = _PACES.get(motion.phase, LINE_PACE)
    widths = builder.early(motion.width_m) if held_m is None else constant(held_m)
    setpoints, widths_m = time_checked(scene, way.points, pace, widths)
    commanded = widths_m if held_m is None else np.full(len(setpoints), motion.width_m)
    builder.move(motion.phase, setpoints, commanded, hold_s=motion.hold_s)


def grip_now(builder: SetpointBuilder, motion: HandMotion) -> None:
    """Open or close as fast as in the demonstration, and wait as long."""
    builder.grip(motion.phase, width_m=motion.width_m, speed_m_s=motion.grip_speed_m_s or 1.0, hold_s=motion.hold_s)
