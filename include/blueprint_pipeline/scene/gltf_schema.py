"""The tree of a glTF 2.0 file, as far as it is read: one model an object of the specification, under its names.

What is not read is not checked. Numbers are finite, and indices are not negative: whatever refers to something checks that it is there.

Source: Khronos glTF 2.0 specification, §5 (properties reference).
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Index = Annotated[int, Field(ge=0, lt=2**31)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
AlphaMode = Literal["OPAQUE", "MASK", "BLEND"]
Extensions = dict[str, dict[str, object]]


class _Node(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel)


class Asset(_Node):
    """Which glTF this is."""

    version: str


class Buffer(_Node):
    """Bytes: the binary chunk, or a data URI."""

    byte_length: Index
    uri: str | None = None


class BufferView(_Node):
    """A part of a buffer."""

    buffer: Index
    byte_offset: Index = 0
    byte_length: Index
    byte_stride: Annotated[int, Field(ge=4, le=252)] | None = None
    extensions: Extensions = {}


class SparseIndices(_Node):
    """Which elements of an accessor differ."""

    buffer_view: Index
    byte_offset: Index = 0
    component_type: Literal[5121, 5123, 5125]


class SparseValues(_Node):
    """What they are."""

    buffer_view: Index
    byte_offset: Index = 0


class Sparse(_Node):
    """Elements that differ from those of the buffer view, or from zero."""

    count: Index
    indices: SparseIndices
    values: SparseValues


class Accessor(_Node):
    """A typed view of a buffer."""

    buffer_view: Index | None = None
    byte_offset: Index = 0
    component_type: Literal[5120, 5121, 5122, 5123, 5125, 5126]
    normalized: bool = False
    count: Index
    type: Literal["SCALAR", "VEC2", "VEC3", "VEC4", "MAT2", "MAT3", "MAT4"]
    sparse: Sparse | None = None


class Draco(_Node):
    """``KHR_draco_mesh_compression`` of a primitive: attribute name to the id in the compressed mesh."""

    buffer_view: Index
    attributes: dict[str, Index]


class Primitive(_Node):
    """Triangles with one material."""

    attributes: dict[str, Index]
    indices: Index | None = None
    material: Index | None = None
    mode: Annotated[int, Field(ge=0, le=6)] = 4
    targets: list[dict[str, Index]] = []
    extensions: Extensions = {}


class Mesh(_Node):
    """What a node draws."""

    primitives: list[Primitive]
    weights: list[Number] = []


class Node(_Node):
    """A place in the tree."""

    mesh: Index | None = None
    camera: Index | None = None
    skin: Index | None = None
    weights: list[Number] = []
    children: list[Index] = []
    matrix: Annotated[list[Number], Field(min_length=16, max_length=16)] | None = None
    translation: tuple[Number, Number, Number] = (0, 0, 0)
    rotation: tuple[Number, Number, Number, Number] = (0, 0, 0, 1)
    scale: tuple[Number, Number, Number] = (1, 1, 1)
    extensions: Extensions = {}


class Scene(_Node):
    """Nodes that are drawn together."""

    nodes: list[Index] = []


class Image(_Node):
    """A picture file."""

    uri: str | None = None
    buffer_view: Index | None = None


class Sampler(_Node):
    """What lies outside of a picture."""

    wrap_s: int = 10497
    wrap_t: int = 10497


class Texture(_Node):
    """A picture and its sampler."""

    source: Index | None = None
    sampler: Index | None = None
    extensions: Extensions = {}


class TextureTransform(_Node):
    """``KHR_texture_transform``."""

    offset: tuple[Number, Number] = (0, 0)
    rotation: Number = 0
    scale: tuple[Number, Number] = (1, 1)
    tex_coord: Index | None = None


class TextureInfo(_Node):
    """Which texture a material uses, with which coordinates."""

    index: Index
    tex_coord: Index = 0
    extensions: Extensions = {}


class MetallicRoughness(_Node):
    """``pbrMetallicRoughness``."""

    base_color_factor: tuple[Share, Share, Share, Share] = (1, 1, 1, 1)
    base_color_texture: TextureInfo | None = None
    metallic_factor: Share = 1
    roughness_factor: Share = 1
    metallic_roughness_texture: TextureInfo | None = None


class SpecularGlossiness(_Node):
    """``KHR_materials_pbrSpecularGlossiness``, as far as it is read."""

    diffuse_factor: tuple[Share, Share, Share, Share] = (1, 1, 1, 1)
    diffuse_texture: TextureInfo | None = None
    glossiness_factor: Share = 1


class GltfMaterial(_Node):
    """How a primitive looks."""

    pbr_metallic_roughness: MetallicRoughness = MetallicRoughness()
    normal_texture: TextureInfo | None = None
    occlusion_texture: TextureInfo | None = None
    emissive_texture: TextureInfo | None = None
    emissive_factor: tuple[Number, Number, Number] = (0, 0, 0)
    alpha_mode: AlphaMode = "OPAQUE"
    alpha_cutoff: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.5
    double_sided: bool = False
    extensions: Extensions = {}


class Gltf(_Node):
    """The whole tree."""

    asset: Asset
    scene: Index | None = None
    scenes: list[Scene] = []
    nodes: list[Node] = []
    meshes: list[Mesh] = []
    materials: list[GltfMaterial] = []
    textures: list[Texture] = []
    images: list[Image] = []
    samplers: list[Sampler] = []
    accessors: list[Accessor] = []
    buffer_views: list[BufferView] = []
    buffers: list[Buffer] = []
    animations: list[dict[str, object]] = []
    extensions_used: list[str] = []
    extensions_required: list[str] = []
