"""Pictures within a mesh file: their size is read from the header first, then they are decoded, one at a time, to a bounded size."""

import io
import re
import struct
import warnings
import zlib

import numpy as np
from PIL import Image, UnidentifiedImageError

from blueprint_pipeline.scene.gltf_document import (
    DamagedGltfError,
    GltfDocument,
    TooLargeGltfError,
    UnsupportedGltfError,
    data_of_uri,
    take,
)
from blueprint_pipeline.scene.gltf_schema import Texture

MAX_PIXELS = 8192 * 8192
"""Of one picture; its header tells, before anything is decoded."""
MAX_PIXELS_KEPT = 2048 * 2048
"""Larger pictures are halved until they have no more: what is drawn has far fewer."""
MAX_LOOK_PIXELS = 16 * MAX_PIXELS_KEPT
"""Of the pictures of all materials of a file: of many, each is kept smaller, for each has its own colour, and so its own picture."""
MAX_FILE_PIXELS = 4 * MAX_PIXELS
"""Of all pictures of a file."""
_FORMATS = ("PNG", "JPEG", "WEBP")
_WEBP = "EXT_texture_webp"
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, LookupError, struct.error, zlib.error, *_BOMBS)
"""What Pillow raises on damaged files: every one of these was seen."""
_FULL_SCALE = 257
"""65535 / 255: of 16-bit pictures."""


_OTHER_FORMATS = {
    re.compile(pattern, re.DOTALL): kind
    for pattern, kind in {
        rb"GIF8": "GIF",
        rb"BM": "BMP",
        rb"II\*\0|MM\0\*": "TIFF",
        rb"DDS ": "DDS",
        rb"\xabKTX 11": "KTX",
        rb".{4}ftyp(avif|avis)": "AVIF",
        rb".{4}ftyp": "HEIF",
        rb"\xff\x0a|\0\0\0\x0cJXL": "JPEG XL",
        rb"\0\0\0\x0cjP": "JPEG 2000",
        rb"\x76\x2f\x31\x01": "OpenEXR",
        rb"#\?RADIANCE": "Radiance HDR",
        rb"8BPS": "PSD",
        rb"\s*<": "XML or HTML, as SVG is",
        rb"version https://git-lfs": "a pointer to a file in Git LFS",
    }.items()
}
"""Formats by how they begin."""


class UnreadableImageError(ValueError):
    """A picture cannot be decoded: its index, and why."""

    def __init__(self, image: int, problem: str) -> None:
        super().__init__(image, problem)
        self.image = image
        self.problem = problem


class GltfImages:
    """Decodes pictures of a document, each once."""

    def __init__(self, document: GltfDocument) -> None:
        self._document = document
        self._decoded: dict[int, Image.Image] = {}
        self._pixels = 0
        materials = document.tree.materials
        pictures = sum(bool(item.pbr_metallic_roughness.base_color_texture or item.extensions) for item in materials)
        self._most_kept = min(MAX_PIXELS_KEPT, MAX_LOOK_PIXELS // max(pictures, 1))

    def of_texture(self, index: int) -> Image.Image:
        """The picture of a texture, RGB or RGBA, sRGB.

        Raises:
            UnreadableImageError: It is damaged.
            UnsupportedGltfError: It is in a format that needs an extension.
            TooLargeGltfError: Its header claims too many pixels.
        """
        texture = take(self._document.tree.textures, index, "texture")
        source = _source(texture, index)
        if source not in self._decoded:
            self._decoded[source] = self._decode(source)
        return self._decoded[source]

    def _decode(self, index: int) -> Image.Image:
        image = take(self._document.tree.images, index, "image")
        view = image.buffer_view
        data = data_of_uri(image.uri, f"image {index}") if view is None else self._document.view(view)
        if data.startswith(b"\xabKTX 20\xbb"):
            raise UnsupportedGltfError("KHR_texture_basisu")
        try:
            picture = _open(data)
            self._validate_size(index, picture.size)
            picture.load()
            return _plain(picture, self._most_kept)
        except _DAMAGED as error:
            if isinstance(error, TooLargeGltfError):
                raise
            if isinstance(error, _BOMBS):
                raise TooLargeGltfError(f"image {index} ({error})", f"{MAX_PIXELS} pixels") from error
            raise UnreadableImageError(index, _describe_problem(data, error)) from error

    def _validate_size(self, index: int, size: tuple[int, int]) -> None:
        pixels = size[0] * size[1]
        if pixels > MAX_PIXELS:
            raise TooLargeGltfError(f"image {index} of {size[0]} x {size[1]} pixels", f"{MAX_PIXELS} pixels a picture")
        self._pixels += pixels
        if self._pixels > MAX_FILE_PIXELS:
            raise TooLargeGltfError(f"pictures of more than {self._pixels} pixels", f"{MAX_FILE_PIXELS} pixels a file")


def _open(data: bytes) -> Image.Image:
    """The header of a picture; one that Pillow only warns of is refused too."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(data), formats=_FORMATS)


def _describe_problem(data: bytes, error: Exception) -> str:
    """Why a picture cannot be decoded, as the end of "image 0 of ..."; the same for the same bytes."""
    if isinstance(error, UnidentifiedImageError):
        if not data:
            return "is empty"
        kind = next((kind for begins, kind in _OTHER_FORMATS.items() if begins.match(data)), None)
        return f"is {kind}, which is not read" if kind else "is of an unknown format"
    return f"is damaged ({type(error).__name__}: {str(error)[:120]})"


def _source(texture: Texture, index: int) -> int:
    webp = texture.extensions.get(_WEBP, {}).get("source")
    if isinstance(webp, int):
        return webp
    if texture.source is not None:
        return texture.source
    if texture.extensions:
        raise UnsupportedGltfError(min(texture.extensions))
    raise DamagedGltfError(f"is damaged: texture {index} names no picture")


def _plain(picture: Image.Image, most_pixels: int) -> Image.Image:
    """The picture as RGB or RGBA, of at most so many pixels."""
    if picture.mode.startswith("I"):
        picture = Image.fromarray((np.asarray(picture, dtype=np.uint32) // _FULL_SCALE).clip(0, 255).astype(np.uint8))
    has_alpha = picture.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in picture.info
    plain = picture.convert("RGBA" if has_alpha else "RGB")
    factor = 1
    while (plain.width // factor) * (plain.height // factor) > most_pixels:
        factor *= 2
    return plain if factor == 1 else plain.reduce(factor)
