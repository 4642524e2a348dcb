"""Grasps are worth keeping: they depend on an object's surface and on the gripper, on nothing else."""

import hashlib
import os
import tempfile
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from blueprint_pipeline.motion.grasp_set import ALGORITHM_VERSION, GraspSet, HalfSpace
from blueprint_pipeline.motion.surface import CollisionSurface
from blueprint_pipeline.robot.gripper import Gripper


def load_grasps(
    surface: CollisionSurface,
    gripper: Gripper,
    cache_dir: Path,
    *,
    around: CollisionSurface | None = None,
    within: HalfSpace | None = None,
) -> GraspSet:
    """Grasps of an object, of what sticks out of it, or of what lies in a half of space, from the cache or computed and kept there.

    The key is over the triangles, the gripper's geometry and the algorithm's version; the seed comes from the key, so the
    cache never changes a result. Processes may share the folder: files appear whole. One that a crash of the machine left empty or torn is
    written anew.
    """
    key = grasp_key(surface, gripper, around=around, within=within)
    path = cache_dir / "grasps" / f"{key}.npz"
    if (stored := _read(path)) is not None:
        return stored
    from blueprint_pipeline.motion.grasps import sample_grasps  # noqa: PLC0415 -- trimesh costs 2 CPU-s to import, and a worker with a warm cache never needs it

    grasps = sample_grasps(surface, gripper, np.random.default_rng(int(key[:12], 16)), around=around, within=within)
    _write_whole(path, grasps)
    return grasps


def grasp_key(
    surface: CollisionSurface, gripper: Gripper, *, around: CollisionSurface | None = None, within: HalfSpace | None = None
) -> str:
    """Hex SHA-256 of all that the grasps depend on."""
    digest = hashlib.sha256()
    for shape in (surface,) if around is None else (surface, around):
        digest.update(np.ascontiguousarray(shape.vertices, dtype="<f8").tobytes())
        digest.update(np.ascontiguousarray(shape.faces, dtype="<i8").tobytes())
    if within is not None:
        digest.update(np.array([*within.normal, within.offset_m], dtype="<f8").tobytes())
    digest.update(gripper.model_dump_json(include={"openings_m", "pad", "palm"}).encode())
    digest.update(str(ALGORITHM_VERSION).encode())
    return digest.hexdigest()


def _read(path: Path) -> GraspSet | None:
    """What is kept there; ``None`` where there is nothing, or it is damaged."""
    try:
        with np.load(path) as stored:
            return GraspSet(stored["pose_object_tcp"], stored["width_m"], stored["quality"])
    except (OSError, EOFError, ValueError, KeyError, BadZipFile):
        return None


def _write_whole(path: Path, grasps: GraspSet) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    with os.fdopen(handle, "wb") as file:
        np.savez(file, pose_object_tcp=grasps.pose_object_tcp, width_m=grasps.width_m, quality=grasps.quality)
    Path(name).replace(path)
