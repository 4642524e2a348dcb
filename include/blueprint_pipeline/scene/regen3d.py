"""The ``regen3d/`` layout as it is written: one model a file, in the units and axes of the reconstruction.

Fields that upstream adds are kept in the verbatim copy and ignored here. Quaternions are w, x, y, z; matrices row-major.

Source: 3D-RE-GEN's export (scene_info, pose, bounds, material, intrinsics, extrinsics).
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from blueprint_pipeline.scene.frames import CoordinateFrame

_LARGEST = 1e9
"""In scene units: what is larger is no place in any scene."""
Number = Annotated[float, Field(ge=-_LARGEST, le=_LARGEST, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, le=_LARGEST, allow_inf_nan=False)]
Pixels = Annotated[int, Field(gt=0, le=65_536)]
Vector3 = tuple[Number, Number, Number]
Vector4 = tuple[Number, Number, Number, Number]
Matrix3 = tuple[Vector3, Vector3, Vector3]
Matrix4 = tuple[Vector4, Vector4, Vector4, Vector4]
Share = Annotated[float, Field(ge=0, le=1)]

SUPPORTED_MAJOR = "1"
"""``scene_info.version`` is semver; any 1.x.y is read."""


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class SceneInfo(_File):
    """``scene_info.json``."""

    scene_id: str
    coordinate_frame: CoordinateFrame
    meters_per_unit: Positive
    version: str
    image_size: tuple[int, int] | None = None
    confidence: Share | None = None
    environment_type: str = "unknown"
    reconstruction_method: str = "unknown"
    generated_at: str | None = None


class PoseFile(_File):
    """``pose.json``: transform_matrix = translation . rotation . scale, from the mesh as written to the scene."""

    transform_matrix: Matrix4
    translation: Vector3
    rotation_quaternion: Vector4
    scale: Vector3
    confidence: Share | None = None
    is_floor_contact: bool


class BoundsFile(_File):
    """``bounds.json``: axis-aligned box of the posed mesh, in scene units."""

    min: Vector3
    max: Vector3
    center: Vector3
    size: Vector3


class MaterialFile(_File):
    """``material.json``."""

    base_color: tuple[Share, Share, Share] | tuple[Share, Share, Share, Share]
    metallic: Share
    roughness: Share
    material_type: str


class LabelFile(_File):
    """``label.json``: what the object is; optional."""

    category: str
    description: str = ""


class JointFile(_File):
    """One joint of ``articulation.json``, in the frame and unit of the mesh."""

    name: str
    type: Literal["prismatic", "revolute"]
    axis: Vector3
    origin: Vector3
    limits: tuple[Number, Number]
    child_part: str
    friction: Positive | None = None
    """Force [N] or moment [N m] that holds it where it is left."""
    damping: Positive | None = None
    """[N s/m] or [N m s/rad]."""
    stiffness: Positive | None = None
    """Of the spring that brings a button back [N/m]; without one it stays where it is pushed."""


class ArticulationFile(_File):
    """``articulation.json``: how a closed object opens; optional."""

    object_id: str
    base_part: str
    origin: str
    parts: dict[str, str]
    joints: tuple[JointFile, ...]


class IntrinsicsFile(_File):
    """``camera/intrinsics.json``: pinhole matrix in pixels."""

    matrix: Matrix3
    width: Pixels
    height: Pixels


class ExtrinsicsFile(_File):
    """``camera/extrinsics.json``: scene to camera (x right, y down, z forward), in scene units."""

    matrix: Matrix4
