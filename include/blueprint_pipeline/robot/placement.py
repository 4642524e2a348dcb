"""Which robot stands where, and from where the scene's camera looks at its work."""

from pydantic import Field

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.geometry.pose import Pose, QuatWxyz, Vector3
from blueprint_pipeline.workspace.storage import Id

SCENE_CAMERA = "scene"
"""The camera that stands in the scene, in every twin: where the reconstruction has it, until a job puts it where it sees the work."""


class View(FrozenModel):
    """Where the scene's camera stands, how it is turned, and how it is zoomed."""

    position_m: Vector3
    """In the world."""
    quat_wxyz: QuatWxyz
    """In the world: x right, y up, looking along -z."""
    fovy_deg: float = Field(gt=0, lt=180)
    """Vertical field of view."""


class MountOffset(FrozenModel):
    """How a camera that the robot carries sits on it, beside how its record has it: no camera is mounted twice alike."""

    shift_m: Vector3
    """To the image's right, up, and back, away from what it looks at."""
    turn_quat_wxyz: QuatWxyz
    """In the camera's own frame (x to the right, y up, looking along -z)."""
    widening: float = Field(gt=0)
    """By which its vertical field of view is multiplied."""


class RobotPlacement(FrozenModel):
    """Which robot stands where."""

    embodiment: Id
    base_pose: Pose
    foot_m: float = Field(default=0.0, ge=0)
    """Height at which its pedestal stands [m]: the floor, or furniture that bears the support."""
    view: View | None = None
    """``None``: as the reconstruction's camera."""
