"""The stages between ingestion and assembly: physics of every object, meshes for every object."""

from dataclasses import dataclass

import numpy as np

from blueprint_pipeline.scene.canonical_files import write_json
from blueprint_pipeline.scene.ingest import validate_source
from blueprint_pipeline.scene.manifest import Background, Camera, ManifestObject, asset_folder, load_manifest
from blueprint_pipeline.scene.physics import Physics, estimate_object, estimate_part, physics_path
from blueprint_pipeline.scene.process_meshes import (
    MeshCache,
    MeshJob,
    MeshReport,
    find_mesh,
    process_mesh,
    share_triangles,
)
from blueprint_pipeline.scene.source_mesh import read_background_mesh, read_object_mesh
from blueprint_pipeline.scene.surfaces import Surface, stated_look
from blueprint_pipeline.stage.contract import StageContext
from blueprint_pipeline.stage.pool import Died, WorkerDied, WorkerPool
from blueprint_pipeline.workspace.storage import SceneFolder


def load_surfaces(scene: SceneFolder, item: ManifestObject, file: str) -> list[Surface]:
    """Surfaces of a mesh of an object as they were ingested, in the object's frame [m]."""
    linear = np.asarray(item.object_from_mesh)
    hints = item.physics_hints
    default = stated_look(hints.base_color, hints.metallic, hints.roughness)
    return [surface.moved(linear) for surface in read_object_mesh(scene.read_bytes(file), item.id, file, default).surfaces]


def load_bodies(scene: SceneFolder, item: ManifestObject) -> dict[str, list[Surface]]:
    """Surfaces of each body of an object by its name, in the object's frame, closed [m]: itself, or the base and each part that moves."""
    return {name: load_surfaces(scene, item, file) for name, file in item.mesh_files.items()}


def load_background(scene: SceneFolder, background: Background, camera: Camera) -> list[Surface]:
    """Surfaces of the background as they were ingested, in the world [m]."""
    file, eye_m = background.relative_path, np.asarray(camera.pose.position_m)
    return read_background_mesh(scene.read_bytes(file), file, np.asarray(background.source_linear), eye_m).surfaces


def estimate_scene(context: StageContext) -> dict[str, Physics]:
    """Write ``physics.json`` of every object, and of every part that moves.

    Raises:
        SourceChanged: ``regen3d/`` is not what was ingested.
        PhysicsImplausible: A movable object's mass is not that of a thing of its kind.
    """
    validate_source(context.scene)
    found = {}
    manifest = load_manifest(context.scene)
    for done, item in enumerate(manifest.objects):
        bodies = load_bodies(context.scene, item)
        found[item.id] = estimate_object(item, bodies[item.id])
        found |= {name: estimate_part(item, name, joint, bodies[name]) for name, joint in item.moving_parts.items()}
        context.progress(done + 1, len(manifest.objects))
    for name, physics in found.items():
        write_json(context.output(physics_path(name)), physics)
    return found


def process_scene(context: StageContext) -> dict[str, MeshReport]:
    """Write visual and collision meshes of every object and of the background; what is not in the cache is made on all cores.

    Returns:
        What was made of each, by object id (and ``background``).

    Raises:
        SourceChanged: ``regen3d/`` is not what was ingested.
        WorkerDied: A process died; the meshes of the others are in the cache.
        PreemptedError: SIGTERM came; likewise.
    """
    validate_source(context.scene)
    jobs = _mesh_jobs(context.scene)
    most = share_triangles({job.name: job.triangles for job in jobs})
    cache = MeshCache(context.cache_dir / "meshes")
    made = {job.name: files for job in jobs if (files := find_mesh(job, cache, most)) is not None}
    todo = sorted((job for job in jobs if job.name not in made), key=lambda job: -job.triangles)  # the longest first
    context.progress(len(made), len(jobs))
    pool: WorkerPool[_Making, MeshJob, dict[str, bytes]] = WorkerPool(
        context.settings.compute.workers, _Making, (cache, most), _Making.process, context.stop_if_asked
    )
    died: list[Died[MeshJob]] = []
    for ended in pool.run(todo):
        if isinstance(ended, Died):
            died.append(ended)
            continue
        made[ended.unit.name] = ended.answer
        context.progress(len(made), len(jobs))
    if died:
        raise WorkerDied([item.unit.name for item in died], [item.reason for item in died], len(made))
    for job in jobs:
        for file, data in made[job.name].items():
            context.output(f"{asset_folder(job.name)}/{file}").write_bytes(data)
    return {job.name: MeshReport.model_validate_json(made[job.name]["meshes.json"]) for job in jobs}


@dataclass(frozen=True)
class _Making:
    """What a process makes meshes with."""

    cache: MeshCache
    most: int
    """Triangles to draw."""

    def process(self, job: MeshJob) -> dict[str, bytes]:
        """Files of an object by name."""
        return process_mesh(job, self.cache, self.most)


def _mesh_jobs(scene: SceneFolder) -> list[MeshJob]:
    manifest = load_manifest(scene)
    jobs = []
    for item in manifest.objects:
        bodies = load_bodies(scene, item)
        jobs += [MeshJob(name, scene.digest(file).sha256, bodies[name]) for name, file in item.mesh_files.items()]
    if manifest.background is not None:
        digest, eye_m = scene.digest(manifest.background.relative_path), manifest.camera.pose.position_m
        jobs.append(MeshJob("background", digest.sha256, load_background(scene, manifest.background, manifest.camera), eye_m))
    return jobs
