"""Colours of one surface drawn into a picture for another.

For vertex colours, which MuJoCo does not draw, and for shapes with so many seams that only new texture coordinates can save triangles.

Every two triangles get a square cell of the picture. A texel takes the colour of the place on the source that it stands for.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial import cKDTree

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.scene.colors import to_display, to_linear
from blueprint_pipeline.scene.surfaces import Look, Surface

Faces = NDArray[np.int64]

_SIDE_PX = 512
_MIN_CELL_PX, _MAX_CELL_PX = 5, 32
_SAMPLES_PER_TEXEL = 3
_NORMAL_SHARE = 0.05
"""Weight of the normal where the nearest place is sought, as a share of the extent: the inner wall of a cup is not the outer one."""
_BYTE = 255


def bake(surface: Surface) -> Surface:
    """The surface with its vertex colours (and its texture, if it has one) in one picture; unchanged without vertex colours."""
    if surface.colors is None:
        return surface
    faces, bary, cells = _texels(len(surface.faces))
    return _with_picture(surface.vertices, surface.faces, _colors_at(surface, faces, bary), cells, [surface])


def bake_onto(vertices: FloatArray, faces: Faces, sources: Sequence[Surface]) -> Surface:
    """A surface of other triangles, with the colours of the nearest places of its sources that face the same way.

    Args:
        vertices: Of the new surface, shape (V, 3).
        faces: Of the new surface, shape (F, 3).
        sources: What it stands for, in the same frame.
    """
    of_face, bary, cells = _texels(len(faces))
    corners = vertices[faces]
    points = np.einsum("nk,nki->ni", bary, corners[of_face])
    weight = _NORMAL_SHARE * float(np.ptp(vertices, axis=0).max())
    features, colors = _cloud(sources, _SAMPLES_PER_TEXEL * len(points), weight)
    nearest = cKDTree(features).query(np.hstack([points, weight * _normals(corners)[of_face]]))[1]
    return _with_picture(vertices, faces, colors[nearest], cells, sources)


def _cloud(sources: Sequence[Surface], count: int, weight: float) -> tuple[FloatArray, FloatArray]:
    """Places of the sources, evenly spread: position and weighted normal (N, 6), and linear colour (N, 4)."""
    rng = np.random.default_rng(0)
    areas = [_areas(source.vertices[source.faces]) for source in sources]
    total = sum(float(area.sum()) for area in areas)
    features, colors = [], []
    for source, area in zip(sources, areas, strict=True):
        number = int(np.ceil(count * area.sum() / total))
        if not number:
            continue
        face = np.concatenate([rng.choice(len(area), number, p=area / area.sum()), np.arange(len(area))])
        split = np.sort(rng.random((len(face), 2)), axis=1)
        bary = np.column_stack([split[:, 0], split[:, 1] - split[:, 0], 1 - split[:, 1]])
        corners = source.vertices[source.faces]
        features.append(np.hstack([np.einsum("nk,nki->ni", bary, corners[face]), weight * _normals(corners)[face]]))
        colors.append(_colors_at(source, face, bary))
    return np.vstack(features), np.vstack(colors)


def _colors_at(surface: Surface, face: Faces, bary: FloatArray) -> FloatArray:
    """Linear colour and alpha (N, 4) at places of a surface: faces (N,) and barycentric coordinates (N, 3)."""
    found = np.tile(np.asarray(surface.look.base_color, dtype=np.float64), (len(face), 1))
    corners = surface.faces[face]
    if surface.colors is not None:
        found *= np.einsum("nk,nki->ni", bary, surface.colors[corners])
    if surface.look.texture is not None and surface.uv is not None:
        uv = np.einsum("nk,nki->ni", bary, surface.uv[corners])
        texels = np.asarray(surface.look.texture.convert("RGBA"))
        rows, columns = texels.shape[:2]
        picked = texels[((1 - uv[:, 1]) * rows).astype(np.int64) % rows, (uv[:, 0] * columns).astype(np.int64) % columns] / _BYTE
        found *= np.column_stack([to_linear(picked[:, :3]), picked[:, 3]])
    return found


def _areas(corners: FloatArray) -> FloatArray:
    found: FloatArray = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    return found


def _normals(corners: FloatArray) -> FloatArray:
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    found: FloatArray = normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-30)
    return found


class _Cells:
    """Square cells of a picture, two triangles each, row by row."""

    def __init__(self, faces: int) -> None:
        self.columns = int(np.ceil(np.sqrt(max(1, (faces + 1) // 2))))
        self.size = int(np.clip(_SIDE_PX // self.columns, _MIN_CELL_PX, _MAX_CELL_PX))
        self.side = self.columns * self.size

    def corner(self, face: Faces) -> Faces:
        """First column and row of each face's cell, shape (N, 2)."""
        cell = face // 2
        return np.column_stack([cell % self.columns, cell // self.columns]) * self.size


def _texels(faces: int) -> tuple[Faces, FloatArray, _Cells]:
    """For every texel that a face uses: the face (N,), the barycentric coordinates (N, 3) within it; and the cells."""
    cells = _Cells(faces)
    column, row = np.meshgrid(np.arange(cells.size), np.arange(cells.size))
    second = (column + row >= cells.size).ravel()
    halves = [_barycentric(cells.size, column.ravel(), row.ravel(), is_second=half) for half in (False, True)]
    bary = np.where(second[:, None], halves[1], halves[0])
    number = np.arange(faces)
    of_face = np.concatenate([np.repeat(number[half::2], int((second == half).sum())) for half in (0, 1)])
    weights = np.concatenate([np.tile(bary[second == half], (len(number[half::2]), 1)) for half in (0, 1)])
    return of_face, weights, cells


def _barycentric(size: int, column: Faces, row: Faces, *, is_second: bool) -> FloatArray:
    """Coordinates of texels within the first triangle of a cell, or the second; those beyond its edge are drawn onto the edge."""
    length = size - 3.0
    x, y = (size - 1 - column, size - 1 - row) if is_second else (column, row)
    found = np.column_stack([1 - (x + y) / length, x / length, y / length]).clip(0, None)
    shares: FloatArray = found / found.sum(axis=1, keepdims=True)
    return shares


def _with_picture(vertices: FloatArray, faces: Faces, colors: FloatArray, cells: _Cells, sources: Sequence[Surface]) -> Surface:
    """A surface whose faces share no vertex, with the picture of its cells."""
    count = len(faces)
    column, row = (grid.ravel() for grid in np.meshgrid(np.arange(cells.size), np.arange(cells.size)))
    second = column + row >= cells.size
    picture = np.zeros((cells.side, cells.side, 4))
    picture[..., 3] = 1.0
    start = 0
    for half in (0, 1):
        corner = cells.corner(np.arange(count)[half::2])
        inside = second == half
        x = (corner[:, :1] + column[inside]).ravel()
        y = (corner[:, 1:] + row[inside]).ravel()
        picture[y, x] = colors[start : start + len(x)]
        start += len(x)
    display = np.column_stack([to_display(picture[..., :3]).reshape(-1, 3), picture[..., 3].reshape(-1)]).reshape(picture.shape)
    image = Image.fromarray(np.round(display * _BYTE).astype(np.uint8))
    opaque = (picture[..., 3] >= 1.0).all()
    areas = np.array([_areas(source.vertices[source.faces]).sum() for source in sources])
    look = Look(
        (1.0, 1.0, 1.0, 1.0),
        float(np.average([source.look.metallic for source in sources], weights=areas)),
        float(np.average([source.look.roughness for source in sources], weights=areas)),
        image.convert("RGB") if opaque else image,
        double_sided=any(source.look.double_sided for source in sources),
    )
    return Surface(vertices[faces].reshape(-1, 3), np.arange(3 * count).reshape(-1, 3), _uv(count, cells), look)


def _uv(count: int, cells: _Cells) -> FloatArray:
    """Texture coordinates of the corners of every face, v up, shape (3 F, 2)."""
    near, far = 0.5, cells.size - 2.5
    first = np.array([[near, near], [far, near], [near, far]])
    number = np.arange(count)
    within = np.where((number % 2 == 0)[:, None, None], first, cells.size - first)
    texel = within + cells.corner(number)[:, None, :]
    found: FloatArray = (texel / cells.side * (1.0, -1.0) + (0.0, 1.0)).reshape(-1, 2)
    return found
