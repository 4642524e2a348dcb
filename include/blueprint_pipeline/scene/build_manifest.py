"""From a source scene to the three files that describe it: manifest, layout and inventory. Pure functions of what was read."""

import math

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Pose, QuatWxyz, Vector3
from blueprint_pipeline.geometry.rotations import RigidPose
from blueprint_pipeline.licence.attribution import UNSTATED, Attribution, parse_attribution
from blueprint_pipeline.origin import Origin
from blueprint_pipeline.scene.articulation import joints_of
from blueprint_pipeline.scene.canonical_files import rounded
from blueprint_pipeline.scene.manifest import (
    Articulation,
    AssetRef,
    Background,
    Camera,
    ManifestObject,
    Metadata,
    PhysicsHints,
    Room,
    SceneManifest,
    SceneSection,
    Semantics,
    Size,
    Transform,
    Xyz,
    choose_sim_role,
    pose_quat,
)
from blueprint_pipeline.scene.regen3d import ArticulationFile
from blueprint_pipeline.scene.source import SourceObject, SourceScene

_MIN_ROOM_HEIGHT_M = 2.4


def vector(values: FloatArray) -> Vector3:
    """Three rounded numbers."""
    return (rounded(values[0]), rounded(values[1]), rounded(values[2]))


def pose_of(pose: RigidPose) -> Pose:
    """A rigid pose as records hold it."""
    quat = pose.quat_wxyz
    found: QuatWxyz = (rounded(quat[0], 12), rounded(quat[1], 12), rounded(quat[2], 12), rounded(quat[3], 12))
    return Pose(position_m=vector(pose.position_m), quat_wxyz=found)


def world_bounds(item: SourceObject) -> tuple[FloatArray, FloatArray]:
    """Lowest and highest corner of an object's posed mesh in the world [m]."""
    points = item.pose.apply(np.vstack([surface.vertices[np.unique(surface.faces)] for surface in item.surfaces]))
    return points.min(axis=0), points.max(axis=0)


def category_of(item: SourceObject) -> str:
    """Category of an object: its label's, else what its id says before a number (``mug_2`` -> ``mug``)."""
    if item.label is not None:
        return item.label.category.strip().lower()
    return item.object_id.rstrip("0123456789").rstrip("_-").lower() or "unknown"


def build_manifest(scene_id: str, scene: SourceScene) -> SceneManifest:
    """The manifest of a source scene; see :mod:`blueprint_pipeline.scene.manifest` for the conventions.

    Args:
        scene_id: Id in the workspace.
        scene: The source.
    """
    stated = parse_attribution(scene.attribution)
    corners = [world_bounds(item) for item in scene.objects.values()]
    points = [surface.vertices for surface in scene.background]
    low = np.min([*(pair[0] for pair in corners), *(part.min(axis=0) for part in points)], axis=0)
    high = np.max([*(pair[1] for pair in corners), *(part.max(axis=0) for part in points)], axis=0)
    info = scene.info
    return SceneManifest(
        scene_id=scene_id,
        scene=SceneSection(environment_type=info.environment_type, room=Room(bounds=_size(high - low), origin=vector(low))),
        objects=tuple(_object(index, item, stated.get(item.object_id, UNSTATED)) for index, item in enumerate(scene.objects.values())),
        background=_background(scene, stated.get("background", UNSTATED)) if scene.background else None,
        camera=Camera(
            pose=pose_of(scene.camera_pose),
            fovy_rad=rounded(2 * math.atan(scene.intrinsics.height / (2 * scene.intrinsics.matrix[1][1])), 12),
            width=scene.intrinsics.width,
            height=scene.intrinsics.height,
        ),
        metadata=Metadata(
            source_pipeline=info.reconstruction_method,
            source_scene_id=info.scene_id,
            source_version=info.version,
            source_confidence=info.confidence,
            source_coordinate_frame=info.coordinate_frame,
            source_meters_per_unit=info.meters_per_unit,
            generated_at=info.generated_at,
        ),
    )


def _size(extents: FloatArray) -> Size:
    return Size(width=rounded(extents[0]), depth=rounded(extents[1]), height=rounded(extents[2]))


def _object(index: int, item: SourceObject, stated: Attribution) -> ManifestObject:
    low, high = world_bounds(item)
    category = category_of(item)
    role = choose_sim_role(
        is_floor_contact=item.pose_file.is_floor_contact, is_articulated=item.articulation is not None, volume_m3=own_volume_m3(item)
    )
    pose = pose_of(item.pose)
    x, y, z = pose.position_m
    return ManifestObject(
        id=item.object_id,
        sim_role=role,
        name=item.object_id.replace("_", " "),
        category=category,
        description="" if item.label is None else item.label.description,
        asset=AssetRef(
            path=f"assets/{item.object_id}/visual.glb",
            asset_id=item.object_id,
            source=stated.source,
            relative_path=f"regen3d/objects/{item.object_id}/mesh.glb",
            object_from_mesh=_rows(np.asarray(item.object_from_mesh)),
            licence=stated.licence,
            licence_statement=stated.statement,
            licence_origin=stated.origin,
            author=stated.author,
            changes=stated.changes,
        ),
        transform=Transform(position=Xyz(x=x, y=y, z=z), rotation_quaternion=pose_quat(pose.quat_wxyz)),
        dimensions_est=_size(high - low),
        semantics=Semantics(
            class_=category, instance_id=index + 1, affordances=_affordances(role, is_articulated=item.articulation is not None)
        ),
        physics_hints=PhysicsHints(
            material_type=item.material.material_type,
            base_color=item.material.base_color,
            metallic=item.material.metallic,
            roughness=item.material.roughness,
            origin=Origin.ESTIMATED,
        ),
        articulation=None if item.articulation is None else _articulation(item, item.articulation),
        is_floor_contact=item.pose_file.is_floor_contact,
        pose_confidence=item.pose_file.confidence,
    )


def own_volume_m3(item: SourceObject) -> float:
    """Volume of the box of an object in its own frame [m3]."""
    points = np.vstack([surface.vertices for surface in item.surfaces])
    return float(np.prod(np.ptp(points, axis=0)))


def _affordances(role: str, *, is_articulated: bool) -> tuple[str, ...]:
    if role == "manipulable_object":
        return ("Graspable",)
    return ("Openable",) if is_articulated else ()


def _rows(matrix: FloatArray) -> tuple[Vector3, Vector3, Vector3]:
    return (vector(matrix[0]), vector(matrix[1]), vector(matrix[2]))


def _articulation(item: SourceObject, stated: ArticulationFile) -> Articulation:
    folder = f"regen3d/objects/{item.object_id}"
    return Articulation(
        detection=stated.origin,
        base_part=stated.base_part,
        parts={part: f"{folder}/{path}" for part, path in stated.parts.items()},
        joints=joints_of(stated, np.asarray(item.object_from_mesh)),
    )


def _background(scene: SourceScene, stated: Attribution) -> Background:
    return Background(
        path="assets/background/visual.glb",
        relative_path="regen3d/background/mesh.glb",
        source_linear=_rows(scene.frame.rotation_world_scene * scene.frame.meters_per_unit),
        licence=stated.licence,
        licence_statement=stated.statement,
        licence_origin=stated.origin,
    )
