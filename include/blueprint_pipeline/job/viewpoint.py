"""Whose left and right sentences mean: the scene's camera as a viewer on the ground plan."""

import mujoco
import numpy as np

from blueprint_pipeline.errors import InternalError
from blueprint_pipeline.geometry.arrays import FloatArray

VIEWER = "scene"
"""The camera from whose picture directions are named."""


class NoViewer(InternalError):
    """The twin has no camera that could tell left from right."""

    code = "task.no_viewer"
    template = "The twin has no camera '{camera}', from which directions are named. It has: {found}."

    camera: str
    found: list[str]


def find_viewpoint(model: mujoco.MjModel) -> tuple[FloatArray, float]:
    """Where the viewer is, (2,) in the world, and the heading of its picture's depth about the vertical [rad].

    The heading is square to the picture's right, so that it is defined for a camera that looks straight down, too.

    Raises:
        NoViewer: The model has no camera of that name.
    """
    names = [model.camera(index).name for index in range(model.ncam)]
    if VIEWER not in names:
        raise NoViewer(VIEWER, names)
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    mujoco.mj_camlight(model, data)
    camera = data.camera(VIEWER)
    right = camera.xmat.reshape(3, 3)[:2, 0]
    return camera.xpos[:2].copy(), float(np.arctan2(right[0], -right[1]))
