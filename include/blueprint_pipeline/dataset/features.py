"""The columns of a dataset: what each means, which values it takes from an episode, and how ``info.json`` says so.

World frame: z up, metres; quaternions w, x, y, z, without jumps of sign within an episode.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from blueprint_pipeline.robot.layout import ArmLayout

STATE = "observation.state"
ACTION = "action"
VELOCITY = "observation.velocity"
EE_POSE = "observation.ee_pose"
EE_ROTATION = "observation.ee_rotation_6d"
OBJECT_POSE = "observation.object_pose"
OBJECT_POSES = "observation.object_poses"
JOINT_POSITIONS = "observation.joint_positions"
"""How far drawers and doors are open; only of scenes that have any."""
CAMERA_POSE = "observation.camera_pose"
"""Before a dot and the name of a camera that moves."""
ANNOTATION = "annotation.human.action.task_description"
"""Column of the v2.1 twin that GR00T's loader wants: the index of the task, again."""

POSE_NAMES = ("x_m", "y_m", "z_m", "qw", "qx", "qy", "qz")
ROTATION_NAMES = ("r00", "r10", "r20", "r01", "r11", "r21")
"""The first two columns of a rotation matrix: rows and columns from 0."""
INDEX_COLUMNS = ("frame_index", "episode_index", "index", "task_index")
SUBTASK = "subtask_index"
DONE = "next.done"
SUCCESS = "next.success"
STEP_COLUMNS = {SUBTASK: "int64", DONE: "bool", SUCCESS: "bool"}
"""One value a frame, by LeRobot's own names and types: the phase of the motion, and how the episode stands after the frame."""
WHOLE_COLUMNS = (*INDEX_COLUMNS, *STEP_COLUMNS)
"""Columns without fractions."""


@dataclass(frozen=True)
class VectorFeature:
    """A float32 vector a frame."""

    key: str
    names: tuple[str, ...]
    parts: Mapping[str, slice] = field(default_factory=dict)
    """Where each arm and each gripper lies in it, by GR00T's name of the part."""

    @property
    def size(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class VideoFeature:
    """A camera: what ``info.json`` says of its videos. ``gop`` is the largest distance of two keyframes [frames]."""

    key: str
    width: int
    height: int
    fps: int
    codec: str
    pix_fmt: str
    gop: int

    def as_info(self) -> dict[str, object]:
        return {
            "dtype": "video",
            "shape": [self.height, self.width, 3],
            "names": ["height", "width", "channels"],
            "info": {
                "video.height": self.height,
                "video.width": self.width,
                "video.codec": self.codec,
                "video.pix_fmt": self.pix_fmt,
                "video.is_depth_map": False,
                "video.fps": self.fps,
                "video.channels": 3,
                "video.g": self.gop,
                "has_audio": False,
            },
        }


def video_key(camera: str) -> str:
    """LeRobot's name of a camera."""
    return f"observation.images.{camera}"


def camera_pose_key(camera: str) -> str:
    """Column of the poses of a camera that moves."""
    return f"{CAMERA_POSE}.{camera}"


def build_vector_features(
    arms: Sequence[ArmLayout], object_ids: Sequence[str], joint_columns: Sequence[str], moving_cameras: Sequence[str]
) -> tuple[VectorFeature, ...]:
    """The vectors of a robot in a scene; :func:`blueprint_pipeline.dataset.frames.load_frames` fills them in the same order.

    Args:
        arms: The layout of every arm, in the embodiment's order.
        object_ids: Every object and part of one that can move, in the recordings' order.
        joint_columns: Joints of these parts, each with its unit.
        moving_cameras: Names of the cameras that the robot carries.
    """
    positions = [
        f"{name}.{unit}"
        for arm in arms
        for name, unit in [*((name, f"pos_{unit}") for name, unit in _joints(arm)), (arm.gripper_name, "width_m")]
    ]
    parts = _parts(arms)
    return (
        VectorFeature(STATE, tuple(positions), parts),
        VectorFeature(ACTION, tuple(positions), parts),
        VectorFeature(VELOCITY, tuple(f"{name}.vel_{unit}_s" for arm in arms for name, unit in _joints(arm))),
        VectorFeature(EE_POSE, tuple(f"{arm.prefix}{name}" for arm in arms for name in POSE_NAMES)),
        VectorFeature(EE_ROTATION, tuple(f"{arm.prefix}{name}" for arm in arms for name in ROTATION_NAMES)),
        VectorFeature(OBJECT_POSE, POSE_NAMES),
        VectorFeature(OBJECT_POSES, tuple(f"{object_id}.{name}" for object_id in object_ids for name in POSE_NAMES)),
        *((VectorFeature(JOINT_POSITIONS, tuple(joint_columns)),) if joint_columns else ()),
        *(VectorFeature(camera_pose_key(camera), POSE_NAMES) for camera in moving_cameras),
    )


def _joints(arm: ArmLayout) -> list[tuple[str, str]]:
    """Name and unit of each joint."""
    return [(name, joint.unit) for name, joint in zip(arm.joint_names, arm.arm.joints, strict=True)]


def _parts(arms: Sequence[ArmLayout]) -> dict[str, slice]:
    """Where arms and grippers lie in a vector that holds each arm's joints, followed by its gripper."""
    parts: dict[str, slice] = {}
    start = 0
    for arm in arms:
        alone = len(arms) == 1
        end = start + len(arm.joint_names)
        parts["single_arm" if alone else f"{arm.arm.name}_arm"] = slice(start, end)
        parts["gripper" if alone else f"{arm.arm.name}_gripper"] = slice(end, end + 1)
        start = end + 1
    return parts


def build_info_features(
    vectors: Sequence[VectorFeature], videos: Sequence[VideoFeature], *, annotation: bool
) -> dict[str, dict[str, object]]:
    """``features`` of ``info.json``, in the order of the columns."""
    scalar = {"shape": [1], "names": None}
    features: dict[str, dict[str, object]] = {
        vector.key: {"dtype": "float32", "shape": [vector.size], "names": list(vector.names)} for vector in vectors
    }
    features |= {video.key: video.as_info() for video in videos}
    features["timestamp"] = {"dtype": "float32", **scalar}
    features |= {name: {"dtype": "int64", **scalar} for name in INDEX_COLUMNS}
    features |= {name: {"dtype": dtype, **scalar} for name, dtype in STEP_COLUMNS.items()}
    if annotation:
        features[ANNOTATION] = {"dtype": "int64", **scalar}
    return features
