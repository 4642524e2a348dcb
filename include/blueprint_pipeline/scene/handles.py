"""What of a moving part a hand takes or presses: a bar that sticks out of its front, the outer part of a knob, the face of a button."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.scene.articulation import opening_direction
from blueprint_pipeline.scene.manifest import ArticulationJoint
from blueprint_pipeline.scene.part_use import PartUse, use_of

MIN_DEPTH_M = 0.015
"""How far a handle, or a knob, sticks out, at least: fingers reach around it."""
MAX_WIDTH_M = 0.07
"""Of its narrower side: a gripper opens as wide."""
MIN_FACE_M = 0.008
"""Of the narrower side of a button: a fingertip hits it."""
_FACING = 0.9
"""Cosine between the normal of a front's triangle and the direction in which the part opens."""
_FRONT_SHARE = 0.2
"""Of all that faces that way, counted from outside: where so much lies, the front is, and what lies before it is a handle."""
_BEYOND_M = 0.003


@dataclass(frozen=True)
class Handle:
    """Where a hand takes or presses a part, in the frame of the part's object when the part is closed.

    Attributes:
        use: What the hand does there.
        middle_m: Middle of its box (3,).
        axes: Columns: along its longer side, along its shorter one, and outwards (3, 3), right-handed.
        size_m: Extents along these (3,).
        faces: Which triangles of the part it has (F,).
    """

    use: PartUse
    middle_m: FloatArray
    axes: FloatArray
    size_m: FloatArray
    faces: NDArray[np.bool_]

    @property
    def outward(self) -> FloatArray:
        """Unit vector (3,) away from the front."""
        direction: FloatArray = self.axes[:, 2]
        return direction

    @property
    def face_m(self) -> FloatArray:
        """The middle of its outer face (3,)."""
        middle: FloatArray = self.middle_m + self.size_m[2] / 2 * self.outward
        return middle


def find_handle(vertices: FloatArray, faces: NDArray[np.int64], joint: ArticulationJoint) -> Handle | None:
    """Where a hand takes or presses a part; ``None``: two fingers could hold nothing of it, or one would miss it.

    Args:
        vertices: Of the part, closed, in its object's frame (V, 3) [m].
        faces: Its triangles (F, 3).
        joint: That it hangs on, in the same frame.
    """
    use = use_of(joint, vertices)
    if use == "handle":
        return _find_bar(vertices, faces, joint)
    if use == "knob":
        return _find_grip(vertices, faces, joint)
    found = _measured(vertices, faces, np.ones(len(faces), dtype=bool), -np.asarray(joint.axis), use)
    return found if found.size_m[:2].min() >= MIN_FACE_M else None


def _find_grip(vertices: FloatArray, faces: NDArray[np.int64], joint: ArticulationJoint) -> Handle | None:
    """What of a knob is at least partly within reach of fingertips from its face: its bar or its rim, and not the disc below it."""
    levels = vertices @ np.asarray(joint.axis)
    near = levels[faces].max(axis=1) > levels.max() - MIN_DEPTH_M
    found = _measured(vertices, faces, near, np.asarray(joint.axis), "knob")
    return found if found.size_m[2] >= MIN_DEPTH_M and found.size_m[:2].min() <= MAX_WIDTH_M else None


def _find_bar(vertices: FloatArray, faces: NDArray[np.int64], joint: ArticulationJoint) -> Handle | None:
    """What sticks out of the front of a part that opens."""
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
    if not beyond.any():
        return None
    found = _measured(vertices, faces, beyond, outward, "handle")
    sticks_out_m = float(found.face_m @ outward) - front_m
    return found if sticks_out_m >= MIN_DEPTH_M and found.size_m[:2].min() <= MAX_WIDTH_M else None


def _measured(vertices: FloatArray, faces: NDArray[np.int64], chosen: NDArray[np.bool_], outward: FloatArray, use: PartUse) -> Handle:
    """The box of some triangles of a part, along its sides and outwards."""
    points = vertices[np.unique(faces[chosen])]
    flat = points - np.outer(points @ outward, outward)
    _, _, axes = np.linalg.svd(flat - flat.mean(axis=0), full_matrices=True)
    along = axes[0] - (axes[0] @ outward) * outward
    along /= np.linalg.norm(along)
    frame = np.column_stack([along, np.cross(outward, along), outward])
    low, high = (points @ frame).min(axis=0), (points @ frame).max(axis=0)
    return Handle(use=use, middle_m=frame @ (low + high) / 2, axes=frame, size_m=high - low, faces=chosen)
