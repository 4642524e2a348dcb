"""``assets/scene_manifest.json``: what is in a scene, where, and from where.

The field names are those that users of the predecessor know. What drifted there is settled here: the world is z up, in metres;
quaternions are ``{w, x, y, z}``; sizes are ``{width, depth, height}`` = extents of the posed mesh along world x, y, z; the room is
``bounds`` with ``origin`` at its lowest corner. Meshes hold their scale, so ``transform.scale`` is 1.
"""

from typing import Literal

from pydantic import ConfigDict, Field

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.geometry.pose import Pose, QuatWxyz, Vector3
from blueprint_pipeline.origin import Origin
from blueprint_pipeline.twin.body_names import name_within
from blueprint_pipeline.workspace.storage import Id, SceneFolder

MANIFEST_PATH = "assets/scene_manifest.json"

SimRole = Literal[
    "static",
    "interactive",
    "manipulable_object",
    "articulated_furniture",
    "articulated_appliance",
    "clutter",
    "background",
    "scene_shell",
    "unknown",
]

MOVABLE_ROLES: frozenset[SimRole] = frozenset({"manipulable_object", "clutter"})

MAX_MOVABLE_VOLUME_M3 = 0.02
"""Box of the largest thing that is free to move, in the object's own frame: a 20-litre box is in, a microwave is out.

Source: between the bounds of the predecessor's inventory (< 0.01 m3 manipulable, > 0.5 m3 furniture).
"""


class Xyz(FrozenModel):
    """A vector in the world."""

    x: float
    y: float
    z: float

    def as_tuple(self) -> Vector3:
        return (self.x, self.y, self.z)


class Wxyz(FrozenModel):
    """A unit quaternion."""

    w: float
    x: float
    y: float
    z: float


class Size(FrozenModel):
    """Extents along world x (width), y (depth) and z (height) [m]."""

    width: float
    depth: float
    height: float


class Room(FrozenModel):
    """Axis-aligned box that holds all that was reconstructed."""

    bounds: Size
    origin: Vector3
    """Lowest corner in the world [m]."""


class PhysicsDefaults(FrozenModel):
    """How the scene is meant to be simulated."""

    gravity: Xyz = Xyz(x=0.0, y=0.0, z=-9.81)
    solver: str = "TGS"
    time_steps_per_second: int = 480


class SceneSection(FrozenModel):
    """The scene as a whole."""

    coordinate_frame: Literal["z_up"] = "z_up"
    meters_per_unit: float = Field(default=1.0, ge=1.0, le=1.0)
    """Always 1: the conversion happened at the door."""
    quaternion_order: Literal["wxyz"] = "wxyz"
    environment_type: str
    room: Room
    physics_defaults: PhysicsDefaults = PhysicsDefaults()


class AssetRef(FrozenModel):
    """An object's files, and whose they are."""

    path: str
    """Visual mesh, relative to the scene's folder; written by process_meshes."""
    format: Literal["glb"] = "glb"
    asset_id: str
    source: str | None
    """Package or collection it came from."""
    relative_path: str
    """The mesh that was ingested, relative to the scene's folder."""
    object_from_mesh: tuple[Vector3, Vector3, Vector3]
    """Linear map of that mesh's vertices to the object's frame [m]."""
    licence: str
    """SPDX id, or ``unknown``."""
    licence_statement: str | None
    licence_origin: Origin
    author: str | None
    changes: str | None


class Transform(FrozenModel):
    """Pose in the world, as reconstructed (``layout/settled.json`` has the settled one)."""

    position: Xyz
    scale: Xyz = Xyz(x=1.0, y=1.0, z=1.0)
    rotation_quaternion: Wxyz


class Semantics(FrozenModel):
    """What the object is."""

    class_: str = Field(alias="class", serialization_alias="class")
    instance_id: int
    affordances: tuple[str, ...]
    tags: tuple[str, ...] = ()

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class PhysicsHints(FrozenModel):
    """What the reconstruction says of the material."""

    material_type: str
    base_color: tuple[float, ...]
    metallic: float
    roughness: float
    origin: Origin


class ArticulationJoint(FrozenModel):
    """A joint in the object's frame: prismatic limits [m], revolute [rad]; 0 is closed, positive opens."""

    name: str
    type: Literal["prismatic", "revolute"]
    axis: Vector3
    origin: Vector3
    limits: tuple[float, float]
    child_part: str
    friction: float | None = None
    """As its author states it: the force [N] or moment [N m] that holds it where it is left; ``None``: it is estimated."""
    damping: float | None = None
    """The same of its damping [N s/m] or [N m s/rad]."""
    stiffness: float | None = None
    """Of the spring that brings a button back [N/m]; ``None``: it has none."""


class Articulation(FrozenModel):
    """How an object opens: parts that slide or turn on a base that is fixed to the world; as its meshes have them they are closed."""

    required: bool = False
    detection: str
    base_part: str
    parts: dict[str, str]
    """Part to its mesh, relative to the scene's folder, in the frame of the mesh that was ingested."""
    joints: tuple[ArticulationJoint, ...]
    """One for each part but the base."""


class ManifestObject(FrozenModel):
    """One object of the scene."""

    id: Id
    sim_role: SimRole
    name: str
    category: str
    description: str
    must_be_separate_asset: bool = True
    asset: AssetRef
    transform: Transform
    dimensions_est: Size
    semantics: Semantics
    physics_hints: PhysicsHints
    articulation: Articulation | None = None
    is_floor_contact: bool
    pose_confidence: float | None
    source: Literal["regen3d"] = "regen3d"

    @property
    def is_movable(self) -> bool:
        """Whether it is simulated as a free body."""
        return self.sim_role in MOVABLE_ROLES

    @property
    def joints(self) -> tuple[ArticulationJoint, ...]:
        """What it opens with; none for most objects."""
        return () if self.articulation is None else self.articulation.joints

    @property
    def moving_parts(self) -> dict[str, ArticulationJoint]:
        """The joint of each part that moves, by the part's name in the scene (``cabinet/drawer``)."""
        return {name_within(self.id, joint.child_part): joint for joint in self.joints}

    @property
    def mesh_files(self) -> dict[str, str]:
        """The mesh that was ingested of each of its bodies, relative to the scene's folder: of itself, or of its base and of each part."""
        if self.articulation is None:
            return {self.id: self.asset.relative_path}
        parts = self.articulation.parts
        moving = {name: parts[joint.child_part] for name, joint in self.moving_parts.items()}
        return {self.id: parts[self.articulation.base_part], **moving}

    @property
    def pose(self) -> Pose:
        """World pose as reconstructed."""
        quat = self.transform.rotation_quaternion
        return Pose(position_m=self.transform.position.as_tuple(), quat_wxyz=(quat.w, quat.x, quat.y, quat.z))

    @property
    def object_from_mesh(self) -> tuple[Vector3, Vector3, Vector3]:
        """Linear map of the source mesh's vertices to the object's frame [m]."""
        return self.asset.object_from_mesh


class Camera(FrozenModel):
    """The camera of ``source_image.png``: looks along -z, y up."""

    pose: Pose
    fovy_rad: float
    width: int
    height: int


class Background(FrozenModel):
    """What stands around the objects."""

    path: str
    relative_path: str
    source_linear: tuple[Vector3, Vector3, Vector3]
    """Linear map of its vertices to the world [m]."""
    licence: str
    licence_statement: str | None
    licence_origin: Origin


class Assets(FrozenModel):
    """Where assets lie."""

    asset_root: Literal["assets"] = "assets"
    packs: tuple[str, ...] = ()


class Metadata(FrozenModel):
    """Where the manifest comes from."""

    source_pipeline: str
    source_scene_id: str
    source_version: str
    source_confidence: float | None
    source_coordinate_frame: str
    source_meters_per_unit: float
    generated_at: str | None
    """Time of the reconstruction, as it says itself."""


class SceneManifest(FrozenModel):
    """The whole file."""

    version: Literal["1.0.0"] = "1.0.0"
    scene_id: Id
    scene: SceneSection
    objects: tuple[ManifestObject, ...]
    assets: Assets = Assets()
    background: Background | None
    camera: Camera
    metadata: Metadata

    def object(self, object_id: str) -> ManifestObject:
        """The object of that id (``KeyError`` without it)."""
        return {item.id: item for item in self.objects}[object_id]


def asset_folder(name: str) -> str:
    """Where the files of an object, of a part of one or of the background lie in the scene's folder.

    >>> asset_folder("cabinet"), asset_folder("cabinet/drawer")
    ('assets/cabinet', 'assets/cabinet/parts/drawer')
    """
    return f"assets/{name.replace('/', '/parts/')}"


def load_manifest(scene: SceneFolder) -> SceneManifest:
    """Read the manifest of a scene's folder."""
    return SceneManifest.model_validate_json(scene.read_bytes(MANIFEST_PATH))


def choose_sim_role(*, is_floor_contact: bool, is_articulated: bool, volume_m3: float) -> SimRole:
    """Role of an object in simulation.

    Furniture (stands on the floor) and whatever is larger than :data:`MAX_MOVABLE_VOLUME_M3` stays where it is; the rest
    is free to move. A thing that opens is named as such, and stays where it is.
    """
    if is_articulated:
        return "articulated_furniture" if is_floor_contact else "articulated_appliance"
    return "static" if is_floor_contact or volume_m3 >= MAX_MOVABLE_VOLUME_M3 else "manipulable_object"


def pose_quat(quat_wxyz: QuatWxyz) -> Wxyz:
    """A quaternion as the manifest writes it."""
    return Wxyz(w=quat_wxyz[0], x=quat_wxyz[1], y=quat_wxyz[2], z=quat_wxyz[3])
