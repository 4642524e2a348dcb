"""The mesh of an object, or of the background, as everything that follows takes it.

It is read, its faces are in order, and its backs are drawn where they can be seen.
"""

from dataclasses import dataclass, replace

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.scene.gltf import read_glb
from blueprint_pipeline.scene.mass import is_closed
from blueprint_pipeline.scene.mend_mesh import Mended, mend_surfaces
from blueprint_pipeline.scene.surfaces import Look, Surface, merge_positions


@dataclass(frozen=True)
class SourceMesh:
    """The surfaces of a file.

    Attributes:
        surfaces: In the order of the file.
        losses: What of the file is not imported, in words.
        changes: What of it was mended, in words.
    """

    surfaces: list[Surface]
    losses: tuple[str, ...]
    changes: tuple[str, ...]


def read_object_mesh(data: bytes, object_id: str, file: str, default: Look) -> SourceMesh:
    """Read an object's mesh, in the frame of its file; see :func:`~blueprint_pipeline.scene.gltf.read_glb` for what it raises."""
    content = read_glb(data, object_id, file, default)
    return _in_order(mend_surfaces(content.surfaces), content.losses)


def read_background_mesh(data: bytes, file: str, world_linear: FloatArray, eye_m: FloatArray | None) -> SourceMesh:
    """Read the mesh of the background, in the world [m]; see :func:`~blueprint_pipeline.scene.gltf.read_glb` for what it raises.

    Args:
        data: The file.
        file: Its name, for errors.
        world_linear: (3, 3): maps its vertices to the world.
        eye_m: (3,): where the scene's camera stands in the world; a closed shell around it is a room. ``None``: it is not known.
    """
    content = read_glb(data, "background", file)
    return _in_order(mend_surfaces([surface.moved(world_linear) for surface in content.surfaces], eye_m), content.losses)


def _in_order(mended: Mended, losses: tuple[str, ...]) -> SourceMesh:
    has_inside = is_closed(merge_positions(mended.surfaces))
    surfaces = [_with_sides(surface, has_inside=has_inside) for surface in mended.surfaces]
    return SourceMesh(surfaces, losses, mended.changes)


def _with_sides(surface: Surface, *, has_inside: bool) -> Surface:
    """Both sides of an open thing are seen, whatever its file says; of a closed one only the outside, unless light passes."""
    look = surface.look
    double_sided = not has_inside or (look.double_sided and not look.is_opaque)
    return surface if double_sided == look.double_sided else replace(surface, look=replace(look, double_sided=double_sided))
