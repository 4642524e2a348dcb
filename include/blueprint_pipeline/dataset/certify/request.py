"""What a certifying program is asked, as JSON: this module is read on both sides."""

import json
from pathlib import Path

from blueprint_pipeline.frozen import FrozenModel


class CameraMount(FrozenModel):
    """A camera that an arm's tool carries; its frame has OpenCV's axes."""

    arm: int
    """In the embodiment's order."""
    position_m: tuple[float, float, float]
    """Of the camera, in the tool's frame."""
    quat_wxyz: tuple[float, float, float, float]


class ExpectedEpisode(FrozenModel):
    """One episode as it was simulated and rendered."""

    episode_id: str
    states: Path
    """``states.parquet`` of the recording."""
    frames: int
    instruction: str
    success: bool
    """Whether its predicate held at its end."""
    target_index: int
    """Of the target in ``object_poses``."""
    arm_joints: tuple[int, ...]
    """How many joints each arm of the robot has, in the embodiment's order."""
    camera_mounts: dict[str, CameraMount]
    """The cameras that move, by name."""
    videos: dict[str, Path]
    """The rendered mp4 by camera."""


class CertifyRequest(FrozenModel):
    """What to load, and what to compare it with."""

    dataset: Path
    fps: int
    robot_type: str
    episodes: tuple[ExpectedEpisode, ...]
    work: Path
    """An empty folder for what the check makes."""


class Answer(FrozenModel):
    """What one check found."""

    check: str
    passed: bool
    reason: str


def load_request(path: Path) -> CertifyRequest:
    """Read a request."""
    return CertifyRequest.model_validate_json(path.read_bytes())


def write_answers(path: Path, answers: list[Answer]) -> None:
    """Write what was found."""
    path.write_text(json.dumps([answer.model_dump() for answer in answers], indent=1), encoding="utf-8")


def load_answers(path: Path) -> list[Answer]:
    """Read what was found."""
    return [Answer.model_validate(item) for item in json.loads(path.read_text(encoding="utf-8"))]
