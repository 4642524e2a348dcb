"""How two fingers hold a knob: straight from before its face, closing across its axis where it is narrowest, or anywhere if it is round.

Frame: that of the part when it is at 0, metres.
"""

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import build_pose
from blueprint_pipeline.motion.grasp_set import EMPTY, GraspSet
from blueprint_pipeline.motion.surface import CollisionSurface
from blueprint_pipeline.robot.gripper import Gripper
from blueprint_pipeline.scene.handles import Handle
from blueprint_pipeline.scene.manifest import ArticulationJoint

_ANGLES = 16
"""Directions across a knob that are asked, over half a turn."""
_NEAR = 2
"""How many directions to each side may not be narrower: where one is, the fingers would turn the knob as they close."""
_NARROWER = 0.97
_OFF_AXIS_M = 0.004
"""By how much the middle between the fingers may lie beside the axis."""
_BELOW_M, _LEAST_M = 0.002, 0.003
"""Between the fingertips and what is below the knob, and how far the middle of the pads is behind its face, at least."""
_OPENING_MARGIN_M = 0.006


def find_grips(surface: CollisionSurface, handle: Handle, joint: ArticulationJoint, gripper: Gripper) -> GraspSet:
    """All grips of a knob; none where the gripper does not span it, or the knob is too low.

    Args:
        surface: Of the part.
        handle: What of it is held.
        joint: That it hangs on.
        gripper: Stroke and finger geometry.
    """
    behind_m = min(float(handle.size_m[2]) - gripper.pad.tip_below_pad_m - _BELOW_M, gripper.pad.height_m / 2)
    if behind_m < _LEAST_M:
        return EMPTY
    outward, origin = handle.outward, np.asarray(joint.origin)
    middle = origin + ((handle.face_m - origin) @ outward - behind_m) * outward
    points = surface.vertices[np.unique(surface.faces[handle.faces])] - middle
    angles = np.arange(_ANGLES) * np.pi / _ANGLES
    lines = np.outer(np.cos(angles), handle.axes[:, 1]) - np.outer(np.sin(angles), handle.axes[:, 0])
    reach = points @ lines.T
    low, high = reach.min(axis=0), reach.max(axis=0)
    width = high - low
    beside = np.min([np.roll(width, step) for step in range(-_NEAR, _NEAR + 1)], axis=0)
    good = (width * _NARROWER <= beside) & (width <= gripper.stroke_m - _OPENING_MARGIN_M) & (np.abs(low + high) / 2 <= _OFF_AXIS_M)
    if not good.any():
        return EMPTY
    poses = [_pose(middle, line, -outward, float(gripper.advance_at(wide))) for line, wide in zip(lines[good], width[good], strict=True)]
    return GraspSet(np.array(poses), width[good], np.ones(int(good.sum())))


def _pose(middle: FloatArray, line: FloatArray, approach: FloatArray, advance_m: float) -> FloatArray:
    """The tool centre point (4, 4) of a hand whose pads' middle is at a place (3,), closing along a line (3,)."""
    return build_pose(middle - advance_m * approach, np.column_stack([np.cross(line, approach), line, approach]))
