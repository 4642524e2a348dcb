"""The mesh of an object as everything that follows takes it: read, its faces in order, its backs drawn where they can be seen."""

from dataclasses import dataclass, replace

from blueprint_pipeline.scene.gltf import read_glb
from blueprint_pipeline.scene.mass import is_closed
from blueprint_pipeline.scene.mend_mesh import mend_surfaces
from blueprint_pipeline.scene.surfaces import Look, Surface, merge_positions


@dataclass(frozen=True)
class ObjectMesh:
    """An object's surfaces, in the frame of its file.

    Attributes:
        surfaces: In the order of the file.
        losses: What of the file is not imported, in words.
        changes: What of it was mended, in words.
    """

    surfaces: list[Surface]
    losses: tuple[str, ...]
    changes: tuple[str, ...]


def read_object_mesh(data: bytes, object_id: str, file: str, default: Look) -> ObjectMesh:
    """Read an object's mesh; see :func:`~blueprint_pipeline.scene.gltf.read_glb` for what it raises."""
    content = read_glb(data, object_id, file, default)
    mended = mend_surfaces(content.surfaces)
    has_inside = is_closed(merge_positions(mended.surfaces))
    surfaces = [_with_sides(surface, has_inside=has_inside) for surface in mended.surfaces]
    return ObjectMesh(surfaces, content.losses, mended.changes)


def _with_sides(surface: Surface, *, has_inside: bool) -> Surface:
    """Both sides of an open thing are seen, whatever its file says; of a closed one only the outside, unless light passes."""
    look = surface.look
    double_sided = not has_inside or (look.double_sided and not look.is_opaque)
    return surface if double_sided == look.double_sided else replace(surface, look=replace(look, double_sided=double_sided))
