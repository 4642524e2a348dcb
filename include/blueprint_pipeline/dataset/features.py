"""The columns of a dataset: what each means, which values it takes from an episode, and how ``info.json`` says so.

World frame: z up, metres; quaternions w, x, y, z.
"""

from collections.abc import Sequence
from dataclasses import dataclass

STATE = "observation.state"
ACTION = "action"
VELOCITY = "observation.velocity"
EE_POSE = "observation.ee_pose"
OBJECT_POSE = "observation.object_pose"
ANNOTATION = "annotation.human.action.task_description"
"""Column of the v2.1 twin that GR00T's loader wants: the index of the task, again."""

POSE_NAMES = ("x_m", "y_m", "z_m", "qw", "qx", "qy", "qz")
INDEX_COLUMNS = ("frame_index", "episode_index", "index", "task_index")


@dataclass(frozen=True)
class VectorFeature:
    """A float32 vector a frame."""

    key: str
    names: tuple[str, ...]

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


def build_vector_features(joint_names: Sequence[str]) -> tuple[VectorFeature, ...]:
    """The vectors of a one-armed robot with a gripper.

    Args:
        joint_names: Arm joints in the embodiment's order.
    """
    positions = (*(f"{name}.pos_rad" for name in joint_names), "gripper.width_m")
    return (
        VectorFeature(STATE, positions),
        VectorFeature(ACTION, positions),
        VectorFeature(VELOCITY, tuple(f"{name}.vel_rad_s" for name in joint_names)),
        VectorFeature(EE_POSE, POSE_NAMES),
        VectorFeature(OBJECT_POSE, POSE_NAMES),
    )


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
    if annotation:
        features[ANNOTATION] = {"dtype": "int64", **scalar}
    return features
