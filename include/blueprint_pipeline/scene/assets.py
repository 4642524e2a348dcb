"""The stages between taking in and assembling: physics of every object, meshes for every object."""

import numpy as np

from blueprint_pipeline.scene.canonical_files import write_json
from blueprint_pipeline.scene.ingest import validate_source
from blueprint_pipeline.scene.manifest import Background, ManifestObject, load_manifest
from blueprint_pipeline.scene.physics import Physics, estimate_object, physics_path
from blueprint_pipeline.scene.process_meshes import MeshCache, MeshJob, MeshReport, process_mesh, share_triangles
from blueprint_pipeline.scene.surfaces import Surface, parse_glb
from blueprint_pipeline.stage.contract import StageContext
from blueprint_pipeline.workspace.storage import SceneFolder


def load_surfaces(scene: SceneFolder, item: ManifestObject) -> list[Surface]:
    """Surfaces of an object as they were taken in, in its own frame [m]."""
    linear = np.asarray(item.object_from_mesh)
    file = item.asset.relative_path
    return [surface.moved(linear) for surface in parse_glb(scene.read_bytes(file), item.id, file)]


def load_background(scene: SceneFolder, background: Background) -> list[Surface]:
    """Surfaces of the background as they were taken in, in the world [m]."""
    linear = np.asarray(background.source_linear)
    return [
        surface.moved(linear) for surface in parse_glb(scene.read_bytes(background.relative_path), "background", background.relative_path)
    ]


def estimate_scene(context: StageContext) -> dict[str, Physics]:
    """Write ``physics.json`` of every object.

    Raises:
        SourceChanged: ``regen3d/`` is not what was taken in.
        PhysicsImplausible: A movable object's mass is not that of a thing of its kind.
    """
    validate_source(context.scene)
    found = {}
    manifest = load_manifest(context.scene)
    for done, item in enumerate(manifest.objects):
        found[item.id] = estimate_object(item, load_surfaces(context.scene, item))
        context.progress(done + 1, len(manifest.objects))
    for name, physics in found.items():
        write_json(context.output(physics_path(name)), physics)
    return found


def process_scene(context: StageContext) -> dict[str, MeshReport]:
    """Write visual and collision meshes of every object and of the background.

    Returns:
        What was made of each, by object id (and ``background``).

    Raises:
        SourceChanged: ``regen3d/`` is not what was taken in.
    """
    validate_source(context.scene)
    manifest = load_manifest(context.scene)
    jobs = []
    for item in manifest.objects:
        surfaces = load_surfaces(context.scene, item)
        jobs.append(MeshJob(item.id, context.scene.read_bytes(item.asset.relative_path), surfaces, surfaces))
    if manifest.background is not None:
        surfaces = load_background(context.scene, manifest.background)
        bearing = [surfaces[index] for index in manifest.background.bearing_surfaces]
        jobs.append(MeshJob("background", context.scene.read_bytes(manifest.background.relative_path), surfaces, bearing))
    most = share_triangles({job.name: job.triangles for job in jobs})
    cache = MeshCache(context.cache_dir / "meshes")
    written = {}
    for done, job in enumerate(jobs):
        context.stop_if_asked()
        files = process_mesh(job, cache, most)
        for file, data in files.items():
            context.output(f"assets/{job.name}/{file}").write_bytes(data)
        written[job.name] = MeshReport.model_validate_json(files["meshes.json"])
        context.progress(done + 1, len(jobs))
    return written
