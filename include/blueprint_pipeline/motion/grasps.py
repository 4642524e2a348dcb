"""Grasps of an object by two parallel fingers: sampled on its real surface, filtered by geometry, ranked by quality.

A grasp is a pose of the tool centre point in the object's frame (approach along +z, fingers closing along y) and the
object's width between the fingers. Everything is vectorised; nothing here knows of arms, poses in the world or other objects.

Source: antipodal grasps after Nguyen, "Constructing force-closure grasps" (1988): the line between two contacts with
friction lies in both friction cones.
"""

from dataclasses import dataclass

import numpy as np
import trimesh
from numpy.typing import NDArray

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.motion.grasp_set import EMPTY, GraspSet, HalfSpace
from blueprint_pipeline.motion.surface import CollisionSurface
from blueprint_pipeline.robot.gripper import FingerPad, Gripper

SAMPLES = 5000
FRICTION = 0.4
"""Of the cone that a contact's line of force must lie in; lower than the pads' own, for a margin."""
PALM_GAP_M = 0.008
"""Air between the object and the palm: an arm lags behind its setpoints, and an object slips a little in hand."""
APPROACH_STEPS = 16
LARGEST_SET = 900
LARGEST_PAIR_SET = 600
_FIRM_PATCH = 0.5
_DEPTHS_M = (0.0, 0.006)
_OPENING_MARGIN_M = 0.006
_FINGER_GAP_M = 0.004
_PATCH_TOLERANCE_M = 0.003
_BODY_POINTS = 300
_THINNEST_M = 0.0015
_NEARLY_UPRIGHT = 0.9
_CHUNK = 400


@dataclass(frozen=True)
class _Pairs:
    """Pairs of contacts: middle (n, 3), unit line between them (n, 3), width (n,), how well the line fits the normals (n,)."""

    center: FloatArray
    line: FloatArray
    width: FloatArray
    alignment: FloatArray

    def take(self, keep: NDArray[np.generic]) -> "_Pairs":
        return _Pairs(self.center[keep], self.line[keep], self.width[keep], self.alignment[keep])


def sample_grasps(
    shape: CollisionSurface,
    gripper: Gripper,
    rng: np.random.Generator,
    *,
    around: CollisionSurface | None = None,
    within: HalfSpace | None = None,
) -> GraspSet:
    """Find grasps all over an object, or all over what sticks out of it.

    Args:
        shape: The surface that is held, in the object's own frame [m].
        gripper: Stroke and finger geometry.
        rng: Decides which points are tried: the same generator gives the same grasps.
        around: The rest of the object, from which the open hand keeps clear.
        within: Where the fingers' middle must be.
    """
    surface = _mesh(shape)
    pairs = _antipodal_pairs(surface, gripper.stroke_m - _OPENING_MARGIN_M, rng)
    if within is not None:
        pairs = pairs.take(pairs.center @ within.normal >= within.offset_m)
    if len(pairs.width) == 0:
        return EMPTY
    patch = _patch_support(surface, pairs, gripper.pad)
    kept = _spread_pairs(pairs, patch)
    pairs, patch = pairs.take(kept), patch[kept]
    poses, index = _approaches(pairs, gripper)
    solids = [surface] if around is None else [surface, _mesh(around)]
    points = [np.asarray(trimesh.sample.sample_surface(solid, _BODY_POINTS, seed=int(rng.integers(2**31)))[0]) for solid in solids]
    clear = _hand_is_clear(poses, pairs.width[index], np.concatenate(points), gripper)
    poses, index = poses[clear], index[clear]
    if len(index) == 0:
        return EMPTY
    quality = _quality(surface, pairs, patch, index)
    chosen = _spread(poses, quality, pairs.width[index])
    return GraspSet(poses[chosen], pairs.width[index][chosen], quality[chosen])


def _mesh(shape: CollisionSurface) -> trimesh.Trimesh:
    mesh = trimesh.Trimesh(shape.vertices, shape.faces, process=False)
    mesh.merge_vertices(merge_tex=True, merge_norm=True)
    return mesh


def _antipodal_pairs(surface: trimesh.Trimesh, widest_m: float, rng: np.random.Generator) -> _Pairs:
    """Points with the nearest and the farthest surface behind them: rims and walls, and the whole body."""
    points, faces = trimesh.sample.sample_surface(surface, SAMPLES, seed=int(rng.integers(2**31)))
    points, normals = np.asarray(points), np.asarray(surface.face_normals)
    inward = _tilt(-normals[faces], rng)
    reach = 2.0 * float(np.linalg.norm(surface.extents))
    found = [
        _first_hits(surface, points + _THINNEST_M * inward, inward),
        _first_hits(surface, points + reach * inward, -inward),
    ]
    sets = []
    for hit, face, ray in found:
        start, line = points[ray], inward[ray]
        width = np.einsum("ij,ij->i", hit - start, line)
        alignment = np.minimum(np.abs(np.einsum("ij,ij->i", line, normals[faces[ray]])), np.einsum("ij,ij->i", line, normals[face]))
        pairs = _Pairs((start + hit) / 2, line, width, alignment)
        sets.append(pairs.take((width > _THINNEST_M) & (width < widest_m) & (alignment > np.cos(np.arctan(FRICTION)))))
    return _Pairs(*(np.concatenate([getattr(pairs, name) for pairs in sets]) for name in ("center", "line", "width", "alignment")))


def _tilt(directions: FloatArray, rng: np.random.Generator) -> FloatArray:
    tilted = directions + rng.normal(scale=0.08, size=directions.shape)
    unit: FloatArray = tilted / np.linalg.norm(tilted, axis=1, keepdims=True)
    return unit


def _first_hits(
    surface: trimesh.Trimesh, origins: FloatArray, directions: FloatArray
) -> tuple[FloatArray, NDArray[np.int64], NDArray[np.int64]]:
    """Where rays first meet the surface: points (k, 3), faces (k,), rays (k,)."""
    points, rays, faces = surface.ray.intersects_location(origins, directions, multiple_hits=False)
    order = np.argsort(rays, kind="stable")
    return np.asarray(points)[order], np.asarray(faces)[order], np.asarray(rays)[order]


def _patch_support(surface: trimesh.Trimesh, pairs: _Pairs, pad: FingerPad) -> FloatArray:
    """Share of the two pads' corners that would touch: 1 on flat sides, less on edges and tips. Shape (n,)."""
    first, second = _plane_axes(pairs.line)
    half = 0.3 * min(pad.width_m, pad.height_m)
    touching = np.zeros(len(pairs.width))
    for side in (-1.0, 1.0):
        for a, b in ((-half, 0.0), (half, 0.0), (0.0, -half), (0.0, half)):
            away = pairs.center + side * (pairs.width[:, None] / 2 + 0.01) * pairs.line + a * first + b * second
            hit, _, ray = _first_hits(surface, away, -side * pairs.line)
            depth = np.full(len(pairs.width), np.inf)
            depth[ray] = np.linalg.norm(hit - away[ray], axis=1)
            touching += np.abs(depth - 0.01) < _PATCH_TOLERANCE_M
    return touching / 8


def _spread_pairs(pairs: _Pairs, patch: FloatArray) -> NDArray[np.int64]:
    """Some hundred pairs with firm pads, the best of every centimetre and direction."""
    cells = np.concatenate([np.round(pairs.center / 0.01), np.round(pairs.line * 3), np.round(pairs.width[:, None] / 0.01)], axis=1).astype(
        np.int64
    )
    firm = np.flatnonzero(patch >= _FIRM_PATCH)
    order = firm[np.argsort(-(patch + pairs.alignment)[firm], kind="stable")]
    _, first = np.unique(cells[order], axis=0, return_index=True)
    return order[np.sort(first)][:LARGEST_PAIR_SET]


def _plane_axes(line: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Two unit vectors that span the plane across each line."""
    helper = np.where(np.abs(line[:, 2:3]) < _NEARLY_UPRIGHT, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    first = np.cross(line, helper)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    return first, np.cross(line, first)


def _approaches(pairs: _Pairs, gripper: Gripper) -> tuple[FloatArray, NDArray[np.int64]]:
    """Every pair from all around its line, at two depths: poses (m, 4, 4) of the tool centre point and the pair of each (m,).

    The middle of the pads, not the tool centre point, comes to the line: a linkage moves the pads along the approach as it closes.
    """
    advance = gripper.advance_at(pairs.width)[:, None]
    first, second = _plane_axes(pairs.line)
    poses, index = [], []
    everything = np.arange(len(pairs.width))
    for angle in np.arange(APPROACH_STEPS) * 2 * np.pi / APPROACH_STEPS:
        approach = np.cos(angle) * first + np.sin(angle) * second
        for depth in _DEPTHS_M:
            pose = np.tile(np.eye(4), (len(everything), 1, 1))
            pose[:, :3, 0] = np.cross(pairs.line, approach)
            pose[:, :3, 1] = pairs.line
            pose[:, :3, 2] = approach
            pose[:, :3, 3] = pairs.center - (depth + advance) * approach
            poses.append(pose)
            index.append(everything)
    return np.concatenate(poses), np.concatenate(index)


def _hand_is_clear(poses: FloatArray, width: FloatArray, points: FloatArray, gripper: Gripper) -> NDArray[np.bool_]:
    """Whether the open hand holds no point of the object inside a finger, and none within :data:`PALM_GAP_M` of the palm. Shape (m,)."""
    pad, palm = gripper.pad, gripper.palm
    tip = (gripper.advance_at(width) + pad.tip_below_pad_m).astype(np.float32)
    clear = np.ones(len(poses), dtype=bool)
    rotations, origins, cloud = poses[:, :3, :3].astype(np.float32), poses[:, :3, 3].astype(np.float32), points.astype(np.float32)
    for start in range(0, len(poses), _CHUNK):
        part = slice(start, start + _CHUNK)
        local = (cloud[None] - origins[part, None]) @ rotations[part]
        x, y, z = np.abs(local[..., 0]), np.abs(local[..., 1]), local[..., 2]
        inner = (width[part, None] / 2 + _FINGER_GAP_M).astype(np.float32)
        finger = (x < pad.width_m / 2 + 0.002) & (y > inner) & (y < inner + pad.finger_thickness_m) & (z < tip[part, None])
        hand = (x < palm.half_x_m) & (y < palm.half_y_m) & (z < PALM_GAP_M - palm.clear_above_tcp_m)
        clear[part] = ~((finger | hand) & (z > -palm.clear_above_tcp_m - palm.depth_m)).any(axis=1)
    return clear


def _quality(surface: trimesh.Trimesh, pairs: _Pairs, patch: FloatArray, index: NDArray[np.int64]) -> FloatArray:
    """Normals that agree, pads that lie flat, and little lever to the centre of the object. Shape (m,)."""
    lever = np.linalg.norm(pairs.center[index] - surface.bounds.mean(axis=0), axis=1) / (0.5 * float(np.linalg.norm(surface.extents)))
    cone = np.cos(np.arctan(FRICTION))
    agreement = (pairs.alignment[index] - cone) / (1 - cone)
    quality: FloatArray = 0.35 * agreement + 0.4 * patch[index] + 0.25 * (1 - np.clip(lever, 0, 1))
    return quality


def _spread(poses: FloatArray, quality: FloatArray, width: FloatArray) -> NDArray[np.int64]:
    """The best grasp of every neighbourhood (1.5 cm, 30 degrees), best first."""
    cells = np.concatenate(
        [
            np.round(poses[:, :3, 3] / 0.015),
            np.round(poses[:, :3, 2] * 2),
            np.round(np.abs(poses[:, :3, 1]) * 2),
            np.round(width[:, None] / 0.02),
        ],
        axis=1,
    ).astype(np.int64)
    order = np.argsort(-quality, kind="stable")
    _, first = np.unique(cells[order], axis=0, return_index=True)
    return order[np.sort(first)][:LARGEST_SET]
