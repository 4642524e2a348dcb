"""What a hand does with a part that moves: takes it by a handle, presses it, or turns it; by rule, from its joint and its shape.

- A **button** slides, by no more than :data:`MAX_PRESS_M`. Its axis points the way it is pushed.
- A **knob** turns about an axis that goes through its middle. Its axis points out of its face, so that its position grows as it turns
  counter-clockwise, as seen by who looks at it.
- All else has, or lacks, a **handle**: drawers, doors and lids.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import across
from blueprint_pipeline.scene.manifest import ArticulationJoint
from blueprint_pipeline.scene.source_errors import FieldInvalid

PartUse = Literal["handle", "button", "knob"]
MIN_PRESS_M, MAX_PRESS_M = 0.002, 0.02
"""How far a button goes in: less cannot be told from a touch, more is a drawer's way."""
MAX_TURN_RAD = 5.8
"""Of a knob's range: a pose does not tell one whole turn from none."""
PUSH_N = 15.0
"""What a fingertip may need, at most, to push a button all the way in."""
_AROUND = 0.15
"""How far a knob reaches beyond its axis on its least side, as a share of its farthest reach. A door's hinge is at its edge: 0.03."""
_SIDES = 24
_RAYS, _INNER = 16, 0.6
"""Points of a part from which it is asked where its base is, and how much nearer to its middle they are than its surface."""


def use_of(joint: ArticulationJoint, vertices: FloatArray) -> PartUse:
    """What a hand does with a part.

    Args:
        joint: That it hangs on.
        vertices: Of the part, in the frame of the joint (V, 3) [m].
    """
    if joint.type == "prismatic":
        return "button" if joint.limits[1] - joint.limits[0] <= MAX_PRESS_M else "handle"
    first, second = across(np.asarray(joint.axis))
    flat = (vertices - np.asarray(joint.origin)) @ np.column_stack([first, second])
    angles = np.arange(_SIDES) * 2 * np.pi / _SIDES
    reaches = (flat @ np.stack([np.cos(angles), np.sin(angles)])).max(axis=0)
    return "knob" if reaches.min() >= _AROUND * reaches.max() else "handle"


def validate_use(file: str, joint: ArticulationJoint, part: FloatArray, base: tuple[FloatArray, NDArray[np.int64]]) -> None:
    """Check that a joint says what a button or a knob needs.

    Args:
        file: Where the joint stands, for the message.
        joint: In the object's frame.
        part: Vertices of its part (V, 3) [m].
        base: Vertices (W, 3) [m] and triangles (F, 3) of what it hangs on.

    Raises:
        FieldInvalid: With the field.
    """
    use, field = use_of(joint, part), f"joints[{joint.name}]"
    if joint.stiffness is not None and use != "button":
        expected = f"none: only what slides by at most {MAX_PRESS_M * 1000:g} mm, a button, springs back; all else stays where it is left"
        raise FieldInvalid(file, f"{field}.stiffness", f"{joint.stiffness:g} of a part with {_described(joint)}", expected)
    if use == "button":
        _validate_button(file, field, joint, part, base)
    if use == "knob":
        _validate_knob(file, field, joint, part, base)


def _described(joint: ArticulationJoint) -> str:
    span = joint.limits[1] - joint.limits[0]
    return f"a range of {span * 1000:.3g} mm" if joint.type == "prismatic" else "a hinge"


def _validate_button(file: str, field: str, joint: ArticulationJoint, part: FloatArray, base: tuple[FloatArray, NDArray[np.int64]]) -> None:
    low, high = joint.limits
    if low < 0.0 or high < MIN_PRESS_M:
        expected = f"0 to {MIN_PRESS_M * 1000:g} mm or more: at 0 the button stands out, as its mesh has it, at the upper limit it is in"
        raise FieldInvalid(file, f"{field}.limits", f"{low * 1000:.3g} to {high * 1000:.3g} mm of a button", expected)
    if _is_behind(-np.asarray(joint.axis), part, base):
        expected = "the way in which the button is pushed, into its object"
        raise FieldInvalid(file, f"{field}.axis", f"{list(joint.axis)}, out of the object", expected)
    if (joint.stiffness or 0.0) * high > PUSH_N:
        found = f"{joint.stiffness:g} N/m, {(joint.stiffness or 0.0) * high:.3g} N where the button is all the way in"
        raise FieldInvalid(file, f"{field}.stiffness", found, f"at most {PUSH_N:g} N there, in N/m: a fingertip pushes no harder")


def _validate_knob(file: str, field: str, joint: ArticulationJoint, part: FloatArray, base: tuple[FloatArray, NDArray[np.int64]]) -> None:
    span = joint.limits[1] - joint.limits[0]
    if span > MAX_TURN_RAD:
        raise FieldInvalid(file, f"{field}.limits", f"{span:.3g} rad of a knob", f"at most {MAX_TURN_RAD:g} rad: less than a whole turn")
    if _is_behind(np.asarray(joint.axis), part, base):
        expected = "out of the knob's face, so that it turns counter-clockwise, as seen by who looks at it, as the position grows"
        raise FieldInvalid(file, f"{field}.axis", f"{list(joint.axis)}, into the object", expected)


def _is_behind(direction: FloatArray, part: FloatArray, base: tuple[FloatArray, NDArray[np.int64]]) -> bool:
    """Whether a part meets its base sooner this way than the other way, by rays along a direction (3,) from within the part."""
    middle = (part.min(axis=0) + part.max(axis=0)) / 2
    chosen = part[np.linspace(0, len(part) - 1, _RAYS).astype(int)]
    offset = _INNER * (chosen - middle)
    starts = middle + offset - np.outer(offset @ direction, direction)
    vertices, faces = base
    ahead, back = (_distances(starts, way, vertices[faces]) for way in (direction, -direction))
    return int((ahead < back).sum()) > int((back < ahead).sum())


def _distances(starts: FloatArray, direction: FloatArray, corners: FloatArray) -> FloatArray:
    """How far rays from ``starts`` (n, 3) go until they meet a triangle of (F, 3, 3); infinite where they meet none. Shape (n,).

    Source: Moller and Trumbore, "Fast, Minimum Storage Ray/Triangle Intersection" (1997).
    """
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    normal = np.cross(direction, second)
    volume = np.einsum("fi,fi->f", first, normal)
    usable = np.abs(volume) > np.finfo(float).tiny
    scale = 1.0 / np.where(usable, volume, 1.0)
    found = np.full(len(starts), np.inf)
    for index, start in enumerate(starts):
        away = start - corners[:, 0]
        turned = np.cross(away, first)
        u, v = np.einsum("fi,fi->f", away, normal) * scale, turned @ direction * scale
        distance = np.einsum("fi,fi->f", turned, second) * scale
        hit = usable & (u >= 0) & (v >= 0) & (u + v <= 1) & (distance > 0)
        found[index] = distance[hit].min(initial=np.inf)
    return found
