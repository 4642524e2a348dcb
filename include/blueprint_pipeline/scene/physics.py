"""``assets/{object_id}/physics.json``: mass, friction and the like of one object, each value with its origin."""

from typing import Literal

import numpy as np
from pydantic import Field

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.geometry.pose import QuatWxyz, Vector3
from blueprint_pipeline.geometry.rotations import quat_from_rotation
from blueprint_pipeline.origin import Origin
from blueprint_pipeline.scene.build_manifest import vector
from blueprint_pipeline.scene.canonical_files import rounded
from blueprint_pipeline.scene.errors import SceneError
from blueprint_pipeline.scene.joint_physics import JointPhysics, estimate_joint
from blueprint_pipeline.scene.manifest import ArticulationJoint, ManifestObject, asset_folder
from blueprint_pipeline.scene.mass import estimate_mass, open_length, principal_axes
from blueprint_pipeline.scene.materials import load_categories, load_materials
from blueprint_pipeline.scene.part_use import use_of
from blueprint_pipeline.scene.surfaces import Surface, merge_positions
from blueprint_pipeline.twin.body_names import BodyName
from blueprint_pipeline.workspace.storage import SceneFolder


class PhysicsImplausible(SceneError):
    """An estimated mass lies outside what things of this kind weigh."""

    code = "scene.physics_implausible"
    template = (
        "Object {object_id} ({category}) would weigh {mass_kg:.4g} kg by {method}; expected {low_kg:g} to {high_kg:g} kg. Check its "
        "scale, its material_type and whether its mesh is closed."
    )

    object_id: str
    category: str
    mass_kg: float
    low_kg: float
    high_kg: float
    method: str


class Mass(FrozenModel):
    """Mass properties in the object's frame."""

    mass_kg: float = Field(gt=0)
    com_m: Vector3
    diagonal_inertia_kg_m2: tuple[float, float, float]
    """Principal moments about the centre of mass."""
    principal_axes_quat_wxyz: QuatWxyz
    """Principal axes in the object's frame."""
    origin: Origin
    method: str


class Friction(FrozenModel):
    """Friction of the surface, as MuJoCo's ``geom/friction``."""

    sliding: float
    torsional_m: float
    rolling_m: float
    origin: Origin
    method: str

    def as_tuple(self) -> tuple[float, float, float]:
        return (self.sliding, self.torsional_m, self.rolling_m)


class Restitution(FrozenModel):
    """How much of its speed a drop gives back; MuJoCo does not read it, PhysX does."""

    coefficient: float
    origin: Origin
    method: str


class Geometry(FrozenModel):
    """Measured on the mesh that was ingested."""

    volume_m3: float
    """Signed volume within the mesh; well defined where ``open_length`` is near 0."""
    area_m2: float
    open_length: float
    """Length of open edges over the square root of the area."""
    is_watertight: bool
    origin: Origin


class Physics(FrozenModel):
    """The whole file."""

    schema_version: Literal["1.0"] = "1.0"
    object_id: BodyName
    """Of an articulated object it is its base, that does not move; its parts have files of their own."""
    category: str
    material: str
    material_origin: Origin
    """``estimated``: the reconstruction names it; ``absent``: it names none that the table has, and ``unknown`` stands in."""
    mass: Mass
    friction: Friction
    restitution: Restitution
    geometry: Geometry
    joint: JointPhysics | None = None
    """Of a part that moves on a joint."""


def physics_path(name: str) -> str:
    """Where the physics of an object, or of a part of one, lie in the scene's folder."""
    return f"{asset_folder(name)}/physics.json"


def load_physics(scene: SceneFolder, name: str) -> Physics:
    """Read the physics of one object, or of a part of one."""
    return Physics.model_validate_json(scene.read_bytes(physics_path(name)))


def estimate_object(item: ManifestObject, surfaces: list[Surface]) -> Physics:
    """Estimate the physics of an object from its surfaces in its own frame [m].

    Raises:
        PhysicsImplausible: It can move, and its mass is not that of a thing of its kind.
    """
    material_name, material = load_materials().find(item.physics_hints.material_type)
    category_name, category = load_categories().find(item.category)
    mesh = merge_positions(surfaces)
    found = estimate_mass(mesh, material, category)
    low, high = category.mass_kg
    if item.is_movable and not low <= found.mass_kg <= high:
        raise PhysicsImplausible(item.id, item.category, found.mass_kg, low, high, found.method)
    moments, axes = principal_axes(found.inertia_kg_m2)
    quat = quat_from_rotation(axes)
    method = f"materials.yaml, {material_name}"
    return Physics(
        object_id=item.id,
        category=category_name,
        material=material_name,
        material_origin=Origin.ABSENT if material_name == "unknown" else Origin.ESTIMATED,
        mass=Mass(
            mass_kg=rounded(found.mass_kg),
            com_m=vector(found.com_m),
            diagonal_inertia_kg_m2=(rounded(moments[0], 15), rounded(moments[1], 15), rounded(moments[2], 15)),
            principal_axes_quat_wxyz=(rounded(quat[0]), rounded(quat[1]), rounded(quat[2]), rounded(quat[3])),
            origin=Origin.ESTIMATED,
            method=f"{found.method} ({material_name}; {category_name} is {category.build})",
        ),
        friction=Friction(
            sliding=material.sliding, torsional_m=material.torsional_m, rolling_m=material.rolling_m, origin=Origin.ESTIMATED, method=method
        ),
        restitution=Restitution(coefficient=material.restitution, origin=Origin.HEURISTIC, method=method),
        geometry=Geometry(
            volume_m3=rounded(mesh.volume, 12),
            area_m2=rounded(mesh.area),
            open_length=rounded(open_length(mesh), 6),
            is_watertight=bool(np.bool_(mesh.is_watertight)),
            origin=Origin.MEASURED,
        ),
    )


def estimate_part(item: ManifestObject, name: str, joint: ArticulationJoint, surfaces: list[Surface]) -> Physics:
    """Estimate the physics of a part that moves on a joint, from its surfaces in the object's frame, closed [m]."""
    found = estimate_object(item, surfaces)
    use = use_of(joint, np.concatenate([surface.vertices for surface in surfaces]))
    resistance = estimate_joint(joint, use, item.pose, found.mass.mass_kg, np.asarray(found.mass.com_m))
    return found.model_copy(update={"object_id": name, "joint": resistance})
