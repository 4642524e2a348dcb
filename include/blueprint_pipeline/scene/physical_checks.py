"""Whether a scene can be true: sizes, things in each other's place, things that float, measured on the real meshes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.scene.build_manifest import category_of
from blueprint_pipeline.scene.errors import SceneError
from blueprint_pipeline.scene.findings import SceneFinding, finding_of
from blueprint_pipeline.scene.manifest import choose_sim_role
from blueprint_pipeline.scene.materials import load_categories
from blueprint_pipeline.scene.solids import Solid, overlap_depth, vertical_gap
from blueprint_pipeline.scene.source import SourceObject, SourceScene
from blueprint_pipeline.scene.surfaces import merge_positions

MAX_OVERLAP_M = 0.002
"""What touching meshes of a reconstruction may overlap."""
MAX_GAP_M = 0.005
"""How far above its support an object may be and still count as standing on it: settling closes such a gap."""
BOUNDS_TOLERANCE = 0.01
"""Share of the object's diagonal."""
_BOUNDS_TOLERANCE_M = 0.001
_UNITS = {1.0: "metres", 0.01: "centimetres", 0.001: "millimetres", 0.0254: "inches", 0.3048: "feet"}
_FLOOR = "the floor"


class ObjectUnsupported(SceneError):
    """An object floats: nothing holds it."""

    code = "scene.object_unsupported"

    object_id: str
    gap_m: float
    below: str
    limit_m: float

    def describe(self) -> str:
        """The gap in [mm]."""
        return (
            f"{self.object_id} is unsupported: it floats {self.gap_m * 1000:.4g} mm above {self.below}, the nearest thing below it "
            f"(limit {self.limit_m * 1000:g} mm). Correct its pose, or add what it stands on."
        )


class ObjectsInterpenetrate(SceneError):
    """Two things are in the same place."""

    code = "scene.objects_interpenetrate"

    first: str
    second: str
    depth_m: float
    limit_m: float
    is_lower_bound: bool = field(default=False, kw_only=True)

    def describe(self) -> str:
        """The depth in [mm]."""
        bound = "more than" if self.is_lower_bound else "up to"
        return (
            f"{self.first} and {self.second} interpenetrate: their meshes overlap, and a shift of {bound} {self.depth_m * 1000:.3g} mm "
            f"is needed to part them (limit {self.limit_m * 1000:g} mm). Move one of them, or correct its pose."
        )


class ImplausibleScale(SceneError):
    """Objects are far larger or smaller than things of their kind are."""

    code = "scene.implausible_scale"
    template = (
        "The scale is implausible: {listed}. scene_info.json says meters_per_unit {meters_per_unit:g}{hint}. Correct the unit, or "
        "the object's scale."
    )

    found: Sequence[tuple[str, str, float, float, float]]
    """Object, category, size, smallest and largest plausible size in [m]."""
    meters_per_unit: float
    hint: str

    @property
    def where(self) -> str:
        """The first of the objects."""
        return self.found[0][0]

    @property
    def listed(self) -> str:
        """Every object with its size."""
        return "; ".join(
            f"object {name} ({category}) measures {size:.4g} m, expected {low:g} to {high:g} m"
            for name, category, size, low, high in self.found
        )


class BoundsMismatch(SceneError):
    """bounds.json is not that of the mesh in its pose."""

    code = "scene.bounds_mismatch"
    template = (
        "The bounds of object {object_id} do not fit its mesh: {file} says {field} {found}, the posed mesh has "
        "{expected} (scene units). One of mesh, pose and bounds is of another version: export them together."
    )

    object_id: str
    file: str
    field: str
    found: str
    expected: str


@dataclass(frozen=True)
class Supports:
    """What bears what.

    Attributes:
        unsupported: Object to its gap [m] above the nearest thing below, and that thing.
        bearers: Object to what bears it: objects, parts of the background, the floor.
        floors: Of these, the floor and what lies flat on it.
    """

    unsupported: dict[str, tuple[float, str]]
    bearers: dict[str, frozenset[str]]
    floors: frozenset[str]


def check_bounds(scene: SourceScene) -> list[SceneFinding]:
    """Compare every ``bounds.json`` with the posed mesh, in scene units."""
    findings = []
    for item in scene.objects.values():
        points = scene.frame.points_to_scene(item.pose.apply(np.vstack([s.vertices[np.unique(s.faces)] for s in item.surfaces])))
        low, high = points.min(axis=0), points.max(axis=0)
        tolerance = max(BOUNDS_TOLERANCE * float(np.linalg.norm(high - low)), _BOUNDS_TOLERANCE_M / scene.frame.meters_per_unit)
        for name, expected in (("min", low), ("max", high), ("center", (low + high) / 2), ("size", high - low)):
            stated = np.asarray(getattr(item.bounds, name))
            if np.abs(stated - expected).max() > tolerance:
                error = BoundsMismatch(item.object_id, f"objects/{item.object_id}/bounds.json", name, _show(stated), _show(expected))
                findings.append(finding_of(error))
                break
    return findings


def check_scale(scene: SourceScene) -> list[SceneFinding]:
    """Compare the longest extent of every object with what things of its kind measure."""
    sizes = {name: _longest(item) for name, item in scene.objects.items()}
    wrong = []
    for name, item in scene.objects.items():
        _, category = load_categories().find(category_of(item))
        if not category.size_m[0] <= sizes[name] <= category.size_m[1]:
            wrong.append((name, category_of(item), sizes[name], *category.size_m))
    if not wrong:
        return []
    unit = scene.frame.meters_per_unit
    fitting = [f"{other:g} ({word})" for other, word in _UNITS.items() if other != unit and _all_plausible(scene, sizes, other / unit)]
    hint = f"; all {len(sizes)} objects would have plausible sizes with {' or '.join(fitting)}" if fitting else ""
    return [finding_of(ImplausibleScale(wrong, unit, hint))]


def check_overlaps(scene: SourceScene) -> list[SceneFinding]:
    """Find things that are in each other's place by more than :data:`MAX_OVERLAP_M`; among furniture it is a remark only."""
    solids, background = _solids(scene)
    findings = []
    for first, second in [*combinations(solids.values(), 2), *((solid, part) for solid in solids.values() for part in background)]:
        movable = is_movable(scene.objects[first.name]) or (second.name in scene.objects and is_movable(scene.objects[second.name]))
        if not movable and second.name not in scene.objects:
            continue
        depth = overlap_depth(first, second, MAX_OVERLAP_M)
        if depth is not None:
            findings.append(_overlap(first.name, second.name.split("#")[0], depth, blocking=movable))
    for solid in solids.values():
        if is_movable(scene.objects[solid.name]) and solid.low[2] < -MAX_OVERLAP_M:
            findings += [_overlap(solid.name, _FLOOR, -float(solid.low[2]), blocking=True)]
    return findings


def check_supports(scene: SourceScene) -> list[SceneFinding]:
    """Find movable objects that nothing holds; furniture may hang on a wall, so there it is a remark."""
    findings = []
    for name, (gap, below) in find_supports(scene).unsupported.items():
        error = ObjectUnsupported(name, gap, below, MAX_GAP_M)
        findings.append(finding_of(error) if is_movable(scene.objects[name]) else SceneFinding(error.code, name, error.message))
    return findings


def find_supports(scene: SourceScene) -> Supports:
    """What bears what, from the floor and the background up: an object stands if it stands on something that stands."""
    solids, background = _solids(scene)
    below: dict[str, dict[str, float]] = {}
    for name, solid in solids.items():
        others = [other for other in (*solids.values(), *background) if other.name != name]
        below[name] = {other.name: vertical_gap(solid, other) for other in others} | {_FLOOR: float(solid.low[2])}
    standing = {_FLOOR, *(part.name for part in background)}
    waiting = set(solids)
    while found := {name for name in waiting if any(gap <= MAX_GAP_M and other in standing for other, gap in below[name].items())}:
        standing |= found
        waiting -= found
    unsupported = {}
    for name in sorted(waiting):
        other, gap = min(((other, gap) for other, gap in below[name].items() if gap > MAX_GAP_M), key=lambda item: (item[1], item[0]))
        unsupported[name] = (gap, other.split("#")[0] if "#" not in other else "the background")
    bearers = {
        name: frozenset(other for other, gap in gaps.items() if gap <= MAX_GAP_M and not _is_above(other, name, solids, below))
        for name, gaps in below.items()
    }
    return Supports(unsupported, bearers, frozenset({_FLOOR, *(part.name for part in background if part.high[2] <= MAX_GAP_M)}))


def _is_above(other: str, name: str, solids: dict[str, Solid], below: dict[str, dict[str, float]]) -> bool:
    """Whether of two objects of which each is below the other, as touching ones are, the other one begins higher up."""
    return other in solids and below[other].get(name, np.inf) <= MAX_GAP_M and bool(solids[other].low[2] >= solids[name].low[2])


def is_movable(item: SourceObject) -> bool:
    """Whether an object will be simulated as a free body."""
    points = np.vstack([surface.vertices for surface in item.surfaces])
    role = choose_sim_role(
        is_floor_contact=item.pose_file.is_floor_contact,
        is_articulated=item.articulation is not None,
        volume_m3=float(np.prod(np.ptp(points, axis=0))),
    )
    return role == "manipulable_object"


def _overlap(first: str, second: str, depth: float, *, blocking: bool) -> SceneFinding:
    bounded = min(depth, 0.5)
    error = ObjectsInterpenetrate(first, second, bounded, MAX_OVERLAP_M, is_lower_bound=depth > bounded)
    return finding_of(error) if blocking else SceneFinding(error.code, first, error.message)


def _solids(scene: SourceScene) -> tuple[dict[str, Solid], list[Solid]]:
    objects, eye_m = {}, np.asarray(scene.camera_pose.position_m)
    for name, item in scene.objects.items():
        mesh = merge_positions(item.surfaces)
        mesh.vertices = item.pose.apply(np.asarray(mesh.vertices))
        objects[name] = Solid(name, mesh, eye_m)
    parts = (merge_positions([surface]) for surface in scene.background)
    return objects, [Solid(f"background#{index}", part, eye_m) for index, part in enumerate(parts)]


def _longest(item: SourceObject) -> float:
    return float(np.ptp(np.vstack([surface.vertices for surface in item.surfaces]), axis=0).max())


def _all_plausible(scene: SourceScene, sizes: dict[str, float], factor: float) -> bool:
    bounds: Iterable[tuple[str, tuple[float, float]]] = (
        (name, load_categories().find(category_of(item))[1].size_m) for name, item in scene.objects.items()
    )
    return all(low <= sizes[name] * factor <= high for name, (low, high) in bounds)


def _show(values: FloatArray) -> str:
    return "(" + ", ".join(f"{value:.4g}" for value in values) + ")"
