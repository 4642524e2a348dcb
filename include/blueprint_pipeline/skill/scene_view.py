"""What the scene's camera shows of a start state, asked before anything is simulated or drawn: what is hidden is not learned from."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.geometry.rotations import rotation_from_quat
from blueprint_pipeline.robot.placement import SCENE_CAMERA, View
from blueprint_pipeline.twin.body_names import object_of
from blueprint_pipeline.twin.footprint import Footprint
from blueprint_pipeline.twin.model import SceneModel
from blueprint_pipeline.twin.sight import Lens, Sight

LEAST_SHARE = 0.5
"""Of the target's pixels, as they would be with nothing before it."""
LEAST_PIXELS = 40
"""Of the target; more than the gates ask of the frames that they look at."""


class SceneView:
    """The scene's camera with its pictures of one size.

    Args:
        compiled: The twin with the robot mounted.
        width: Pixels.
        height: Pixels.
    """

    def __init__(self, compiled: SceneModel, width: int, height: int) -> None:
        self._compiled, self._size = compiled, (width, height)
        self._sight = Sight(compiled.model)
        self._camera = int(compiled.model.camera(SCENE_CAMERA).id)
        self._still = compiled.model.body_weldid[compiled.model.geom_bodyid] == 0
        self._sight.stand(compiled.model.qpos0)

    def shows(self, poses: Mapping[str, Pose], robot_qpos: tuple[float, ...], target: str, view: View | None = None) -> bool:
        """Whether the target is to be seen, well enough to tell what it is and where it stands; by the camera, or from another view."""
        self._stand(poses, robot_qpos)
        geoms, lens = self._sight.geoms_of([target]), self._sight.lens(self._camera) if view is None else _lens_of(view)
        self._sight.show_all()
        seen = self._sight.count_pixels(lens, geoms, *self._size)
        if seen < LEAST_PIXELS:
            return False
        self._sight.show(self._sight.geoms_of([object_of(target)]))  # what of a part its own object hides is never seen
        return seen >= LEAST_SHARE * self._sight.count_pixels(lens, geoms, *self._size)

    def shows_at(
        self, poses: Mapping[str, Pose], robot_qpos: tuple[float, ...], target: str, footprint: Footprint, spots_m: FloatArray
    ) -> NDArray[np.bool_]:
        """Whether the middle of the target could be seen, if it stood on spots (n, 2) and everything else stayed where it is."""
        self._stand(poses, robot_qpos)
        self._sight.show(~self._sight.geoms_of([target]))
        middles = np.column_stack([spots_m, np.full(len(spots_m), (footprint.bottom_m + footprint.top_m) / 2)])
        return self._sight.sees(self._sight.lens(self._camera).position_m, middles)

    def count_open(self, places_m: FloatArray, way_m: FloatArray) -> int:
        """From how many places (n, 3) a straight way (3,) meets nothing that stands still."""
        self._sight.show(self._still)
        return sum(bool(self._sight.sees(place, (place + way_m)[None])[0]) for place in places_m)

    def _stand(self, poses: Mapping[str, Pose], robot_qpos: tuple[float, ...]) -> None:
        self._sight.stand(self._compiled.qpos_at(poses, robot_qpos))


def _lens_of(view: View) -> Lens:
    return Lens(position_m=np.array(view.position_m), axes=rotation_from_quat(np.array(view.quat_wxyz)), fovy_deg=view.fovy_deg)
