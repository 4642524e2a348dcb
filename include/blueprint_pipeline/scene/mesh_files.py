"""Mesh files with one byte form: binary glTF with its textures, and Wavefront OBJ. No time, no name of a program or machine.

Vertices are written in the frame and unit they are in (object frame, z up, metres), as in the scenes that are ingested.

Source: Khronos glTF 2.0 specification, §3 and §5 (accessors, buffers, materials).
"""

import io
import json
import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.scene.surfaces import Surface

_FLOAT, _UINT = 5126, 5125
_ARRAY_BUFFER, _ELEMENT_BUFFER = 34962, 34963
_ALIGNMENT = 4


def png_bytes(image: Image.Image) -> bytes:
    """A PNG without any metadata."""
    stream = io.BytesIO()
    clean = Image.frombytes(image.mode, image.size, image.tobytes())
    clean.save(stream, format="PNG", compress_level=6)
    return stream.getvalue()


class _Buffer:
    """The binary chunk, with views on it."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict[str, int]] = []
        self.accessors: list[dict[str, object]] = []

    def view(self, data: bytes, target: int | None = None) -> int:
        self.data += b"\0" * (-len(self.data) % _ALIGNMENT)
        view = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data)}
        self.views.append(view if target is None else {**view, "target": target})
        self.data += data
        return len(self.views) - 1

    def array(self, values: NDArray[np.float32] | NDArray[np.uint32], kind: str, *, bounds: bool = False) -> int:
        is_index = values.dtype == np.uint32
        accessor: dict[str, object] = {
            "bufferView": self.view(values.tobytes(), _ELEMENT_BUFFER if is_index else _ARRAY_BUFFER),
            "componentType": _UINT if is_index else _FLOAT,
            "count": len(values),
            "type": kind,
        }
        if bounds:
            accessor |= {"min": values.min(axis=0).tolist(), "max": values.max(axis=0).tolist()}
        self.accessors.append(accessor)
        return len(self.accessors) - 1


def build_glb(name: str, surfaces: Sequence[Surface]) -> bytes:
    """Binary glTF of an object: one mesh, one node, a primitive and a material a surface."""
    buffer = _Buffer()
    materials: list[dict[str, object]] = []
    images: list[dict[str, object]] = []
    nodes: list[dict[str, object]] = []
    meshes: list[dict[str, object]] = []
    for index, surface in enumerate(surfaces):
        attributes = {"POSITION": buffer.array(surface.vertices.astype(np.float32), "VEC3", bounds=True)}
        if surface.uv is not None:
            attributes["TEXCOORD_0"] = buffer.array((surface.uv * (1, -1) + (0, 1)).astype(np.float32), "VEC2")
        if surface.colors is not None:
            attributes["COLOR_0"] = buffer.array(surface.colors.astype(np.float32), "VEC4")
        indices = buffer.array(surface.faces.astype(np.uint32).ravel(), "SCALAR")
        pbr: dict[str, object] = {
            "baseColorFactor": [float(value) for value in surface.look.base_color],
            "metallicFactor": surface.look.metallic,
            "roughnessFactor": surface.look.roughness,
        }
        if surface.look.texture is not None:
            images.append({"bufferView": buffer.view(png_bytes(surface.look.texture)), "mimeType": "image/png"})
            pbr["baseColorTexture"] = {"index": len(images) - 1}
        material = {"name": f"{name}_{index}", "pbrMetallicRoughness": pbr, "doubleSided": surface.look.double_sided}
        materials.append(material if surface.look.is_opaque else {**material, "alphaMode": "BLEND"})
        meshes.append({"name": f"{name}_{index}", "primitives": [{"attributes": attributes, "indices": indices, "material": index}]})
        nodes.append({"name": f"{name}_{index}", "mesh": index})
    tree: dict[str, object] = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": list(range(len(nodes)))}],
        "nodes": nodes,
        "meshes": meshes,
        "materials": materials,
        "accessors": buffer.accessors,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": len(buffer.data) + (-len(buffer.data) % _ALIGNMENT)}],
    }
    if images:
        tree |= {"images": images, "textures": [{"source": index, "sampler": 0} for index in range(len(images))], "samplers": [{}]}
    return _container(json.dumps(tree, separators=(",", ":"), allow_nan=False).encode(), bytes(buffer.data))


def _container(tree: bytes, data: bytes) -> bytes:
    tree += b" " * (-len(tree) % _ALIGNMENT)
    data += b"\0" * (-len(data) % _ALIGNMENT)
    chunks = struct.pack("<I4s", len(tree), b"JSON") + tree + struct.pack("<I4s", len(data), b"BIN\0") + data
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def build_obj(vertices: FloatArray, faces: NDArray[np.int64], uv: FloatArray | None = None) -> bytes:
    """Wavefront OBJ of one mesh, micrometre digits; texture coordinates (V, 2) with v up, one a vertex."""
    lines = [f"v {x:.7g} {y:.7g} {z:.7g}" for x, y, z in np.round(vertices, 8) + 0.0]
    if uv is not None:
        lines += [f"vt {u:.6g} {v:.6g}" for u, v in uv + 0.0]
        lines += [f"f {a}/{a} {b}/{b} {c}/{c}" for a, b, c in faces + 1]
    else:
        lines += [f"f {a} {b} {c}" for a, b, c in faces + 1]
    return "\n".join(lines).encode() + b"\n"


def parse_obj(data: bytes) -> tuple[FloatArray, NDArray[np.int64]]:
    """Vertices (V, 3) and faces (F, 3) of a file of :func:`build_obj`."""
    rows = [line.split() for line in data.decode("ascii").splitlines()]
    vertices = np.array([[float(value) for value in row[1:4]] for row in rows if row and row[0] == "v"])
    faces = np.array([[int(item.split("/")[0]) - 1 for item in row[1:4]] for row in rows if row and row[0] == "f"], dtype=np.int64)
    return vertices, faces
