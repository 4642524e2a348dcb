"""Which robot stands where, and how the scene's camera looks at its work."""

from pydantic import Field

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.geometry.pose import Pose, QuatWxyz
from blueprint_pipeline.workspace.storage import Id

SCENE_CAMERA = "scene"
"""The camera of the reconstruction, in every twin."""


class View(FrozenModel):
    """How the scene's camera is turned and zoomed, where it stands."""

    quat_wxyz: QuatWxyz
    """In the world: x right, y up, looking along -z."""
    fovy_deg: float = Field(gt=0, lt=180)
    """Vertical field of view."""


class RobotPlacement(FrozenModel):
    """Which robot stands where."""

    embodiment: Id
    base_pose: Pose
    view: View | None = None
    """``None``: as the reconstruction's camera looked."""
