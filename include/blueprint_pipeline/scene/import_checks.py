"""What an import makes of an object that its author may not expect: it stays where it is, or its mass rests on an assumption."""

from collections.abc import Iterator

import numpy as np

from blueprint_pipeline.scene.build_manifest import category_of, own_volume_m3
from blueprint_pipeline.scene.findings import SceneFinding, finding_of
from blueprint_pipeline.scene.manifest import MAX_MOVABLE_VOLUME_M3
from blueprint_pipeline.scene.mass import estimate_mass
from blueprint_pipeline.scene.materials import load_categories, load_materials
from blueprint_pipeline.scene.physical_checks import find_supports, is_movable
from blueprint_pipeline.scene.physics import PhysicsImplausible
from blueprint_pipeline.scene.source import SourceObject, SourceScene
from blueprint_pipeline.scene.surfaces import Surface, merge_positions

_LITRES = 1000.0


def check_targets(scene: SourceScene) -> list[SceneFinding]:
    """Remark on every object that no robot will move, though it is not declared to stand on the floor; with the reason.

    What depends on a robot and its place (reach, free spots, grasps) is told by ``plan_tasks``, in ``left_out`` of its job.
    """
    reasons = {name: reason for name, item in scene.objects.items() if (reason := _stays(item)) is not None}
    supports, movable = find_supports(scene), {name for name, item in scene.objects.items() if is_movable(item)}
    for name in sorted(movable):
        if not any(_is_seen(surface) for surface in scene.objects[name].surfaces):
            reasons.setdefault(name, "nothing of it is seen, for the alpha of its material is 0")
        bearers = supports.bearers[name]
        for lower in sorted(bearers & movable):
            reasons.setdefault(lower, f"{name} stands on it, and would fall")
        if bearers and bearers <= movable:
            reasons.setdefault(name, f"it stands on {min(bearers)}, which may move itself")
        elif bearers and bearers <= supports.floors:
            reasons.setdefault(name, "it stands on the floor, where no arm on a pedestal reaches")
    return [SceneFinding("scene.no_target", name, f"{name} will be no target: {reason}.") for name, reason in sorted(reasons.items())]


def check_masses(scene: SourceScene) -> list[SceneFinding]:
    """Masses that no thing of the kind has, which block; and masses that rest on an assumption, which do not."""
    return [finding for item in scene.objects.values() if is_movable(item) for finding in _mass(item)]


def _stays(item: SourceObject) -> str | None:
    volume = own_volume_m3(item)
    if item.articulation is None and not item.pose_file.is_floor_contact and volume >= MAX_MOVABLE_VOLUME_M3:
        limit = MAX_MOVABLE_VOLUME_M3 * _LITRES
        return f"its box holds {volume * _LITRES:.3g} l, and what holds {limit:.0f} l or more stays where it is, as furniture does"
    return None


def _is_seen(surface: Surface) -> bool:
    """Whether some of a surface stops light."""
    alphas = [surface.look.base_color[3]]
    if surface.colors is not None:
        alphas.append(float(surface.colors[:, 3].max()))
    if surface.look.texture is not None and surface.look.texture.mode == "RGBA":
        alphas.append(float(np.asarray(surface.look.texture.getchannel("A")).max()))
    return min(alphas) > 0


def _mass(item: SourceObject) -> Iterator[SceneFinding]:
    material_name, material = load_materials().find(item.material.material_type)
    _, category = load_categories().find(category_of(item))
    mesh = merge_positions(item.surfaces)
    found = estimate_mass(mesh, material, category)
    low, high = category.mass_kg
    if not low <= found.mass_kg <= high:
        yield finding_of(PhysicsImplausible(item.object_id, category_of(item), found.mass_kg, low, high, found.method))
    if found.basis == "sheet" and category.build != "hollow":
        message = (
            f"The mesh of {item.object_id} is open, so its mass of {found.mass_kg:.3g} kg is that of a shell: {found.method}. Close the "
            f"mesh, or check that it is one."
        )
        yield SceneFinding("scene.mass_of_shell", item.object_id, message)
    if found.basis == "hull":
        message = (
            f"The mesh of {item.object_id} does not enclose what fills it, so its mass of {found.mass_kg:.3g} kg is that of its convex "
            f"hull: {found.method}. Close the mesh along its outside, or check that the hull is near it."
        )
        yield SceneFinding("scene.mass_of_hull", item.object_id, message)
    if category.build != "solid":
        return
    looks = {surface.look.key() for surface in item.surfaces}
    if len(looks) > 1 and mesh.body_count > 1:
        message = (
            f"{item.object_id} has {mesh.body_count} parts and {len(looks)} looks; its mass of {found.mass_kg:.3g} kg takes all of it for "
            f"{material_name}, as material.json says."
        )
        yield SceneFinding("scene.one_material", item.object_id, message)
