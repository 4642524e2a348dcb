"""A binary glTF file taken apart: its tree, its buffers, and the arrays that its accessors describe.

Source: Khronos glTF 2.0 specification, §3.6 (buffers, accessors, sparse accessors), §4 (GLB), §3.6.2.2 (normalized integers).
"""

import base64
import binascii
import struct
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.scene.gltf_schema import Accessor, Gltf, Sparse

_MAGIC, _VERSION, _JSON_CHUNK, _BINARY_CHUNK = 0x46546C67, 2, 0x4E4F534A, 0x004E4942
_HEADER_BYTES, _CHUNK_HEADER_BYTES = 12, 8
_MAX_TREE_BYTES = 64 * 1024 * 1024
MAX_ELEMENTS = 8_000_000
"""Elements of one accessor: a mesh of this size takes the memory of a small machine."""
MAX_FILE_ELEMENTS = 6 * MAX_ELEMENTS
"""Of all vertex attributes of a file: a small file may name a large accessor any number of times."""
_ARRAYS_KEPT = 4

_DTYPES = {5120: np.int8, 5121: np.uint8, 5122: np.int16, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
_LARGEST = {5120: 127, 5121: 255, 5122: 32767, 5123: 65535, 5125: 2**32 - 1}
_COMPONENTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}

_SNIFFED_BYTES = 2048
_KINDS = {
    b"{": "glTF as JSON text, not packed into one binary file",
    b"ply": "PLY",
    b"solid": "STL as text",
    b"Kaydara FBX": "FBX",
    b"PK": "a ZIP archive (3MF, or a packed folder)",
    b"<?xml": "XML (COLLADA, X3D)",
    b"#usda": "USD as text",
    b"PXR-USDC": "USD",
}
"""Formats by their first bytes."""
_OBJ_WORDS = (b"v ", b"vn ", b"mtllib ", b"o ", b"g ", b"f ")
_STL_HEADER_BYTES, _STL_TRIANGLE_BYTES = 80, 50

Item = TypeVar("Item")


class DamagedGltfError(ValueError):
    """The file cannot be read as binary glTF 2.0; says how, as the end of "the file ..."."""


class TooLargeGltfError(ValueError):
    """The file asks for too much memory: what it holds, and what is allowed."""

    def __init__(self, found: str, limit: str) -> None:
        super().__init__(found, limit)
        self.found = found
        self.limit = limit


class UnsupportedGltfError(ValueError):
    """The file is whole and needs a feature that is not read; its name."""


def take(items: Sequence[Item], index: int, what: str) -> Item:
    """The item of a list of the tree that an index names."""
    if index >= len(items):
        raise DamagedGltfError(f"is damaged: it refers to {what} {index}, and has {len(items)}")
    return items[index]


class GltfDocument:
    """The tree and the bytes of a file.

    Raises:
        DamagedGltfError: It is cut off, is no binary glTF 2.0, or its tree is not as specified.
        TooLargeGltfError: Its tree is larger than any mesh needs.
    """

    def __init__(self, data: bytes) -> None:
        tree, self._binary = _split(data)
        self.tree = _parse(tree)
        _validate_self_contained(self.tree)
        self._buffers: dict[int, bytes] = {}
        self._arrays: dict[int, FloatArray] = {}
        self._elements = 0

    def view(self, index: int) -> bytes:
        """The bytes of a buffer view.

        Raises:
            DamagedGltfError: It reaches beyond its buffer.
            UnsupportedGltfError: It is compressed.
        """
        view = take(self.tree.buffer_views, index, "buffer view")
        compressed = sorted(name for name in view.extensions if name.endswith("meshopt_compression"))
        if compressed:
            raise UnsupportedGltfError(compressed[0])
        buffer = self._buffer(view.buffer)
        end = view.byte_offset + view.byte_length
        if end > len(buffer):
            raise DamagedGltfError(f"is damaged: buffer view {index} ends at byte {end} of a buffer of {len(buffer)}")
        return buffer[view.byte_offset : end]

    def array(self, index: int) -> FloatArray:
        """The values of an accessor, shape (count, components); normalized integers in 0..1 or -1..1.

        Primitives share accessors: the last few are kept.

        Raises:
            DamagedGltfError: It reaches beyond its buffer view, or its sparse indices are out of range.
            TooLargeGltfError: It has more than :data:`MAX_ELEMENTS`, or all that were read have more than :data:`MAX_FILE_ELEMENTS`.
        """
        if index in self._arrays:
            return self._arrays[index]
        accessor = self._accessor(index)
        self._elements += accessor.count
        if self._elements > MAX_FILE_ELEMENTS:
            raise TooLargeGltfError(f"accessors of {self._elements} elements or more", f"{MAX_FILE_ELEMENTS} elements a file")
        raw = self._raw(accessor, f"accessor {index}")
        scale = full_scale(accessor)
        values = raw.astype(np.float64)
        if len(self._arrays) == _ARRAYS_KEPT:
            del self._arrays[next(iter(self._arrays))]
        self._arrays[index] = values if scale == 1.0 else np.maximum(values / scale, -1.0)
        return self._arrays[index]

    def indices(self, index: int) -> NDArray[np.int64]:
        """The values of an accessor of vertex indices, shape (count,)."""
        accessor = self._accessor(index)
        if accessor.type != "SCALAR" or accessor.component_type not in {5121, 5123, 5125}:
            found = f"{accessor.type} of kind {accessor.component_type}"
            raise DamagedGltfError(f"is damaged: accessor {index} holds {found}, no vertex indices")
        return self._raw(accessor, f"accessor {index}").astype(np.int64).ravel()

    def _accessor(self, index: int) -> Accessor:
        accessor = take(self.tree.accessors, index, "accessor")
        if accessor.count > MAX_ELEMENTS:
            raise TooLargeGltfError(f"an accessor of {accessor.count} elements", f"{MAX_ELEMENTS} elements")
        return accessor

    def _raw(self, accessor: Accessor, name: str) -> NDArray[np.generic]:
        if accessor.type not in _COMPONENTS:
            raise DamagedGltfError(f"is damaged: {name} holds {accessor.type}, and numbers or vectors are expected")
        dtype, width = np.dtype(_DTYPES[accessor.component_type]), _COMPONENTS[accessor.type]
        if accessor.buffer_view is None:
            values = np.zeros((accessor.count, width), dtype=dtype)
        else:
            stride = take(self.tree.buffer_views, accessor.buffer_view, "buffer view").byte_stride
            values = _strided(self.view(accessor.buffer_view)[accessor.byte_offset :], (accessor.count, width), dtype, stride, name)
        return values if accessor.sparse is None else self._with_sparse(values, accessor.sparse, name)

    def _with_sparse(self, values: NDArray[np.generic], sparse: Sparse, name: str) -> NDArray[np.generic]:
        if sparse.count > len(values):
            raise DamagedGltfError(f"is damaged: {name} replaces {sparse.count} of {len(values)} elements")
        dtype = np.dtype(_DTYPES[sparse.indices.component_type])
        rows = _strided(self.view(sparse.indices.buffer_view)[sparse.indices.byte_offset :], (sparse.count, 1), dtype, None, name).ravel()
        if sparse.count and int(rows.max()) >= len(values):
            raise DamagedGltfError(f"is damaged: {name} replaces element {rows.max()} of {len(values)}")
        shape = (sparse.count, values.shape[1])
        replaced = values.copy()
        replaced[rows] = _strided(self.view(sparse.values.buffer_view)[sparse.values.byte_offset :], shape, values.dtype, None, name)
        return replaced

    def _buffer(self, index: int) -> bytes:
        if index not in self._buffers:
            buffer = take(self.tree.buffers, index, "buffer")
            data = self._binary if buffer.uri is None and index == 0 else data_of_uri(buffer.uri, f"buffer {index}")
            if buffer.byte_length > len(data):
                raise DamagedGltfError(f"is truncated: buffer {index} has {len(data)} of {buffer.byte_length} bytes")
            self._buffers[index] = data[: buffer.byte_length]
        return self._buffers[index]


def full_scale(accessor: Accessor) -> float:
    """What an accessor's stored numbers are divided by: the largest integer of its kind if they are normalized, else 1."""
    return float(_LARGEST.get(accessor.component_type, 1)) if accessor.normalized else 1.0


def data_of_uri(uri: str | None, what: str) -> bytes:
    """The bytes of a data URI.

    Raises:
        DamagedGltfError: There is none, or it is not base64.
    """
    if uri is None:
        raise DamagedGltfError(f"is damaged: {what} has no bytes")
    head, _, text = uri.partition(",")
    if not head.endswith(";base64"):
        raise DamagedGltfError(f"is damaged: the data URI of {what} is not base64")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DamagedGltfError(f"is damaged: the data URI of {what} is not base64 ({error})") from error


def _split(data: bytes) -> tuple[bytes, bytes]:
    """The JSON chunk and the binary chunk of a GLB."""
    if len(data) < _HEADER_BYTES + _CHUNK_HEADER_BYTES:
        kind = _find_kind(data)
        raise DamagedGltfError(f"is {kind}" if kind else f"is truncated: it has {len(data)} bytes, less than a header")
    magic, version, length = struct.unpack_from("<3I", data)
    if magic != _MAGIC or version != _VERSION:
        raise DamagedGltfError(_other_kind(data, version if magic == _MAGIC else None))
    if length > len(data):
        raise DamagedGltfError(f"is truncated: its header claims a length of {length} bytes, the file has {len(data)}")
    found: dict[int, bytes] = {}
    start = _HEADER_BYTES
    while start + _CHUNK_HEADER_BYTES <= length:
        size, kind = struct.unpack_from("<2I", data, start)
        start += _CHUNK_HEADER_BYTES
        if start + size > length:
            raise DamagedGltfError(f"is truncated: a chunk of {size} bytes begins at byte {start} of {length}")
        if not found and kind != _JSON_CHUNK:
            raise DamagedGltfError("is damaged: it does not begin as binary glTF 2.0 does")
        found.setdefault(kind, data[start : start + size])
        start += size
    return found.get(_JSON_CHUNK, b""), found.get(_BINARY_CHUNK, b"")


def _other_kind(data: bytes, version: int | None) -> str:
    """What a file is that does not begin as binary glTF 2.0 does."""
    if version is not None:
        return f"is binary glTF {version}.0, which is not read"
    kind = _find_kind(data)
    return f"is {kind}" if kind else "is damaged: it does not begin as binary glTF 2.0 does"


def _find_kind(data: bytes) -> str | None:
    """The format of a mesh file by how it begins, in words; ``None`` for an unknown one."""
    count = struct.unpack_from("<I", data, _STL_HEADER_BYTES)[0] if len(data) >= _STL_HEADER_BYTES + 4 else None
    if count and len(data) == _STL_HEADER_BYTES + 4 + count * _STL_TRIANGLE_BYTES:
        return "binary STL"  # asked first: many begin with the word of STL as text
    head = data[:_SNIFFED_BYTES].lstrip(b"\xef\xbb\xbf \t\r\n")
    for begins, kind in _KINDS.items():
        if head.startswith(begins):
            return kind
    return "Wavefront OBJ" if any(line.startswith(_OBJ_WORDS) for line in head.splitlines()) else None


def _parse(text: bytes) -> Gltf:
    if len(text) > _MAX_TREE_BYTES:
        raise TooLargeGltfError(f"a tree of {len(text)} bytes", f"{_MAX_TREE_BYTES} bytes")
    try:
        return Gltf.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        what = "its JSON cannot be read" if first["type"] == "json_invalid" else f"field {field} of its JSON is wrong"
        raise DamagedGltfError(f"is damaged: {what} ({first['msg']})") from error


def _validate_self_contained(tree: Gltf) -> None:
    for uri in (*(buffer.uri for buffer in tree.buffers), *(image.uri for image in tree.images)):
        if uri is not None and not uri.startswith("data:"):
            raise DamagedGltfError(f"refers to another file ('{uri[:80]}')")


def _strided(data: bytes, shape: tuple[int, int], dtype: np.dtype[np.generic], stride: int | None, name: str) -> NDArray[np.generic]:
    """Rows of a buffer view; each begins ``stride`` bytes after the one before."""
    row = shape[1] * dtype.itemsize
    step = stride or row
    end = step * (shape[0] - 1) + row if shape[0] else 0
    if end > len(data) or step < row:
        raise DamagedGltfError(f"is damaged: {name} ends at byte {end} of a buffer view of {len(data)}")
    if not shape[0]:
        return np.empty(shape, dtype=dtype)
    return np.ndarray(shape, dtype=dtype.newbyteorder("<"), buffer=data, strides=(step, dtype.itemsize)).astype(dtype)
