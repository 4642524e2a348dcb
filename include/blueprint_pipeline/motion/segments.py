"""The pieces of motions: straight lines of the hand, free paths of the arm, setpoints checked as they will be executed."""

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import shift
from blueprint_pipeline.motion.errors import CandidateRejected
from blueprint_pipeline.motion.plan import WidthPlan
from blueprint_pipeline.motion.rrt import plan_path
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.motion.timing import DENSIFY_RAD, Pace, time_path

LINE_STEP_M = 0.02
LARGEST_JUMP_RAD = 0.5
"""Between two points of a line: more means that the elbow flips."""
_SUBSTEPS = 3
_SLOWER = 0.6
_DENSER_RAD = 0.06


def solve_line(scene: MotionScene, pose_world_tcp: FloatArray, start: FloatArray, offset_m: FloatArray, code: str) -> FloatArray:
    """Joint positions (k, n) that take the hand straight from a pose by an offset (3,), at the same orientation.

    Raises:
        CandidateRejected: With ``code``: a point is out of reach or the elbow would flip.
    """
    steps = max(1, int(np.ceil(np.linalg.norm(offset_m) / LINE_STEP_M)))
    points = [start]
    for share in np.arange(1, steps + 1) / steps:
        guess = points[-1] if len(points) == 1 else 2 * points[-1] - points[-2]
        solution = scene.solve_ik(shift(pose_world_tcp, share * offset_m), [guess, points[-1]])
        if solution is None or np.abs(solution - points[-1]).max() > LARGEST_JUMP_RAD:
            raise CandidateRejected(code, "a straight line of the hand leaves the arm's reach")
        points.append(solution)
    return np.array(points)


def require_free(scene: MotionScene, points: FloatArray, width_m: float, code: str) -> None:
    """Check configurations (k, n).

    Raises:
        CandidateRejected: With ``code``: what touches what.
    """
    for point in points:
        if not scene.checker.is_free(point, width_m):
            raise CandidateRejected(code, describe_contact(scene))


def describe_contact(scene: MotionScene) -> str:
    """The deepest contact of the last check, in words."""
    first, second, distance = min(scene.checker.contacts(), key=lambda contact: contact[2])
    return f"{first} would touch {second} ({-distance * 1000:.1f} mm deep)"


def find_path(scene: MotionScene, start: FloatArray, goal: FloatArray, width_m: float, seed: int) -> FloatArray:
    """A free path (k, n) between two configurations.

    Raises:
        CandidateRejected: ``no_path``.
    """
    bounds = (scene.kinematics.lower, scene.kinematics.upper)
    path = plan_path(start, goal, bounds=bounds, is_free=lambda qpos: scene.checker.is_free(qpos, width_m), seed=seed)
    if path is None:
        raise CandidateRejected("no_path", "no free path was found within the search's limit")
    return path


def time_checked(scene: MotionScene, waypoints: FloatArray, pace: Pace, widths: WidthPlan) -> tuple[FloatArray, FloatArray]:
    """Setpoints (T, n) along a path and openings (T,), checked between frames as the simulator will interpolate them.

    Where the spline leaves the checked path, it is bound more closely to it, and slowed down.

    Raises:
        CandidateRejected: ``collision_in_timed_trajectory``.
    """
    for densify_rad, slower in ((DENSIFY_RAD, 1.0), (_DENSER_RAD, 1.0), (_DENSER_RAD / 2, _SLOWER)):
        setpoints = time_path(waypoints, scene.arm, pace=pace.slower(slower), fps=scene.fps, densify_rad=densify_rad)
        widths_m = widths(len(setpoints))
        if _stays_free(scene, waypoints[0], setpoints, widths_m):
            return setpoints, widths_m
    raise CandidateRejected("collision_in_timed_trajectory", describe_contact(scene))


def constant(width_m: float) -> WidthPlan:
    """The same opening all along."""
    return lambda frames: np.full(frames, width_m)


def _stays_free(scene: MotionScene, start: FloatArray, setpoints: FloatArray, widths_m: FloatArray) -> bool:
    before = start
    for after, width in zip(setpoints, widths_m, strict=True):
        for share in np.arange(1, _SUBSTEPS + 1) / _SUBSTEPS:
            if not scene.checker.is_free(before + share * (after - before), float(width)):
                return False
        before = after
    return True
