"""How the scene's camera should look at a job: at the robot's hand, where it can put something, and at all that a sentence may name there.

World frame: z up, metres.
"""

import mujoco
import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.job.viewpoint import require_viewer
from blueprint_pipeline.robot.embodiment import Embodiment
from blueprint_pipeline.robot.layout import home_qpos
from blueprint_pipeline.robot.placement import SCENE_CAMERA, View
from blueprint_pipeline.skill.goals import Reach
from blueprint_pipeline.skill.support_surface import SupportSurface
from blueprint_pipeline.twin.model import SceneModel
from blueprint_pipeline.twin.view import aim_at

NAMED_M = 0.3
"""How far out of reach something may stand beside which the hand puts something: a gap, and two objects' radii."""
BESIDE_M, ABOVE_M = 0.06, 0.15
"""How far beside and above a place the picture reaches: what stands there is seen whole."""
_SIDES = np.array([(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)])
HAND_M = 0.1
"""Half the side of a cube around the tool, which holds the hand."""


def frame_work(compiled: SceneModel, embodiment: Embodiment, surface: SupportSurface, reach: Reach, aspect: float) -> View:
    """The view from where the scene's camera stands.

    Args:
        compiled: The twin with the robot in its place.
        embodiment: The robot.
        surface: What it works on.
        reach: How far on it.
        aspect: Width over height of the pictures.

    Raises:
        NoViewer: The twin has no such camera.
    """
    require_viewer(compiled.model)
    data = mujoco.MjData(compiled.model)
    compiled.robot.place(data, home_qpos(embodiment))
    mujoco.mj_kinematics(compiled.model, data)
    mujoco.mj_camlight(compiled.model, data)
    cells = surface.cells_m()[surface.level]
    places = cells[np.linalg.norm(cells - reach.base_m, axis=1) <= reach.farthest_m + NAMED_M]
    ground = (places[:, None] + BESIDE_M * _SIDES).reshape(-1, 2)
    tools = compiled.robot.tool_poses(data)[:, :3]
    shown = [_at_height(ground, surface.height_m), _at_height(ground, surface.height_m + ABOVE_M), *(_cube(tool) for tool in tools)]
    return aim_at(data.camera(SCENE_CAMERA).xpos.copy(), np.concatenate(shown), aspect)


def _at_height(points_m: FloatArray, height_m: float) -> FloatArray:
    return np.column_stack([points_m, np.full(len(points_m), height_m)])


def _cube(center_m: FloatArray) -> FloatArray:
    corners: FloatArray = center_m + HAND_M * np.array(np.meshgrid(*[[-1.0, 1.0]] * 3)).reshape(3, -1).T
    return corners
