"""The stages between taking in and assembling: physics of every object, meshes for every object."""

import numpy as np

from blueprint.scene.canonical_files import write_json
from blueprint.scene.ingest import validate_source
from blueprint.scene.manifest import Background, ManifestObject, SceneManifest, load_manifest
from blueprint.scene.physics import Physics, estimate_object, physics_path
from blueprint.scene.process_meshes import MeshCache, process_background, process_object, share_triangles
from blueprint.scene.surfaces import Surface, parse_glb
from blueprint.stage import StageContext
from blueprint.workspace.storage import SceneFolder


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


def process_scene(context: StageContext) -> dict[str, dict[str, bytes]]:
    """Write visual and collision meshes of every object and of the background.

    Returns:
        The files of each, by object id (and ``background``), by name below ``assets/{object_id}/``.

    Raises:
        SourceChanged: ``regen3d/`` is not what was taken in.
    """
    validate_source(context.scene)
    manifest = load_manifest(context.scene)
    surfaces = {item.id: load_surfaces(context.scene, item) for item in manifest.objects}
    if manifest.background is not None:
        surfaces["background"] = load_background(context.scene, manifest.background)
    most = share_triangles({name: sum(len(surface.faces) for surface in parts) for name, parts in surfaces.items()})
    cache = MeshCache(context.cache_dir / "meshes")
    written = {}
    for done, (name, parts) in enumerate(surfaces.items()):
        context.stop_if_asked()
        written[name] = _cached(context.scene, cache, manifest, name, parts, most)
        for file, data in written[name].items():
            context.output(f"assets/{name}/{file}").write_bytes(data)
        context.progress(done + 1, len(surfaces))
    return written


def _cached(scene: SceneFolder, cache: MeshCache, manifest: SceneManifest, name: str, parts: list[Surface], most: int) -> dict[str, bytes]:
    background = manifest.background if name == "background" else None
    if background is not None:
        key = cache.key(
            scene.read_bytes(background.relative_path),
            {
                "background": list(background.bearing_surfaces),
                "linear": [list(row) for row in background.source_linear],
                "triangles": min(most, sum(len(part.faces) for part in parts)),
            },
        )
    else:
        item = manifest.object(name)
        key = cache.key(
            scene.read_bytes(item.asset.relative_path),
            {
                "object_id": name,
                "linear": [list(row) for row in item.object_from_mesh],
                "triangles": min(most, sum(len(part.faces) for part in parts)),
            },
        )
    files = cache.find(key)
    if files is None:
        files = (
            process_background(parts, most, list(background.bearing_surfaces))
            if background is not None
            else process_object(name, parts, most)
        )
        cache.put(key, files)
    return files
