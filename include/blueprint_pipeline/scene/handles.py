"""What of a moving part can be taken by hand: a bar or a knob that sticks out of its front."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.scene.articulation import opening_direction
from blueprint_pipeline.scene.manifest import ArticulationJoint

MIN_DEPTH_M = 0.015
"""How far a handle sticks out, at least: fingers reach around it."""
MAX_WIDTH_M = 0.07
"""Of its narrower side: a gripper opens as wide."""
_FACING = 0.9
"""Cosine between the normal of a front's triangle and the direction in which the part opens."""
_FRONT_SHARE = 0.2
"""Of all that faces that way, counted from outside: where so much lies, the front is, and what lies before it is a handle."""
_BEYOND_M = 0.003


@dataclass(frozen=True)
class Handle:
    """A handle, in the frame of the part's object when the part is closed.

    Attributes:
        middle_m: Middle of its box (3,).
        axes: Columns: along its longer side, along its shorter one, and outwards (3, 3), right-handed.
        size_m: Extents along these (3,).
        faces: Which triangles of the part it has (F,).
    """

    middle_m: FloatArray
    axes: FloatArray
    size_m: FloatArray
    faces: NDArray[np.bool_]

    @property
    def outward(self) -> FloatArray:
        """Unit vector (3,) away from the front."""
        direction: FloatArray = self.axes[:, 2]
        return direction


def find_handle(vertices: FloatArray, faces: NDArray[np.int64], joint: ArticulationJoint) -> Handle | None:
    """The handle of a part; ``None``: nothing sticks out of it that two fingers could hold.

    Args:
        vertices: Of the part, closed, in its object's frame (V, 3) [m].
        faces: Its triangles (F, 3).
        joint: That it hangs on, in the same frame.
    """
    corners = vertices[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    areas = np.linalg.norm(across, axis=1) / 2
    opens = opening_direction(joint, (corners.mean(axis=1) * areas[:, None]).sum(axis=0) / areas.sum())
    facing = across @ opens > _FACING * 2 * np.maximum(areas, np.finfo(float).tiny)
    if not facing.any():
        return None
    outward = across[facing].sum(axis=0)  # square to the front, though a thick door begins to move a little aside
    outward /= np.linalg.norm(outward)
    levels = corners @ outward
    order = np.argsort(-levels[facing].mean(axis=1), kind="stable")
    outside = np.cumsum(areas[facing][order]) < _FRONT_SHARE * areas[facing].sum()
    front_m = float(levels[facing].mean(axis=1)[order][int(outside.sum())])
    beyond = (levels > front_m + _BEYOND_M).all(axis=1)
    return _measured(vertices, faces, beyond, outward, front_m) if beyond.any() else None


def _measured(
    vertices: FloatArray, faces: NDArray[np.int64], chosen: NDArray[np.bool_], outward: FloatArray, front_m: float
) -> Handle | None:
    points = vertices[np.unique(faces[chosen])]
    flat = points - np.outer(points @ outward, outward)
    _, _, axes = np.linalg.svd(flat - flat.mean(axis=0), full_matrices=True)
    along = axes[0] - (axes[0] @ outward) * outward
    along /= np.linalg.norm(along)
    frame = np.column_stack([along, np.cross(outward, along), outward])
    low, high = (points @ frame).min(axis=0), (points @ frame).max(axis=0)
    if high[2] - front_m < MIN_DEPTH_M or (high - low)[:2].min() > MAX_WIDTH_M:
        return None
    return Handle(middle_m=frame @ (low + high) / 2, axes=frame, size_m=high - low, faces=chosen)
