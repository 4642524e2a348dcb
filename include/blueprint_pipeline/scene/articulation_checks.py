"""Whether the parts of articulated objects can be moved: a hand finds where to take or press them, and nothing is where they move."""

from collections.abc import Iterator, Mapping

import numpy as np

from blueprint_pipeline.scene.articulation import joints_of, part_motion
from blueprint_pipeline.scene.findings import SceneFinding
from blueprint_pipeline.scene.handles import MAX_WIDTH_M, MIN_DEPTH_M, MIN_FACE_M, find_handle
from blueprint_pipeline.scene.manifest import ArticulationJoint
from blueprint_pipeline.scene.part_use import PartUse, use_of
from blueprint_pipeline.scene.physical_checks import MAX_OVERLAP_M
from blueprint_pipeline.scene.solids import Solid, overlap_depth
from blueprint_pipeline.scene.source import SourceObject, SourceScene
from blueprint_pipeline.scene.surfaces import Surface, merge_positions
from blueprint_pipeline.twin.body_names import name_within

_POSITIONS = 12
"""Of a joint's range at which its part is looked at: a part that is thinner than a step may slip through what is thinner, too."""

_NO_HANDLE: Mapping[PartUse, str] = {
    "handle": "has no handle: nothing sticks out of its front that two fingers could hold. It will be no target of a skill that takes it "
    "by hand; add a bar to its mesh.",
    "knob": f"is a knob that two fingers cannot hold: it is lower than {MIN_DEPTH_M * 1000:g} mm, or wider than {MAX_WIDTH_M * 1000:g} mm. "
    f"It will be no target of a skill that turns it.",
    "button": f"is a button that a fingertip would miss: its face is narrower than {MIN_FACE_M * 1000:g} mm. It will be no target of a "
    f"skill that presses it.",
}
"""What is told of a part by what a hand does with it."""


def check_articulations(scene: SourceScene) -> list[SceneFinding]:
    """Remarks on joints whose part a hand cannot take or press, or that meets something before its range ends."""
    articulated = {name: item for name, item in scene.objects.items() if item.articulation is not None}
    return [finding for item in articulated.values() for finding in _check_object(scene, item)]


def _check_object(scene: SourceScene, item: SourceObject) -> Iterator[SceneFinding]:
    if item.articulation is None:
        return
    eye_m = np.asarray(scene.camera_pose.position_m)
    closed = {part: _solid(part, item, surfaces, eye_m) for part, surfaces in item.parts.items()}
    others = [_solid(other.object_id, other, other.surfaces, eye_m) for name, other in scene.objects.items() if name != item.object_id]
    others += [Solid("the background", merge_positions([surface]), eye_m) for surface in scene.background]
    for joint in joints_of(item.articulation, np.asarray(item.object_from_mesh)):
        name = name_within(item.object_id, joint.child_part)
        mesh = merge_positions(item.parts[joint.child_part])
        if find_handle(np.asarray(mesh.vertices), np.asarray(mesh.faces), joint) is None:
            message = f"{name} {_NO_HANDLE[use_of(joint, np.asarray(mesh.vertices))]}"
            yield SceneFinding("scene.no_handle", item.object_id, message)
        obstacles = [*(solid for part, solid in closed.items() if part != joint.child_part), *others]
        yield from _check_range(item, joint, name, obstacles, eye_m)


def _check_range(
    item: SourceObject, joint: ArticulationJoint, name: str, obstacles: list[Solid], eye_m: np.ndarray
) -> Iterator[SceneFinding]:
    """What a part meets on its way, each thing once, where it first meets it."""
    unit, met = "m" if joint.type == "prismatic" else "rad", set[str]()
    for position in np.linspace(*joint.limits, _POSITIONS):
        if position == 0.0:
            continue
        motion = part_motion(joint, float(position))
        surfaces = [surface.moved(motion[:3, :3], motion[:3, 3]) for surface in item.parts[joint.child_part]]
        moved = _solid(name, item, surfaces, eye_m)
        for other in obstacles:
            if other.name not in met and overlap_depth(moved, other, MAX_OVERLAP_M) is not None:
                met.add(other.name)
                message = (
                    f"{name} meets {other.name} at {position:.3g} {unit} of its range of {joint.limits[0]:.3g} to {joint.limits[1]:.3g} "
                    f"{unit}: their meshes overlap by more than {MAX_OVERLAP_M * 1000:g} mm there. Correct the joint's axis, origin or "
                    f"limits, or move what is in the way."
                )
                yield SceneFinding("scene.part_collides", item.object_id, message)


def _solid(name: str, item: SourceObject, surfaces: list[Surface], eye_m: np.ndarray) -> Solid:
    mesh = merge_positions(surfaces)
    mesh.vertices = item.pose.apply(np.asarray(mesh.vertices))
    return Solid(name, mesh, eye_m)
