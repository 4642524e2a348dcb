"""Whose left and right sentences mean: the scene's camera as a viewer on the ground plan."""

import mujoco
import numpy as np

from blueprint_pipeline.errors import InternalError
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.robot.placement import SCENE_CAMERA


class NoViewer(InternalError):
    """The twin has no camera that could tell left from right."""

    code = "task.no_viewer"
    template = "The twin has no camera '{camera}', from which directions are named. It has: {found}."

    camera: str
    found: list[str]


def require_viewer(model: mujoco.MjModel) -> None:
    """Check that the scene's camera is there.

    Raises:
        NoViewer: It is not.
    """
    names = [model.camera(index).name for index in range(model.ncam)]
    if SCENE_CAMERA not in names:
        raise NoViewer(SCENE_CAMERA, names)


def find_viewpoint(model: mujoco.MjModel) -> tuple[FloatArray, float]:
    """Where the viewer is, (2,) in the world, and the heading of its picture's depth about the vertical [rad].

    The heading is square to the picture's right, so that it is defined for a camera that looks straight down, too.

    Raises:
        NoViewer: The model has no camera of that name.
    """
    require_viewer(model)
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    mujoco.mj_camlight(model, data)
    camera = data.camera(SCENE_CAMERA)
    right = camera.xmat.reshape(3, 3)[:2, 0]
    return camera.xpos[:2].copy(), float(np.arctan2(right[0], -right[1]))
