"""Instructions in plain English: what a person at the robot's side would say.

Directions are the robot's: standing at its base and looking at the workspace, x goes away from it, y to its left.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray

COLOURS = frozenset({"black", "white", "grey", "gray", "red", "green", "blue", "yellow", "orange", "brown", "pink", "purple", "silver"})
NEAR_M = 0.22
_THIRD = 1.0 / 6.0


@dataclass(frozen=True, kw_only=True)
class NamedObject:
    """What may be said of an object."""

    object_id: str
    noun: str
    """Its category in words, e.g. ``milk carton``."""
    colour: str | None
    center_m: FloatArray
    """(2,): where it stands, in the world."""


@dataclass(frozen=True, kw_only=True)
class SurfaceFrame:
    """The surface as the robot sees it."""

    noun: str
    origin_m: FloatArray
    """(2,): the robot's base in the world."""
    yaw_rad: float
    """Heading of the robot's x axis in the world."""
    extent_m: tuple[FloatArray, FloatArray]
    """Lower and upper corner of the surface in the robot's axes, (2,) each."""

    def to_robot(self, point_m: FloatArray) -> FloatArray:
        """World points (..., 2) in the robot's axes."""
        cosine, sine = np.cos(self.yaw_rad), np.sin(self.yaw_rad)
        turned: FloatArray = (point_m - self.origin_m) @ np.array([[cosine, -sine], [sine, cosine]])
        return turned

    def to_world(self, point_m: FloatArray) -> FloatArray:
        """Points (..., 2) of the robot's axes in the world."""
        cosine, sine = np.cos(self.yaw_rad), np.sin(self.yaw_rad)
        placed: FloatArray = point_m @ np.array([[cosine, sine], [-sine, cosine]]) + self.origin_m
        return placed


def build_region_instruction(target: NamedObject, words: str, surface: SurfaceFrame, *, verb: str) -> str:
    """Say to which part of the surface the target shall go, e.g. ``push the red can to the left side of the table``."""
    return f"{verb} the {_coloured(target)} to the {words} of the {surface.noun}"


def build_surface_frame(noun: str, base_m: FloatArray, yaw_rad: float, cells_m: FloatArray) -> SurfaceFrame:
    """The surface in the axes of a robot at ``base_m`` (2,); ``cells_m`` (n, 2) are the level spots of the surface."""
    frame = SurfaceFrame(noun=noun, origin_m=base_m, yaw_rad=yaw_rad, extent_m=(np.zeros(2), np.zeros(2)))
    seen = frame.to_robot(cells_m)
    return replace(frame, extent_m=(seen.min(axis=0), seen.max(axis=0)))


def name_object(object_id: str, category: str, description: str) -> tuple[str, str | None]:
    """Noun and colour of an object, from words that people wrote: its id, its category and its description.

    Words of the id count only where the category or the description has them too (``akita_black_bowl``, "black ceramic
    bowl" is a black bowl); without any, the category is the noun.
    """
    written = set(_words(f"{category} {description}"))
    words = [word for word in _words(object_id) if word in written]
    colour = next((word for word in [*words, *_words(description)] if word in COLOURS), None)
    noun = [word for word in words if word not in COLOURS]
    return " ".join(noun) or " ".join(_words(category)) or "object", colour


def noun_phrases(objects: Sequence[NamedObject]) -> dict[str, str]:
    """The shortest phrase that tells each object from the others; objects that share every phrase are absent."""
    nouns = Counter(item.noun for item in objects)
    full = Counter(_coloured(item) for item in objects)
    phrases = {item.object_id: item.noun if nouns[item.noun] == 1 else _coloured(item) for item in objects}
    return {item.object_id: phrases[item.object_id] for item in objects if nouns[item.noun] == 1 or full[_coloured(item)] == 1}


def build_instruction(target: NamedObject, goal_m: FloatArray, others: Sequence[NamedObject], surface: SurfaceFrame, *, verb: str) -> str:
    """Say where the target should go, by the nearest object that can be named, or else by the part of the surface.

    Args:
        target: What is moved.
        goal_m: Where to, (2,) in the world.
        others: Everything else on the surface.
        surface: What it stands on, as the robot sees it.
        verb: ``move``, ``put`` or ``place``.
    """
    phrases = noun_phrases([target, *others])
    subject = _coloured(target)
    near = [item for item in others if item.object_id in phrases and np.linalg.norm(item.center_m - goal_m) <= NEAR_M]
    if near:
        reference = min(near, key=lambda item: (float(np.linalg.norm(item.center_m - goal_m)), item.object_id))
        step = surface.to_robot(goal_m) - surface.to_robot(reference.center_m)
        return f"{verb} the {subject} {_relation(step)} the {phrases[reference.object_id]}"
    return f"{verb} the {subject} to the {_region(surface, goal_m)} of the {surface.noun}"


def _relation(step_m: FloatArray) -> str:
    """Direction of a step in the robot's axes, in words; nearer to the robot is in front."""
    forward, left = float(step_m[0]), float(step_m[1])
    if abs(left) >= abs(forward):
        return "to the left of" if left > 0 else "to the right of"
    return "behind" if forward > 0 else "in front of"


def _third(share: float, low: str, high: str) -> str:
    """Which outer third of an extent a share lies in, -0.5 to 0.5; empty in the middle."""
    if share > _THIRD:
        return high
    return low if share < -_THIRD else ""


def _region(surface: SurfaceFrame, goal_m: FloatArray) -> str:
    lower, upper = surface.extent_m
    share = (surface.to_robot(goal_m) - lower) / np.maximum(upper - lower, 1e-6) - 0.5
    depth = _third(float(share[0]), "front", "back")
    side = _third(float(share[1]), "right", "left")
    if depth and side:
        return f"{depth} {side} corner"
    if depth or side:
        return f"{depth or side} side" if side else f"{depth} edge"
    return "middle"


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def _coloured(item: NamedObject) -> str:
    return f"{item.colour} {item.noun}" if item.colour and not item.noun.startswith(item.colour) else item.noun
