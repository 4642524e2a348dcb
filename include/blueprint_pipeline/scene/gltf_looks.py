"""Materials of a mesh file as looks: what can be drawn alike in MuJoCo and USD, and the names of what cannot.

Source: Khronos glTF 2.0 specification, §3.9 (materials); extensions KHR_texture_transform, KHR_materials_pbrSpecularGlossiness.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from PIL import Image
from pydantic import BaseModel, ValidationError

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.scene.colors import to_display, to_linear
from blueprint_pipeline.scene.gltf_document import DamagedGltfError, GltfDocument, take
from blueprint_pipeline.scene.gltf_images import GltfImages
from blueprint_pipeline.scene.gltf_schema import (
    AlphaMode,
    GltfMaterial,
    MetallicRoughness,
    Sampler,
    SpecularGlossiness,
    Texture,
    TextureInfo,
    TextureTransform,
)
from blueprint_pipeline.scene.surfaces import Look

Model = TypeVar("Model", bound=BaseModel)

_TRANSFORM, _GLOSSINESS = "KHR_texture_transform", "KHR_materials_pbrSpecularGlossiness"
_REPEAT = 10497
_BYTE = 255
_PLACES = np.arange(_BYTE + 1) / _BYTE
_EDGE = 1e-3


@dataclass(frozen=True)
class PlacedLook:
    """A look, and how its picture lies on the surface.

    Attributes:
        look: The look.
        uv_set: Which ``TEXCOORD_n`` places the picture.
        transform: What is done to these coordinates.
        repeats: Whether the picture repeats beyond its borders, along u and v.
        alpha_mode: What alpha means, that of vertex colours too.
        alpha_cutoff: From which alpha on a masked place is seen.
    """

    look: Look
    uv_set: int = 0
    transform: TextureTransform | None = None
    repeats: bool = True
    alpha_mode: AlphaMode = "OPAQUE"
    alpha_cutoff: float = 0.5

    def color(self, colors: FloatArray) -> tuple[Look, FloatArray | None]:
        """The look times vertex colours, linear, shape (N, 3) or (N, 4), if these are all alike; else both."""
        full = np.ones((len(colors), 4))
        full[:, : colors.shape[1]] = np.clip(colors, 0.0, 1.0)
        if self.alpha_mode == "OPAQUE":
            full[:, 3] = 1.0
        elif self.alpha_mode == "MASK":
            full[:, 3] = full[:, 3] >= self.alpha_cutoff
        if (full == 1.0).all():
            return self.look, None
        if self.look.texture is None and (full == full[0]).all():
            red, green, blue, alpha = (float(a * b) for a, b in zip(self.look.base_color, full[0], strict=True))
            return replace(self.look, base_color=(red, green, blue, alpha)), None
        return self.look, full

    def place(self, uv: FloatArray) -> FloatArray:
        """Coordinates (N, 2) of a file, v down, as a surface holds them: transformed, v up."""
        if self.transform is not None:
            cosine, sine = np.cos(self.transform.rotation), np.sin(self.transform.rotation)
            u, v = (uv * self.transform.scale).T
            uv = np.column_stack([cosine * u + sine * v, cosine * v - sine * u]) + self.transform.offset
        return uv * (1.0, -1.0) + (0.0, 1.0)


class GltfLooks:
    """Looks of the materials of a document.

    Attributes:
        losses: What of them is not drawn, in words.
    """

    def __init__(self, document: GltfDocument, default: Look) -> None:
        self._document = document
        self._images = GltfImages(document)
        self._default = default
        self._found: dict[int | None, PlacedLook] = {None: PlacedLook(default)}
        self.losses: list[str] = []

    def find(self, material: int | None) -> PlacedLook:
        """The look of a material; without one, that which was given as default."""
        if material not in self._found:
            index = -1 if material is None else material
            found = take(self._document.tree.materials, index, "material")
            self._found[material] = replace(self._read(found), alpha_mode=found.alpha_mode, alpha_cutoff=found.alpha_cutoff)
            self.losses += [f"{loss} of material {material}" for loss in _lost(found)]
        return self._found[material]

    def note_borders(self, placed: PlacedLook, uv: FloatArray) -> None:
        """Note a picture that must not repeat, and does."""
        if not placed.repeats and len(uv) and (uv.min() < -_EDGE or uv.max() > 1 + _EDGE):
            self.losses.append("clamped or mirrored borders of a texture (it repeats)")

    def _read(self, material: GltfMaterial) -> PlacedLook:
        pbr = _metallic_roughness(material)
        look = Look(pbr.base_color_factor, pbr.metallic_factor, pbr.roughness_factor, double_sided=material.double_sided)
        if pbr.metallic_roughness_texture is not None:
            look = self._with_mean_factors(look, pbr.metallic_roughness_texture)
        info = pbr.base_color_texture
        if info is None:
            return PlacedLook(_with_plain_alpha(look, material))
        texture = take(self._document.tree.textures, info.index, "texture")
        transform = _extension(info, _TRANSFORM, TextureTransform)
        picture = _tinted(self._images.of_texture(info.index), look.base_color)
        look = _with_picture(replace(look, base_color=(1.0, 1.0, 1.0, 1.0)), picture, material)
        uv_set = info.tex_coord if transform is None or transform.tex_coord is None else transform.tex_coord
        return PlacedLook(look, uv_set, transform, self._repeats(texture))

    def _repeats(self, texture: Texture) -> bool:
        sampler = Sampler() if texture.sampler is None else take(self._document.tree.samplers, texture.sampler, "sampler")
        return sampler.wrap_s == sampler.wrap_t == _REPEAT

    def _with_mean_factors(self, look: Look, info: TextureInfo) -> Look:
        """One value in place of a picture: green is roughness, blue is metal."""
        mean = np.asarray(self._images.of_texture(info.index).convert("RGB"), dtype=np.float64).reshape(-1, 3).mean(axis=0) / _BYTE
        self.losses.append("details of metal and roughness (their mean is kept)")
        return replace(look, roughness=round(look.roughness * float(mean[1]), 4), metallic=round(look.metallic * float(mean[2]), 4))


def _metallic_roughness(material: GltfMaterial) -> MetallicRoughness:
    found = _extension(material, _GLOSSINESS, SpecularGlossiness)
    if found is None:
        return material.pbr_metallic_roughness
    return MetallicRoughness.model_construct(
        base_color_factor=found.diffuse_factor,
        base_color_texture=found.diffuse_texture,
        metallic_factor=0.0,
        roughness_factor=1.0 - found.glossiness_factor,
        metallic_roughness_texture=None,
    )


def _extension(owner: GltfMaterial | TextureInfo, name: str, model: type[Model]) -> Model | None:
    value = owner.extensions.get(name)
    if value is None:
        return None
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise DamagedGltfError(f"is damaged: {name} of a material is wrong ({error.errors()[0]['msg']})") from error


def _lost(material: GltfMaterial) -> Iterator[str]:
    pictures = {"normal map": material.normal_texture, "occlusion map": material.occlusion_texture}
    yield from (name for name, info in pictures.items() if info is not None)
    if material.emissive_texture is not None or any(material.emissive_factor):
        yield "emission"
    yield from (name for name in sorted(material.extensions) if name != _GLOSSINESS)
    if _GLOSSINESS in material.extensions:
        yield "specular colour"


def _with_plain_alpha(look: Look, material: GltfMaterial) -> Look:
    red, green, blue, alpha = look.base_color
    if material.alpha_mode == "MASK":
        alpha = 1.0 if alpha >= material.alpha_cutoff else 0.0
    elif material.alpha_mode == "OPAQUE":
        alpha = 1.0
    return replace(look, base_color=(red, green, blue, alpha))


def _with_picture(look: Look, picture: Image.Image, material: GltfMaterial) -> Look:
    if material.alpha_mode == "OPAQUE" or picture.mode != "RGBA":
        return replace(look, texture=picture.convert("RGB"))
    alpha = np.asarray(picture.getchannel("A"))
    if material.alpha_mode == "MASK":
        alpha = np.where(alpha >= material.alpha_cutoff * _BYTE, _BYTE, 0).astype(np.uint8)
    if alpha.min() == _BYTE:
        return replace(look, texture=picture.convert("RGB"))
    masked = picture.copy()
    masked.putalpha(Image.fromarray(alpha))
    return replace(look, texture=masked)


def _tinted(picture: Image.Image, factor: tuple[float, float, float, float]) -> Image.Image:
    """The picture times a linear factor, as display values; alpha is linear."""
    if factor == (1.0, 1.0, 1.0, 1.0):
        return picture
    if factor[3] < 1.0 and picture.mode == "RGB":
        picture = picture.convert("RGBA")
    tables = [to_display(to_linear(_PLACES) * value) for value in factor[:3]] + [_PLACES * factor[3]]
    table = np.round(np.concatenate(tables[: len(picture.getbands())]) * _BYTE).astype(int)
    return picture.point(table.tolist())
