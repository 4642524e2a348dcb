"""The pieces of motions: straight lines of the hand, free paths of the arm, setpoints checked as they will be executed.

All of them are for any number of arms that move together (:mod:`blueprint_pipeline.motion.arm_set`): a configuration (n,) holds the joints
of all, an opening may be one or (k,), and the pose of a hand (4, 4) may be those of all hands (k, 4, 4).
"""

from collections.abc import Iterator
from itertools import chain, pairwise, product, repeat

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import shift
from blueprint_pipeline.motion.errors import CandidateRejected
from blueprint_pipeline.motion.plan import WidthPlan, Widths
from blueprint_pipeline.motion.rrt import plan_path, segment_is_free
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.motion.timing import DENSIFY_RAD, Pace, densify, time_path

LINE_STEP_M = 0.02
LARGEST_JUMP_RAD = 0.5
"""Between two points of a line: more means that the elbow flips."""
LONGEST_DETOUR = 2.0
"""How much longer than straight, in joint space, a path that a search finds may be."""
ASIDE_M = (0.08, 0.16, 0.24)
"""By how much a hand is raised to get over things, or drawn back to get round them."""
LARGEST_BEND_RAD = 1.2
"""Of any joint, between a hand and the same hand raised: more means another branch."""
LEAST_STRAIGHT = 0.5
"""Share that the straight way has of the hand's way, from which on it does not wander; the strictest tier asks for as much."""
_SEARCHES, _SEARCH_STEP = 3, 7_919
"""How many searches, and how far their seeds are apart."""
_HARDLY_M = 0.05
_UPRIGHT = 0.98
"""Cosine to the vertical."""
_SUBSTEPS = 3
_SLOWER = 0.6
_DENSER_RAD = 0.06


def solve_line(
    scene: MotionScene, pose_world_tcp: FloatArray, start: FloatArray, offset_m: FloatArray, code: str, *, step_m: float = LINE_STEP_M
) -> FloatArray:
    """Joint positions (k, n) that take the hand straight from a pose by an offset (3,), at the same orientation; or each by its own (k, 3).

    Between two of them, ``step_m`` apart or less, the hand leaves the line by as much as its joints turn: in steps of 2 cm, up to 2 mm.

    Raises:
        CandidateRejected: With ``code``: a point is out of reach or the elbow would flip.
    """
    points = [start, *follow_line(scene, pose_world_tcp, start, offset_m, step_m=step_m)]
    if len(points) <= _steps_of(offset_m, step_m):
        raise CandidateRejected(code, "a straight line of the hand leaves the arm's reach")
    return np.array(points)


def follow_line(
    scene: MotionScene, pose_world_tcp: FloatArray, start: FloatArray, offset_m: FloatArray, *, step_m: float = LINE_STEP_M
) -> Iterator[FloatArray]:
    """Joint positions (n,) at equal steps of a straight line of the hand, after ``start``; they end where the arm's reach ends."""
    before, last = start, start
    steps = _steps_of(offset_m, step_m)
    for share in np.arange(1, steps + 1) / steps:
        solution = scene.solve_ik(shift(pose_world_tcp, share * offset_m), [2 * last - before, last])
        if solution is None or np.abs(solution - last).max() > LARGEST_JUMP_RAD:
            return
        yield solution
        before, last = last, solution


def _steps_of(offset_m: FloatArray, step_m: float) -> int:
    return max(1, int(np.ceil(np.linalg.norm(offset_m, axis=-1).max() / step_m)))


def require_free(scene: MotionScene, points: FloatArray, width_m: Widths, code: str) -> None:
    """Check configurations (k, n).

    Raises:
        CandidateRejected: With ``code``: what touches what.
    """
    for point in points:
        if not scene.checker.is_free(point, width_m):
            raise CandidateRejected(code, describe_contact(scene))


def describe_contact(scene: MotionScene) -> str:
    """The deepest collision of the last check, in words."""
    first, second, distance_m = min(scene.checker.collisions(), key=lambda pair: pair[2])
    if distance_m > 0:
        return f"{first} would come within {distance_m * 1000:.1f} mm of {second}"
    return f"{first} would touch {second} ({-distance_m * 1000:.1f} mm deep)"


def find_path(
    scene: MotionScene, start: FloatArray, goal: FloatArray, width_m: Widths, seed: int, *, may_wander: bool = True
) -> FloatArray:
    """A free path (k, n) between two configurations: straight, over or round what is in the way, or else one that a search finds.

    All but the last depend on nothing but the situation, so that demonstrations of the same look the same. Where the hand wanders in
    each (:data:`LEAST_STRAIGHT`), the straightest is taken, if it may.

    Raises:
        CandidateRejected: ``no_path``; ``detour``: there are but long ways round.
    """
    found: list[FloatArray] = []
    straight, longest = float(np.linalg.norm(goal - start)), 0.0
    direct, searched = _direct_paths(scene, start, goal, width_m), _searched_paths(scene, start, goal, width_m, seed)
    for path, is_searched in chain(zip(direct, repeat(False)), zip(searched, repeat(True))):
        way = float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())
        if is_searched and way > LONGEST_DETOUR * straight:
            longest = max(longest, way / straight)
            continue
        if _straightness(scene, path) >= LEAST_STRAIGHT:
            return path
        found.append(path)
    if found and not may_wander:
        raise CandidateRejected("detour", "the hand would go a long way round")
    if found:
        return max(found, key=lambda path: _straightness(scene, path))
    if longest > 0.0:
        raise CandidateRejected("detour", f"the path is {longest:.1f} times as long as the straight one, {LONGEST_DETOUR:g} at most")
    raise CandidateRejected("no_path", "no free path was found within the search's limit")


def find_direct(
    scene: MotionScene, start: FloatArray, goal: FloatArray, width_m: Widths, *, straightness: float = LEAST_STRAIGHT
) -> FloatArray | None:
    """A free path (k, n) between two configurations, straight, over or round what is in the way, in which the hand does not wander.

    It needs no search; ``None``: there is none in which the straight way has at least the share ``straightness`` of the hand's way.
    """
    paths = _direct_paths(scene, start, goal, width_m)
    return next((path for path in paths if _straightness(scene, path) >= straightness), None)


def _direct_paths(scene: MotionScene, start: FloatArray, goal: FloatArray, width_m: Widths) -> Iterator[FloatArray]:
    def is_free(qpos: FloatArray) -> bool:
        return scene.checker.is_free(qpos, width_m)

    for points in _ways_past(scene, start, goal):
        if all(segment_is_free(before, after, is_free) for before, after in pairwise(points)):
            yield np.array(points)


def _searched_paths(scene: MotionScene, start: FloatArray, goal: FloatArray, width_m: Widths, seed: int) -> Iterator[FloatArray]:
    for number in range(_SEARCHES):
        path = plan_path(
            start,
            goal,
            bounds=scene.arms.bounds,
            is_free=lambda qpos: scene.checker.is_free(qpos, width_m),
            seed=seed + _SEARCH_STEP * number,
        )
        if path is None:
            return
        yield path


def _straightness(scene: MotionScene, path: FloatArray) -> float:
    """Share that the straight way has of a hand's way along a path (k, n) of joint positions; of several hands the least.

    Of several, those do not count that hardly move.
    """
    places = np.array([scene.tool_poses(point)[:, :3, 3] for point in densify(path, DENSIFY_RAD)])
    ways_m = np.linalg.norm(np.diff(places, axis=0), axis=-1).sum(axis=0)
    straight_m = np.linalg.norm(places[-1] - places[0], axis=-1)
    least_m = _HARDLY_M if len(ways_m) > 1 else 0.0
    return min((float(straight / way) for straight, way in zip(straight_m, ways_m, strict=True) if way > least_m), default=1.0)


def _ways_past(scene: MotionScene, start: FloatArray, goal: FloatArray) -> Iterator[list[FloatArray]]:
    """Straight from start to goal, then with one end or both raised by ever more, then drawn back by ever more.

    Of several hands all are moved aside, or else each alone.
    """
    yield [start, goal]
    alone = np.eye(len(scene.arms))[:, :, None]
    for direction, chosen in product((_up, _back), [np.ones_like(alone[0]), *(alone if len(alone) > 1 else ())]):
        ways = [chosen * direction(scene, end) for end in (start, goal)]
        if direction is _back and min(way[chosen[:, 0] > 0, 2].min() for way in ways) > _UPRIGHT:
            continue  # these hands point down at both ends: this was tried
        for way_m in ASIDE_M:
            beside_start, beside_goal = (_moved(scene, end, way_m * way) for end, way in zip((start, goal), ways, strict=True))
            if beside_goal is not None:
                yield [start, beside_goal, goal]
            if beside_start is not None:
                yield [start, beside_start, goal]
            if beside_start is not None and beside_goal is not None:
                yield [start, beside_start, beside_goal, goal]


def _up(scene: MotionScene, _qpos: FloatArray) -> FloatArray:
    """For every hand, (k, 3)."""
    return np.tile([0.0, 0.0, 1.0], (len(scene.arms), 1))


def _back(scene: MotionScene, qpos: FloatArray) -> FloatArray:
    """Away from where the fingers of each hand point, (k, 3)."""
    back: FloatArray = -scene.tool_poses(qpos)[:, :3, 2]
    return back


def _moved(scene: MotionScene, qpos: FloatArray, offset_m: FloatArray) -> FloatArray | None:
    """The same hands, shifted by (k, 3), on the same branch; ``None``: out of reach."""
    solution = scene.solve_ik(shift(scene.tool_poses(qpos), offset_m), [qpos])
    return None if solution is None or np.abs(solution - qpos).max() > LARGEST_BEND_RAD else solution


def time_checked(scene: MotionScene, waypoints: FloatArray, pace: Pace, widths: WidthPlan) -> tuple[FloatArray, FloatArray]:
    """Setpoints (T, n) along a path and openings (T,) or (T, k), checked between frames as the simulator will interpolate them.

    Where the spline leaves the checked path, it is bound more closely to it, and slowed down.

    Raises:
        CandidateRejected: ``collision_in_timed_trajectory``.
    """
    for densify_rad, slower in ((DENSIFY_RAD, 1.0), (_DENSER_RAD, 1.0), (_DENSER_RAD / 2, _SLOWER)):
        setpoints = time_path(waypoints, scene.arms, pace=pace.slower(slower), fps=scene.fps, densify_rad=densify_rad)
        widths_m = widths(len(setpoints))
        if _stays_free(scene, waypoints[0], setpoints, widths_m):
            return setpoints, widths_m
    raise CandidateRejected("collision_in_timed_trajectory", describe_contact(scene))


def constant(width_m: Widths) -> WidthPlan:
    """The same opening all along."""
    return lambda frames: np.full((frames, *np.shape(width_m)), width_m)


def _stays_free(scene: MotionScene, start: FloatArray, setpoints: FloatArray, widths_m: FloatArray) -> bool:
    before = start
    for after, width in zip(setpoints, widths_m, strict=True):
        for share in np.arange(1, _SUBSTEPS + 1) / _SUBSTEPS:
            if not scene.checker.is_free(before + share * (after - before), width):
                return False
        before = after
    return True
