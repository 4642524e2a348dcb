"""Whether a task was done: conditions as data, and what each measures on an observed motion.

A condition names a measure, its arguments and a limit, so that it can be written down as JSON and asked anywhere: skills judge with these
lines, and a lab judges with the same lines.

World frame: z up, metres; quaternions wxyz. Judged on what was observed, not on what was commanded.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from . import hand_measures, part_measures
from .touches import is_touched

Float64Array = NDArray[np.float64]
_LYING = 1e-6
"""The least upward part of a normal: what lies on its side has no height above its top."""


@dataclass(frozen=True, kw_only=True)
class ObservedMotion:
    """What is judged: T + 1 rows, frame by frame."""

    target_poses: Float64Array
    """(T + 1, 7): xyz + quat wxyz of the target."""
    support_poses: Float64Array | None
    """(T + 1, 7): the same of what the target shall stand on at the end; ``None`` where that cannot move."""
    gripper_width_m: Float64Array
    """(T + 1,): measured opening of the acting gripper."""
    contacts: Sequence[Collection[str]]
    """T + 1 entries: the pairs of bodies (``"bodyA|bodyB"``) that touched during the frame after each row; the last is empty."""
    fps: int

    @property
    def target_speed_m_s(self) -> Float64Array:
        """Linear speed of the target from row to row, (T,)."""
        speed: Float64Array = np.linalg.norm(np.diff(self.target_poses[:, :3], axis=0), axis=1) * self.fps
        return speed


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One condition of success."""

    name: str
    measure: str
    """A key of :data:`MEASURES`."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Of the measure, as JSON has them."""
    limit: float
    direction: Literal["at_most", "at_least"]
    """On which side of the limit the value must lie; the limit itself is allowed."""
    unit: str

    def as_json(self) -> dict[str, Any]:
        """What :func:`parse_conditions` reads."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class ConditionValue:
    """What a condition came to."""

    condition: Condition
    value: float

    @property
    def held(self) -> bool:
        """Whether the value lies on the right side of the limit."""
        limit = self.condition.limit
        return self.value <= limit if self.condition.direction == "at_most" else self.value >= limit

    def __str__(self) -> str:
        condition = self.condition
        return f"{condition.name}: {self.value:.4g} {condition.unit}, {condition.direction.replace('_', ' ')} {condition.limit:.4g}"


def parse_conditions(rows: Sequence[Mapping[str, Any]]) -> tuple[Condition, ...]:
    """Conditions from JSON."""
    return tuple(Condition(**row) for row in rows)


def judge(conditions: Sequence[Condition], motion: ObservedMotion) -> tuple[ConditionValue, ...]:
    """Ask every condition; the task was done if all hold."""
    return tuple(_judge_one(condition, motion) for condition in conditions)


def find_missed(conditions: Sequence[Condition], motion: ObservedMotion) -> ConditionValue | None:
    """The first condition that does not hold; ``None``: the task was done. Those after it are not asked."""
    return next((judgement for condition in conditions if not (judgement := _judge_one(condition, motion)).held), None)


def _judge_one(condition: Condition, motion: ObservedMotion) -> ConditionValue:
    return ConditionValue(condition=condition, value=MEASURES[condition.measure](motion, **condition.arguments))


def measure_lift(motion: ObservedMotion) -> float:
    """How high the target was above its start [m]."""
    height = motion.target_poses[:, 2]
    return float(height.max() - height[0])


def measure_rise(motion: ObservedMotion) -> float:
    """How far the target was above or below its start, at most [m]."""
    height = motion.target_poses[:, 2]
    return float(np.abs(height - height[0]).max())


def measure_way(motion: ObservedMotion) -> float:
    """How far from its start the target ends, seen from above [m]."""
    return float(np.linalg.norm(motion.target_poses[-1, :2] - motion.target_poses[0, :2]))


def measure_height_off(motion: ObservedMotion, height_m: float) -> float:
    """How far above or below a height the target ends [m]."""
    return abs(float(motion.target_poses[-1, 2]) - height_m)


def measure_depth_in_region(motion: ObservedMotion, corners_m: Sequence[Any], center_object_m: Sequence[float]) -> float:
    """How deep in a convex region of the world (k, 2) the middle of the target ends [m]; below 0 outside."""
    middle = place(motion.target_poses[-1], np.array([center_object_m]))[0]
    return float(depths_in_polygon(np.array(corners_m), middle[:2]))


def measure_depth_in_support(motion: ObservedMotion, **outline: Any) -> float:
    """How deep in the outline that its support offers the middle of the target ends, seen from above [m]; below 0 outside."""
    return _within_outline(motion, **outline)[0]


def measure_height_off_support(motion: ObservedMotion, **outline: Any) -> float:
    """How far above or below that plane [m]."""
    return abs(_within_outline(motion, **outline)[1])


def measure_depth_under_rim(motion: ObservedMotion, **outline: Any) -> float:
    """How far below that plane [m]."""
    return -_within_outline(motion, **outline)[1]


def measure_opening(motion: ObservedMotion) -> float:
    """How much the gripper opened since it was closed most [m]."""
    return float(motion.gripper_width_m[-1] - motion.gripper_width_m.min())


def measure_closing(motion: ObservedMotion, target: str, robot_prefix: str) -> float:
    """How much the fingers closed, at most, from one touch of the target to the next frames of the same touch [m]."""
    closing, opened = 0.0, None
    for width_m, frame in zip(motion.gripper_width_m, motion.contacts, strict=True):
        if not is_touched(frame, target, robot_prefix):
            opened = None
            continue
        opened = float(width_m) if opened is None else opened
        closing = max(closing, opened - float(width_m))
    return closing


def measure_end_speed(motion: ObservedMotion, frames: int) -> float:
    """The target's largest linear speed in the last frames [m/s]."""
    return float(motion.target_speed_m_s[-frames:].max(initial=0.0))


def measure_end_touches(motion: ObservedMotion, target: str, robot_prefix: str, frames: int) -> float:
    """In how many of the last frames the robot touches the target."""
    return float(sum(is_touched(frame, target, robot_prefix) for frame in motion.contacts[-frames - 1 :]))


def measure_other_touches(motion: ObservedMotion, target: str, support: str, robot_prefix: str) -> float:
    """In how many frames the robot, or the target, touches anything but each other and what the target is set down on."""

    def touches_other(pair: str) -> bool:
        bodies = set(pair.split("|"))
        robot = {body for body in bodies if body.startswith(robot_prefix)}
        rest = bodies - robot - {target, support}
        return bool(rest) and (bool(robot) or target in bodies)

    return float(sum(any(touches_other(pair) for pair in frame) for frame in motion.contacts))


def measure_end_bearing(motion: ObservedMotion, target: str, support: str, frames: int) -> float:
    """In how many of the last frames the target touches its support."""
    pair = "|".join(sorted((target, support)))
    return float(sum(pair in frame for frame in motion.contacts[-frames - 1 :]))


def measure_end_tilt(motion: ObservedMotion) -> float:
    """How far the target ends from as upright as it began [rad]."""
    return tilt_rad(motion.target_poses[0, 3:], motion.target_poses[-1, 3:])


def measure_largest_tilt(motion: ObservedMotion) -> float:
    """The same in the worst row [rad]."""
    return max(tilt_rad(motion.target_poses[0, 3:], quat) for quat in motion.target_poses[:, 3:])


def measure_support_tilt(motion: ObservedMotion) -> float:
    """How far the target's support ends from as upright as it began [rad]."""
    poses = _support_poses(motion)
    return tilt_rad(poses[0, 3:], poses[-1, 3:])


def measure_support_way(motion: ObservedMotion) -> float:
    """How far from its start the target's support ends [m]."""
    poses = _support_poses(motion)
    return float(np.linalg.norm(poses[-1, :3] - poses[0, :3]))


def measure_misalignment(motion: ObservedMotion, axis_object: Sequence[float], axis_support: Sequence[float]) -> float:
    """The angle between an axis of the target and one of its support at the end, unit vectors (3,) in their own frames [rad]."""
    axis = rotation(motion.target_poses[-1, 3:]) @ np.array(axis_object)
    other = rotation(_support_poses(motion)[-1, 3:]) @ np.array(axis_support)
    return float(np.arctan2(np.linalg.norm(np.cross(axis, other)), axis @ other))


MEASURES: Mapping[str, Callable[..., float]] = {
    "lift": measure_lift,
    "rise": measure_rise,
    "way": measure_way,
    "height_off": measure_height_off,
    "depth_in_region": measure_depth_in_region,
    "depth_in_support": measure_depth_in_support,
    "height_off_support": measure_height_off_support,
    "depth_under_rim": measure_depth_under_rim,
    "opening": measure_opening,
    "closing": measure_closing,
    "end_speed": measure_end_speed,
    "end_touches": measure_end_touches,
    "other_touches": measure_other_touches,
    "frames_in_hands": hand_measures.measure_frames_in_hands,
    "out_of_turn": hand_measures.measure_out_of_turn,
    "end_bearing": measure_end_bearing,
    "end_tilt": measure_end_tilt,
    "largest_tilt": measure_largest_tilt,
    "support_tilt": measure_support_tilt,
    "support_way": measure_support_way,
    "misalignment": measure_misalignment,
    "end_share": part_measures.measure_end_share,
    "moved_share": part_measures.measure_moved_share,
    "end_pace": part_measures.measure_end_pace,
    "pushed_share": part_measures.measure_pushed_share,
    "pushes": part_measures.measure_pushes,
    "turned": part_measures.measure_turned,
}


def rotation(quat_wxyz: Float64Array) -> Float64Array:
    """Rotation matrix (3, 3) of a quaternion w, x, y, z of any length but 0."""
    w, x, y, z = quat_wxyz / np.linalg.norm(quat_wxyz)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def place(pose: Float64Array, points_m: Float64Array) -> Float64Array:
    """Points (n, 3) of an object at a pose (7,), in the world."""
    placed: Float64Array = points_m @ rotation(pose[3:]).T + pose[:3]
    return placed


def tilt_rad(start_quat_wxyz: Float64Array, end_quat_wxyz: Float64Array) -> float:
    """Angle between what was up in the object at the start and the world's up at the end; turning about up is no tilt."""
    up = rotation(end_quat_wxyz)[2] @ rotation(start_quat_wxyz)[2]
    return float(np.arccos(np.clip(up, -1.0, 1.0)))


def depths_in_polygon(corners_m: Float64Array, points_m: Float64Array) -> Float64Array:
    """How far points (..., 2) lie within the nearest edge of a convex polygon (k, 2), counter-clockwise; below 0 outside."""
    inward, offset = polygon_edges(corners_m)
    depths: Float64Array = (points_m @ inward.T - offset).min(axis=-1)
    return depths


def polygon_edges(corners_m: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Unit normals of a convex polygon's edges that point inward (k, 2), and how far along them each edge lies (k,)."""
    along = np.roll(corners_m, -1, axis=0) - corners_m
    inward = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.linalg.norm(along, axis=1, keepdims=True)
    return inward, np.einsum("ij,ij->i", inward, corners_m)


def _within_outline(
    motion: ObservedMotion, corners_object_m: Sequence[Any], center_object_m: Sequence[float], half_height_m: float
) -> tuple[float, float]:
    """How deep within its support's outline the target's middle ends, and how high above the outline's plane its underside.

    The outline (k, 3) is in the support's frame, counter-clockwise from above; the middle in the target's. The underside is the middle
    less half the height that the target had at the start.
    """
    corners = place(_support_poses(motion)[-1], np.array(corners_object_m))
    middle = place(motion.target_poses[-1], np.array([center_object_m]))[0]
    center = corners.mean(axis=0)
    x, y, z = np.linalg.svd(corners - center)[2][2]  # across the outline's plane
    level_m = center[2] - (middle[:2] - center[:2]) @ np.array([x, y]) / np.copysign(max(abs(z), _LYING), z)
    return float(depths_in_polygon(corners[:, :2], middle[:2])), float(middle[2] - half_height_m - level_m)


def _support_poses(motion: ObservedMotion) -> Float64Array:
    if motion.support_poses is None:
        raise ValueError("the poses of what the target shall end on were not observed")
    return motion.support_poses
