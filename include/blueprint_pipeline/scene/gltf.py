"""Surfaces of binary glTF 2.0 files, whatever a writer has put in them: read, or refused by the name of what is not read.

Read: triangles, strips and fans; sparse and quantized accessors; Draco; vertex colours; any set of texture coordinates, and their
transform; PNG, JPEG and WebP pictures. What cannot be drawn (a normal map, an animation) is listed, not dropped in silence.

Source: Khronos glTF 2.0 specification; KHR_draco_mesh_compression, KHR_mesh_quantization.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import DracoPy
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.spatial.transform import Rotation

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.scene.gltf_document import (
    MAX_ELEMENTS,
    DamagedGltfError,
    GltfDocument,
    TooLargeGltfError,
    UnsupportedGltfError,
    full_scale,
    take,
)
from blueprint_pipeline.scene.gltf_images import UnreadableImageError
from blueprint_pipeline.scene.gltf_looks import GltfLooks
from blueprint_pipeline.scene.gltf_schema import Draco, Mesh, Node, Primitive
from blueprint_pipeline.scene.mesh_errors import MeshEmpty, MeshTooLarge, MeshUnreadable, MeshUnsupported, TextureUnreadable
from blueprint_pipeline.scene.surfaces import WHITE, Look, Surface, merge_positions

READ_EXTENSIONS = ("EXT_texture_webp", "KHR_draco_mesh_compression", "KHR_mesh_quantization", "KHR_texture_transform")
_LOOK_EXTENSIONS = "KHR_materials_"
"""Of these the base look is drawn, and what they add is listed as lost."""
_SHAPE_EXTENSIONS = frozenset({"EXT_mesh_gpu_instancing", "EXT_meshopt_compression", "KHR_meshopt_compression"})
"""Without these a part of the shape is missing, whether the file calls them required or not."""
_DRACO = "KHR_draco_mesh_compression"
MAX_TRIANGLES = 4_000_000
_MAX_COORDINATE = 1e9
_MIN_AREA_SHARE = 1e-10
_TRIANGLES, _STRIP, _FAN = 4, 5, 6
_CORNERS = 3
_POSITION = "POSITION"
_COLOR = "COLOR_0"
_READ_ATTRIBUTES = (_POSITION, _COLOR, "TEXCOORD_")
_KNOWN_ATTRIBUTES = (*_READ_ATTRIBUTES, "NORMAL", "TANGENT", "JOINTS_", "WEIGHTS_")
"""Normals follow from the shape, and what a skin does is told with it."""


@dataclass(frozen=True)
class MeshContent:
    """What a mesh file holds.

    Attributes:
        surfaces: One a primitive, in the order in which the tree of nodes names them.
        losses: What of the file is not read or not drawn, in words; empty if nothing is.
    """

    surfaces: list[Surface]
    losses: tuple[str, ...]


def parse_glb(data: bytes, object_id: str, file: str, default: Look = WHITE) -> list[Surface]:
    """The surfaces of :func:`read_glb`."""
    return read_glb(data, object_id, file, default).surfaces


def read_glb(data: bytes, object_id: str, file: str, default: Look = WHITE) -> MeshContent:
    """Surfaces of a binary glTF file, node transforms applied, and what of it is lost.

    Args:
        data: The file's bytes.
        object_id: For messages.
        file: For messages.
        default: The look of what has no material.

    Raises:
        MeshUnreadable: The file is truncated or damaged, refers to other files, or holds vertices that are not finite.
        MeshUnsupported: It needs an extension that is not read.
        MeshTooLarge: It holds more than a scene may.
        TextureUnreadable: A picture is damaged.
        MeshEmpty: It holds no triangle with an area.
    """
    try:
        content = _Reader(GltfDocument(data), default).read()
    except DamagedGltfError as error:
        raise MeshUnreadable(object_id, file, str(error)) from error
    except UnsupportedGltfError as error:
        raise MeshUnsupported(object_id, file, str(error), READ_EXTENSIONS) from error
    except TooLargeGltfError as error:
        raise MeshTooLarge(object_id, file, error.found, error.limit) from error
    except UnreadableImageError as error:
        raise TextureUnreadable(object_id, file, error.image, error.problem) from error
    if not content.surfaces:
        lost = f" ({'; '.join(content.losses)})" if content.losses else ""
        raise MeshEmpty(object_id, file, f"holds no triangle{lost}")
    solid = merge_positions(content.surfaces)
    if solid.area <= _MIN_AREA_SHARE * max(float(solid.scale) ** 2, 1e-30):
        raise MeshEmpty(object_id, file, "holds triangles without an area")
    return content


class _Arrays(NamedTuple):
    """The arrays of a primitive."""

    attributes: dict[str, FloatArray]
    indices: NDArray[np.int64] | None


class _Reader:
    def __init__(self, document: GltfDocument, default: Look) -> None:
        self._document = document
        self._tree = document.tree
        self._looks = GltfLooks(document, default)
        self._losses: list[str] = []
        self._triangles = 0
        self._read_meshes: dict[tuple[int, tuple[float, ...]], list[Surface]] = {}

    def read(self) -> MeshContent:
        self._validate_extensions()
        surfaces = [surface for node, matrix in self._nodes() for surface in self._surfaces(node, matrix)]
        if self._tree.animations:
            self._losses.append("animations")
        if any(node.camera is not None for node in self._tree.nodes):
            self._losses.append("cameras")
        losses = dict.fromkeys([*self._losses, *self._looks.losses])
        return MeshContent(surfaces, tuple(losses))

    def _validate_extensions(self) -> None:
        named = {*self._tree.extensions_used, *self._tree.extensions_required}
        named |= {name for node in self._tree.nodes for name in node.extensions}
        for name in sorted(named & _SHAPE_EXTENSIONS):
            raise UnsupportedGltfError(name)
        for name in sorted(self._tree.extensions_required):
            if name not in READ_EXTENSIONS and not name.startswith(_LOOK_EXTENSIONS):
                raise UnsupportedGltfError(name)
        unread = (name for name in sorted(named) if name not in READ_EXTENSIONS and not name.startswith(_LOOK_EXTENSIONS))
        self._losses += [f"extension {name}" for name in unread]

    def _nodes(self) -> Iterator[tuple[Node, FloatArray]]:
        """Nodes of the scene that is shown, parents before children, with their transform to the file's frame (4, 4)."""
        tree = self._tree
        if tree.scenes:
            roots = take(tree.scenes, tree.scene or 0, "scene").nodes
        else:
            children = {child for node in tree.nodes for child in node.children}
            roots = [index for index in range(len(tree.nodes)) if index not in children]
        seen: set[int] = set()
        waiting = [(index, np.eye(4)) for index in reversed(roots)]
        while waiting:
            index, above = waiting.pop()
            if index in seen:
                raise DamagedGltfError(f"is damaged: node {index} stands twice in the tree of nodes")
            seen.add(index)
            node = take(tree.nodes, index, "node")
            matrix = above @ _matrix(node)
            waiting += [(child, matrix) for child in reversed(node.children)]
            yield node, matrix
        hidden = sum(node.mesh is not None and index not in seen for index, node in enumerate(tree.nodes))
        if hidden:
            self._losses.append(f"meshes in no scene, or in another one than the file shows: {hidden}")

    def _surfaces(self, node: Node, matrix: FloatArray) -> Iterator[Surface]:
        if node.mesh is None:
            return
        if node.skin is not None:
            self._losses.append("a skin (the mesh keeps its rest pose)")
        mesh = take(self._tree.meshes, node.mesh, "mesh")
        weights = tuple(node.weights or mesh.weights)
        if (node.mesh, weights) not in self._read_meshes:
            self._read_meshes[node.mesh, weights] = [
                surface for surface in (self._surface(item, weights) for item in self._primitives(mesh)) if len(surface.faces)
            ]
        for surface in self._read_meshes[node.mesh, weights]:
            self._triangles += len(surface.faces)
            if self._triangles > MAX_TRIANGLES:
                raise TooLargeGltfError(f"{self._triangles} triangles or more", f"{MAX_TRIANGLES} triangles")
            with np.errstate(over="ignore", invalid="ignore"):
                moved = surface.moved(matrix[:3, :3], matrix[:3, 3])
            if not (np.abs(moved.vertices) <= _MAX_COORDINATE).all():
                raise DamagedGltfError(f"is damaged: vertices lie beyond {_MAX_COORDINATE:g} units, or are not finite")
            yield moved

    def _primitives(self, mesh: Mesh) -> Iterator[Primitive]:
        """Those of a mesh that draw triangles."""
        for primitive in mesh.primitives:
            if primitive.mode < _TRIANGLES:
                self._losses.append("points or lines")
            elif _POSITION not in primitive.attributes:
                self._losses.append("triangles without positions")
            else:
                self._losses += [f"attribute {name}" for name in sorted(primitive.attributes) if not name.startswith(_KNOWN_ATTRIBUTES)]
                if primitive.targets:
                    self._losses.append("morph targets")
                yield primitive

    def _surface(self, primitive: Primitive, weights: tuple[float, ...]) -> Surface:
        arrays = self._arrays(primitive)
        vertices = arrays.attributes[_POSITION]
        indices = np.arange(len(vertices)) if arrays.indices is None else arrays.indices
        if len(indices) and int(indices.max()) >= len(vertices):
            raise DamagedGltfError(f"is damaged: a triangle uses vertex {indices.max()} of {len(vertices)}")
        faces = _faces(indices, primitive.mode)
        if len(faces) > MAX_TRIANGLES:
            raise TooLargeGltfError(f"{len(faces)} triangles or more", f"{MAX_TRIANGLES} triangles")
        for weight, target in zip(weights, primitive.targets, strict=False):
            if weight and _POSITION in target:
                arrays.attributes[_POSITION] = arrays.attributes[_POSITION] + weight * self._moves(target[_POSITION], len(vertices))
        used, faces = np.unique(faces, return_inverse=True)  # what no triangle uses is no part of the shape
        faces = faces.reshape(-1, _CORNERS).astype(np.int64)
        attributes = {name: _used(name, values, used, len(vertices)) for name, values in arrays.attributes.items()}
        placed = self._looks.find(primitive.material)
        look, colors = placed.look, attributes.get(_COLOR)
        if colors is not None:
            if primitive.material is None:  # vertices have a colour of their own, so none needs to be stated
                placed = replace(placed, look=replace(look, base_color=WHITE.base_color))
            look, colors = placed.color(colors)
        vertices, uv = attributes[_POSITION], attributes.get(f"TEXCOORD_{placed.uv_set}")
        if look.texture is None:
            return Surface(vertices, faces, None, look, colors)
        if uv is None:
            self._losses.append(f"a texture without coordinates (TEXCOORD_{placed.uv_set} is missing)")
            return Surface(vertices, faces, None, replace(look, texture=None), colors)
        placed_uv = placed.place(uv)
        self._looks.note_borders(placed, placed_uv)
        return Surface(vertices, faces, placed_uv, look, colors)

    def _attribute(self, name: str, index: int) -> FloatArray:
        """An attribute of vertices; integers of a colour are shares, whether the file says so, as it must, or not."""
        values, accessor = _checked(name, self._document.array(index)), self._tree.accessors[index]
        if name != _COLOR or accessor.normalized:
            return values
        return values / full_scale(accessor.model_copy(update={"normalized": True}))

    def _moves(self, index: int, count: int) -> FloatArray:
        """How far a morph target moves each of ``count`` vertices, shape (count, 3)."""
        moves = _checked(_POSITION, self._document.array(index))
        if len(moves) != count:
            raise DamagedGltfError(f"is damaged: a morph target has {len(moves)} values for {count} vertices")
        return moves

    def _arrays(self, primitive: Primitive) -> _Arrays:
        wanted = {name: index for name, index in primitive.attributes.items() if name.startswith(_READ_ATTRIBUTES)}
        if _DRACO in primitive.extensions:
            return self._decompressed(primitive.extensions[_DRACO], wanted)
        attributes = {name: self._attribute(name, index) for name, index in wanted.items()}
        return _Arrays(attributes, None if primitive.indices is None else self._document.indices(primitive.indices))

    def _decompressed(self, extension: dict[str, object], wanted: dict[str, int]) -> _Arrays:
        try:
            draco = Draco.model_validate(extension)
        except ValidationError as error:
            raise DamagedGltfError(f"is damaged: {_DRACO} is wrong ({error.errors()[0]['msg']})") from error
        for index in wanted.values():
            if take(self._tree.accessors, index, "accessor").count > MAX_ELEMENTS:
                raise TooLargeGltfError(f"an accessor of {self._tree.accessors[index].count} elements", f"{MAX_ELEMENTS} elements")
        try:
            mesh = DracoPy.decode(self._document.view(draco.buffer_view))
        except (DracoPy.FileTypeException, ValueError, TypeError, OverflowError, MemoryError) as error:
            raise DamagedGltfError(f"is damaged: its Draco data cannot be decoded ({str(error)[:120]})") from error
        stored = {item["unique_id"]: np.asarray(item["data"]) for item in mesh.attributes}
        attributes = {}
        for name, index in wanted.items():
            if name not in draco.attributes:  # it is not compressed
                attributes[name] = self._attribute(name, index)
                continue
            values = stored.get(draco.attributes[name])
            if values is None:
                raise DamagedGltfError(f"is damaged: its Draco data has no {name}")
            scale = full_scale(self._tree.accessors[index])
            attributes[name] = _checked(name, np.atleast_2d(values).astype(np.float64) / scale)
        return _Arrays(attributes, np.asarray(mesh.faces, dtype=np.int64).ravel())


def _checked(name: str, values: FloatArray) -> FloatArray:
    widths = {_POSITION: (3,), _COLOR: (3, 4)}.get(name, (2,))
    if values.shape[1] not in widths:
        raise DamagedGltfError(f"is damaged: {name} has {values.shape[1]} components, expected {' or '.join(map(str, widths))}")
    return values


def _used(name: str, values: FloatArray, used: NDArray[np.int64], count: int) -> FloatArray:
    """The values of the vertices that are used; there must be one for each of ``count`` vertices, and it must be finite."""
    if len(values) != count:
        raise DamagedGltfError(f"is damaged: {name} has {len(values)} values for {count} vertices")
    found = values[used]
    if not (finite := np.isfinite(found).all(axis=1)).all():
        raise DamagedGltfError(
            f"is damaged: {name} has {int((~finite).sum())} values that are not finite, first of vertex {used[finite.argmin()]}"
        )
    return found


def _matrix(node: Node) -> FloatArray:
    if node.matrix is not None:
        return np.asarray(node.matrix, dtype=np.float64).reshape(4, 4).T
    matrix = np.eye(4)
    if np.linalg.norm(node.rotation) < _MIN_AREA_SHARE:
        raise DamagedGltfError("is damaged: the rotation of a node is no unit quaternion")
    matrix[:3, :3] = Rotation.from_quat(node.rotation).as_matrix() @ np.diag(node.scale)
    matrix[:3, 3] = node.translation
    return matrix


def _faces(indices: NDArray[np.int64], mode: int) -> NDArray[np.int64]:
    """Triangles (F, 3) of a list, a strip or a fan."""
    if mode == _TRIANGLES:
        if len(indices) % _CORNERS:
            raise DamagedGltfError(f"is damaged: {len(indices)} indices are no whole number of triangles")
        return indices.reshape(-1, _CORNERS)
    first = np.arange(max(len(indices) - 2, 0))
    odd = first % 2
    columns = (first, first + 1 + odd, first + 2 - odd) if mode == _STRIP else (first + 1, first + 2, np.zeros_like(first))
    return indices[np.column_stack(columns)]
