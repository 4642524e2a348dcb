"""What a fixed camera sees, in two layers: what rests is drawn once and kept, and what moves is drawn over it.

The pixels are those of a whole drawing: the nearer layer shows.
"""

from collections.abc import Callable

import mujoco
import numpy as np
from numpy.typing import NDArray

from blueprint_pipeline.geometry.arrays import FloatArray, ImageArray

RESTING_FRAMES = 10
"""A geom that stood still for so many frames is drawn into the kept layer."""
_PIXEL = "V3"
"""A pixel as one item: numpy copies those that a mask chooses fifteen times as fast as three channels."""

DrawGeoms = Callable[[mujoco.MjData, NDArray[np.bool_]], tuple[ImageArray, NDArray[np.float32]]]
"""Draws the chosen geoms (ngeom,): colour (height, width, 3) and depth (height, width), 1 near to 0 far; good until the next call."""


class FixedView:
    """Draws the frames of one camera that never moves, in the order of their time.

    Args:
        draw_geoms: Draws some of the scene.
        ngeom: How many geoms the scene has.
    """

    def __init__(self, draw_geoms: DrawGeoms, ngeom: int) -> None:
        self._draw_geoms = draw_geoms
        self._kept = np.zeros(ngeom, dtype=bool)
        self._frames_still = np.full(ngeom, RESTING_FRAMES - 1)
        self._poses: FloatArray | None = None
        self._image: ImageArray
        self._depth: NDArray[np.float32]

    def draw(self, data: mujoco.MjData) -> ImageArray:
        """The scene as ``data`` has it (positions must be up to date): (height, width, 3) RGB, first row on top."""
        self._keep_what_rests(data)
        image, depth = self._draw_geoms(data, ~self._kept)
        nearer = depth > self._depth
        whole = self._image.copy()
        whole.view(_PIXEL)[..., 0][nearer] = image.view(_PIXEL)[..., 0][nearer]
        return whole

    def _keep_what_rests(self, data: mujoco.MjData) -> None:
        poses = np.hstack([data.geom_xpos, data.geom_xmat])
        moved = np.zeros(len(poses), dtype=bool) if self._poses is None else (poses != self._poses).any(axis=1)
        self._poses = poses
        self._frames_still = np.where(moved, 0, self._frames_still + 1)
        kept = (self._kept & ~moved) | (self._frames_still >= RESTING_FRAMES)
        if not np.array_equal(kept, self._kept):
            self._kept = kept
            image, depth = self._draw_geoms(data, kept)
            self._image, self._depth = image.copy(), depth.copy()
