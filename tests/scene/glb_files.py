"""Binary glTF files written by hand: what other writers put in them, and ours does not."""

import io
import json
import struct

import numpy as np
from PIL import Image

from blueprint_pipeline.scene.gltf import read_glb

KINDS = {"uint8": 5121, "int8": 5120, "uint16": 5123, "int16": 5122, "uint32": 5125, "float32": 5126}
WIDTHS = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4"}
SQUARE = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], dtype=np.float32)
SQUARE_UV = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], dtype=np.float32)
"""v down, as glTF has it: the picture stands upright on the square."""
SQUARE_FACES = np.array([0, 1, 2, 0, 2, 3], dtype=np.uint16)


def container(tree, data=b""):
    """A GLB of a tree and its buffer."""
    text = json.dumps(tree).encode() if isinstance(tree, dict) else tree
    text += b" " * (-len(text) % 4)
    data += b"\0" * (-len(data) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(data), b"BIN\0") + data
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def picture_bytes(pixels, kind="PNG"):
    stream = io.BytesIO()
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(stream, format=kind, **({"lossless": True} if kind == "WEBP" else {}))
    return stream.getvalue()


class GlbFile:
    """A file that grows: arrays, pictures, primitives."""

    def __init__(self, **tree):
        self.data = bytearray()
        self.tree = {
            "asset": {"version": "2.0"},
            "scene": 0,
            "scenes": [{"nodes": [0]}],
            "nodes": [{"mesh": 0}],
            "meshes": [{"primitives": []}],
            **{name: [] for name in ("materials", "textures", "images", "accessors", "bufferViews")},
            **tree,
        }

    def view(self, data, **fields):
        self.data += b"\0" * (-len(self.data) % 4)
        self.tree["bufferViews"].append({"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data), **fields})
        self.data += data
        return len(self.tree["bufferViews"]) - 1

    def array(self, values, **fields):
        values = np.asarray(values)
        width = 1 if values.ndim == 1 else values.shape[1]
        accessor = {"bufferView": self.view(values.tobytes()), "componentType": KINDS[values.dtype.name], "count": len(values)}
        self.tree["accessors"].append({**accessor, "type": WIDTHS[width], **fields})
        return len(self.tree["accessors"]) - 1

    def picture(self, data, **texture):
        self.tree["images"].append({"bufferView": self.view(data)})
        self.tree["textures"].append({"source": len(self.tree["images"]) - 1, **texture})
        return len(self.tree["textures"]) - 1

    def material(self, **fields):
        self.tree["materials"].append(fields)
        return len(self.tree["materials"]) - 1

    def primitive(self, attributes, indices=None, **fields):
        found = {"attributes": attributes, **({} if indices is None else {"indices": indices}), **fields}
        self.tree["meshes"][0]["primitives"].append(found)

    def square(self, material=None, **attributes):
        """A square of two triangles, with more attributes."""
        names = {"POSITION": self.array(SQUARE), **{name: self.array(values) for name, values in attributes.items()}}
        self.primitive(names, self.array(SQUARE_FACES), **({} if material is None else {"material": material}))

    def build(self):
        buffers = {"buffers": [{"byteLength": len(self.data)}]} if self.data else {}
        return container({**self.tree, **buffers}, bytes(self.data))


def textured_square(data, texture_info=None, attributes=None, texture=None, **material):
    """A square with a picture."""
    glb = GlbFile()
    info = {"index": glb.picture(data, **(texture or {})), **(texture_info or {})}
    chosen = glb.material(pbrMetallicRoughness={"baseColorTexture": info}, **material)
    glb.square(chosen, **({"TEXCOORD_0": SQUARE_UV} if attributes is None else attributes))
    return glb


def read(glb, **options):
    """What a file is read as."""
    return read_glb(glb.build(), "thing", "mesh.glb", **options)


QUARTERS = np.zeros((8, 8, 3), dtype=np.uint8)
QUARTERS[:4, :4], QUARTERS[:4, 4:], QUARTERS[4:, :4], QUARTERS[4:, 4:] = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)
"""A picture of four colours."""
WHOLE = picture_bytes(np.random.default_rng(0).integers(0, 255, (64, 64, 3)))
"""A picture that is read."""
