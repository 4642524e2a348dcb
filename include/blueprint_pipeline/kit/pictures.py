"""Other pictures on surfaces of a compiled scene, and another backdrop: what a variation has under ``textures`` and ``backdrop``.

They are written over the scene's own pictures, in their sizes: nothing else of the model changes, and what draws takes them anew.
"""

from collections.abc import Mapping
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from .textures import KINDS, paint

_COLOURS = ("low_rgb", "high_rgb")
_SKY = '<mujoco><asset><texture type="skybox" builtin="gradient" rgb1="{}" rgb2="{}" width="{}" height="{}"/></asset></mujoco>'
_RGB = 3
"""Channels of a picture that can be replaced."""
_MOST_CELLS, _SEEDS = 4096, 2**32


def find_wrong_picture(textures: Mapping[str, Any], backdrop: Mapping[str, Any] | None) -> str | None:
    """What is wrong with data that should be pictures, in words; ``None``: nothing.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: They are of another form.
    """
    colours = [texture[name] for texture in textures.values() for name in _COLOURS]
    colours += [backdrop[name] for name in ("above_rgb", "below_rgb")] if backdrop is not None else []
    values = np.array(colours, dtype=float).reshape(len(colours), 3)
    if not ((values >= 0.0) & (values <= 1.0)).all():
        return "colours of pictures are from 0 to 1"
    for name, texture in textures.items():
        if texture["kind"] not in KINDS:
            return f"the picture of {name} is of no kind that is known: {', '.join(KINDS)}"
        if not (0 <= int(texture["seed"]) < _SEEDS and 1 <= int(texture["cells"]) <= _MOST_CELLS and texture["turned"] in {True, False}):
            return f"the picture of {name} has a seed, cells or a turn that cannot be"
    return None


def unknown_surfaces(model: mujoco.MjModel, textures: Mapping[str, Any]) -> list[str]:
    """Which of the surfaces, named by material, a scene does not have, or not with a picture."""
    named = {model.material(index).name: index for index in range(model.nmat)}
    return sorted(name for name in textures if name not in named or picture_of(model, named[name]) is None)


def picture_of(model: mujoco.MjModel, material: int) -> int | None:
    """The texture that gives a material its colours, where its pixels have three channels; ``None``: it has none."""
    texture = int(model.mat_texid[material, mujoco.mjtTextureRole.mjTEXROLE_RGB])
    if texture < 0 or model.tex_type[texture] != mujoco.mjtTexture.mjTEXTURE_2D or model.tex_nchannel[texture] != _RGB:
        return None
    return texture


def sky_of(model: mujoco.MjModel) -> int | None:
    """The texture that is the backdrop: the first sky, which is the one that MuJoCo draws; ``None``: there is none."""
    skies = np.flatnonzero(model.tex_type == mujoco.mjtTexture.mjTEXTURE_SKYBOX)
    return int(skies[0]) if len(skies) else None


class VariedPictures:
    """Pictures of a scene.

    Args:
        model: Compiled; it is changed in place. As it is now, it is the scene without variation.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        self._plain: dict[int, NDArray[np.uint8]] = {}
        """What was there, of those that are changed now."""

    def apply(self, variation: Mapping[str, Any]) -> frozenset[int]:
        """Vary the pictures from those of the compiled scene.

        Returns:
            Ids of the textures whose pixels may differ from those before: what draws is to take them anew.

        Raises:
            KeyError: The scene has no such surface with a picture, or no backdrop.
        """
        changed = self.put_back()
        model = self._model
        for name, texture in variation.get("textures", {}).items():
            picture = picture_of(model, model.material(name).id)
            if picture is None:
                raise KeyError(name)
            self._write(picture, paint(texture, int(model.tex_height[picture]), int(model.tex_width[picture])))
        if (backdrop := variation.get("backdrop")) is not None:
            sky = sky_of(model)
            if sky is None:
                raise KeyError("skybox")
            self._write(sky, _gradient(backdrop, int(model.tex_width[sky]), int(model.tex_height[sky])))
        return changed | frozenset(self._plain)

    def put_back(self) -> frozenset[int]:
        """Make the pictures those of the compiled scene again; returns which of them were others."""
        changed = frozenset(self._plain)
        for texture, pixels in self._plain.items():
            self._pixels(texture)[:] = pixels
        self._plain.clear()
        return changed

    def _write(self, texture: int, picture: NDArray[np.uint8]) -> None:
        pixels = self._pixels(texture)
        self._plain.setdefault(texture, pixels.copy())
        pixels[:] = picture.ravel()

    def _pixels(self, texture: int) -> NDArray[np.uint8]:
        """A view into the model."""
        model = self._model
        start, size = int(model.tex_adr[texture]), int(model.tex_height[texture] * model.tex_width[texture] * model.tex_nchannel[texture])
        pixels: NDArray[np.uint8] = model.tex_data[start : start + size]
        return pixels


def _gradient(backdrop: Mapping[str, Any], width: int, height: int) -> NDArray[np.uint8]:
    """The six sides of the sky, as MuJoCo itself makes it from two colours."""
    above, below = (" ".join(repr(float(value)) for value in backdrop[name]) for name in ("above_rgb", "below_rgb"))
    return np.array(mujoco.MjModel.from_xml_string(_SKY.format(above, below, width, height)).tex_data)
