"""``layout/scene_layout_scaled.json`` and ``seg/inventory.json``: the scene as users of the predecessor read it.

World frame: z up, metres. ``obb.extents`` are half sizes, ``obb.R`` is a pure rotation (columns are the box's axes), and
``R``, ``center`` hold the box of the object's own frame. Nothing here holds a time: ``generated_at`` is that of the reconstruction.
"""

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.scene.build_manifest import vector, world_bounds
from blueprint_pipeline.scene.canonical_files import rounded
from blueprint_pipeline.scene.manifest import ManifestObject, SceneManifest
from blueprint_pipeline.scene.source import SourceObject, SourceScene

LAYOUT_PATH = "layout/scene_layout_scaled.json"
INVENTORY_PATH = "seg/inventory.json"


def build_layout(manifest: SceneManifest, scene: SourceScene) -> dict[str, object]:
    """Content of ``layout/scene_layout_scaled.json``."""
    low = np.asarray(manifest.scene.room.origin)
    size = manifest.scene.room.bounds
    high = low + np.array([size.width, size.depth, size.height])
    return {
        "schema_version": "1.0",
        "scene_id": manifest.scene_id,
        "objects": [_object(item, scene.objects[item.id], low, high) for item in manifest.objects],
        "room_box": {"min": vector(low), "max": vector(high)},
        "room_planes": {
            "floor": _plane((0, 0, 1), 0.0),
            "ceiling": _plane((0, 0, -1), high[2]),
            "walls": [_plane((1, 0, 0), -low[0]), _plane((-1, 0, 0), high[0]), _plane((0, 1, 0), -low[1]), _plane((0, -1, 0), high[1])],
        },
        "camera_trajectory": [_camera(manifest, scene)],
        "scale_factor": rounded(scene.frame.meters_per_unit, 12),
        "meters_per_unit": 1.0,
        "coordinate_frame": "z_up",
        "metadata": {"source": manifest.metadata.source_pipeline, "scaled": True},
    }


def _articulation_hint(item: ManifestObject) -> str | None:
    joints = () if item.articulation is None else item.articulation.joints
    return joints[0].type if joints else None


def build_inventory(manifest: SceneManifest, scene: SourceScene) -> dict[str, object]:
    """Content of ``seg/inventory.json``."""
    low = np.asarray(manifest.scene.room.origin)
    size = manifest.scene.room.bounds
    high = low + np.array([size.width, size.depth, size.height])
    return {
        "schema_version": "1.0",
        "scene_id": manifest.scene_id,
        "environment_type": manifest.scene.environment_type,
        "total_objects": len(manifest.objects),
        "objects": [
            {
                "id": item.id,
                "category": item.category,
                "short_description": item.description,
                "sim_role": item.sim_role,
                "articulation_hint": _articulation_hint(item),
                "approx_location": _location(scene.objects[item.id], low, high),
                "bounds": _bounds(scene.objects[item.id]),
                "is_floor_contact": item.is_floor_contact,
                "material_type": item.physics_hints.material_type,
            }
            for item in manifest.objects
        ],
        "metadata": {"source": manifest.metadata.source_pipeline, "generated_at": manifest.metadata.generated_at},
    }


def _object(item: ManifestObject, source: SourceObject, low: FloatArray, high: FloatArray) -> dict[str, object]:
    points = np.vstack([surface.vertices for surface in source.surfaces])
    local_low, local_high = points.min(axis=0), points.max(axis=0)
    rotation = source.pose.rotation
    center = source.pose.apply(((local_low + local_high) / 2)[None])[0]
    corners = world_bounds(source)
    return {
        "id": item.id,
        "class_name": item.category,
        "center3d": vector((corners[0] + corners[1]) / 2),
        "obb": {"center": vector(center), "extents": vector((local_high - local_low) / 2), "R": [vector(row) for row in rotation]},
        "bounds": _bounds(source),
        "approx_location": _location(source, low, high),
        "is_floor_contact": item.is_floor_contact,
    }


def _bounds(source: SourceObject) -> dict[str, object]:
    low, high = world_bounds(source)
    return {"min": vector(low), "max": vector(high), "center": vector((low + high) / 2), "size": vector(high - low)}


def _location(source: SourceObject, low: FloatArray, high: FloatArray) -> str:
    """Third of the room in which an object stands, seen from above: ``front`` is -y, ``left`` is -x."""
    corners = world_bounds(source)
    share = ((corners[0] + corners[1]) / 2 - low) / np.maximum(high - low, 1e-9)
    across = ("left", "center", "right")[min(2, int(share[0] * 3))]
    along = ("front", "middle", "back")[min(2, int(share[1] * 3))]
    return f"{along} {across}"


def _plane(normal: tuple[int, int, int], offset: float) -> dict[str, object]:
    """Plane ``normal . x + offset = 0`` with the normal into the room."""
    return {"equation": [*(float(value) for value in normal), rounded(offset)], "normal": [float(value) for value in normal]}


def _camera(manifest: SceneManifest, scene: SourceScene) -> dict[str, object]:
    camera = manifest.camera
    return {
        "id": "scene",
        "intrinsics": [list(row) for row in scene.intrinsics.matrix],
        "image_size": [camera.width, camera.height],
        "position": camera.pose.position_m,
        "rotation_quaternion": camera.pose.quat_wxyz,
        "convention": "looks along -z, y up; quaternion w x y z; metres",
    }
