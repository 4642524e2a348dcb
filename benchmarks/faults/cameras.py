"""Faults of cameras: a simulator that acts and replays as it should, and whose renderer does not show it."""

from collections.abc import Callable, Collection

import mujoco
import numpy as np
from numpy.typing import NDArray

from blueprint_pipeline.geometry.arrays import ImageArray
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.simulation.mujoco.drawing import FrameRenderer

Spoil = Callable[[ImageArray, int], ImageArray]
"""A picture (height, width, 3) and how many were drawn before it in, what the broken camera gives out."""


class FaultyRenderer:
    """Draws what another renderer draws, spoilt.

    Args:
        sound: What really draws.
        spoil: What the fault does to a picture.
        turned_away: Whether the camera looks the other way, so that labels show no object, either.
    """

    follows_looks = True

    def __init__(self, sound: FrameRenderer, spoil: Spoil, *, turned_away: bool) -> None:
        self._sound, self._spoil, self._turned_away, self._drawn = sound, spoil, turned_away, 0

    def look(self, data: mujoco.MjData, camera_id: int) -> None:
        """Look, or look the other way."""
        towards = data.cam_xmat[camera_id].copy()
        if self._turned_away:
            data.cam_xmat[camera_id] = (towards.reshape(3, 3) * [-1, 1, -1]).ravel()
        self._sound.look(data, camera_id)
        data.cam_xmat[camera_id] = towards

    def draw(self) -> ImageArray:
        """The spoilt picture."""
        self._drawn += 1
        return self._spoil(self._sound.draw(), self._drawn - 1)

    def take_pictures(self, textures: Collection[int]) -> None:
        """Other pictures on surfaces, as they are."""
        self._sound.take_pictures(textures)

    def draw_depth(self) -> NDArray[np.float32]:
        """Depth, as it is."""
        return self._sound.draw_depth()

    def draw_bodies(self) -> NDArray[np.int32]:
        """Labels, as they are."""
        return self._sound.draw_bodies()

    def fixed_view(self, _camera_id: int) -> None:
        """Every frame is drawn whole."""

    def close(self) -> None:
        """Free what draws."""
        self._sound.close()


class FaultySimulator(MujocoSimulator):
    """MuJoCo, with a fault in what draws."""

    def __init__(self, spoil: Spoil, *, turned_away: bool = False) -> None:
        super().__init__()
        self._spoil, self._turned_away = spoil, turned_away

    def renderer(self, width: int, height: int) -> FrameRenderer:
        """The faulty renderer of this size, made anew for each episode."""
        return FaultyRenderer(super().renderer(width, height), self._spoil, turned_away=self._turned_away)


def _black(image: ImageArray, _drawn: int) -> ImageArray:
    return np.zeros_like(image)


def _burnt_out(image: ImageArray, _drawn: int) -> ImageArray:
    return np.full_like(image, 255)


def _blurred(image: ImageArray, _drawn: int) -> ImageArray:
    small = image[::16, ::16]
    return np.ascontiguousarray(small.repeat(16, axis=0).repeat(16, axis=1)[: image.shape[0], : image.shape[1]] // 8 + 112)


def _sound(image: ImageArray, _drawn: int) -> ImageArray:
    return image


def _hanging() -> Spoil:
    kept: dict[int, ImageArray] = {}

    def hang(image: ImageArray, drawn: int) -> ImageArray:
        """From the 60th picture on, each camera (two take turns) gives the one that it gave last."""
        if drawn < 60:
            kept[drawn % 2] = image.copy()
        return kept[drawn % 2]

    return hang


CAMERA_FAULTS: dict[str, Callable[[], FaultySimulator]] = {
    "black_camera": lambda: FaultySimulator(_black),
    "burnt_out_camera": lambda: FaultySimulator(_burnt_out),
    "washed_out_camera": lambda: FaultySimulator(_blurred),
    "hanging_camera": lambda: FaultySimulator(_hanging()),
    "camera_turned_away": lambda: FaultySimulator(_sound, turned_away=True),
}
