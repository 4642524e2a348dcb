"""Instructions in plain English: what a person says who sees the scene as its camera does.

Directions are the viewer's, and the viewer is the scene's camera: left is left in its picture, the front is what is near to it. x goes
away from the viewer, y to the viewer's left. A policy that sees the picture can tell them; where the robot stands does not matter.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.skill.drawn_color import COLOURS

RESTS = {
    "left side": "on the left side of",
    "right side": "on the right side of",
    "front": "at the front of",
    "back": "at the back of",
    "middle": "in the middle of",
}
"""Parts of a surface, as one says where something stands."""
GOES = {
    "left side": "to the left side of",
    "right side": "to the right side of",
    "front": "to the front of",
    "back": "to the back of",
    "middle": "to the middle of",
}
"""The same, as one says where something is moved."""
RESTS_THERE = {"in": "in", "on": "on"}
"""What an object that bears another is to it, as one says where something stands."""
GOES_THERE = {"in": "into", "on": "onto"}
"""The same, as one says where something is moved."""

PARAPHRASES = 4
"""Sentences that an episode has beside its instruction."""


@dataclass(frozen=True, kw_only=True)
class NamedObject:
    """What may be said of an object."""

    object_id: str
    noun: str
    """Its category in words, e.g. ``milk carton``."""
    colour: str | None


@dataclass(frozen=True)
class Template:
    """A way to give an order: ``{object}`` and ``{place}`` stand for phrases."""

    text: str
    places: dict[str, str]
    """How a part of the surface is said in it."""
    bearers: dict[str, str]
    """How an object that bears the other is said in it."""


PUT = (
    Template("put the {object} {place}", RESTS, RESTS_THERE),
    Template("place the {object} {place}", RESTS, RESTS_THERE),
    Template("set the {object} down {place}", RESTS, RESTS_THERE),
    Template("pick up the {object} and put it {place}", RESTS, RESTS_THERE),
    Template("move the {object} {place}", GOES, GOES_THERE),
)
INSERT = (
    Template("insert the {object} {place}", {}, {"in": "into"}),
    Template("put the {object} {place}", {}, {"in": "into"}),
    Template("place the {object} {place}", {}, {"in": "in"}),
    Template("pick up the {object} and insert it {place}", {}, {"in": "into"}),
    Template("plug the {object} {place}", {}, {"in": "into"}),
)
PUSH = (
    Template("push the {object} {place}", GOES, GOES_THERE),
    Template("move the {object} {place} by pushing it", GOES, GOES_THERE),
)
SLIDE = (
    Template("slide the {object} {place}", GOES, GOES_THERE),
    Template("move the {object} {place} without lifting it", GOES, GOES_THERE),
)


@dataclass(frozen=True, kw_only=True)
class SurfaceFrame:
    """A surface in the axes of who looks at it."""

    noun: str
    origin_m: FloatArray
    """(2,): where the viewer is, in the world."""
    yaw_rad: float
    """Heading of the viewer's x axis in the world."""
    extent_m: tuple[FloatArray, FloatArray]
    """Lower and upper corner of the surface in the viewer's axes, (2,) each."""

    def to_viewer(self, point_m: FloatArray) -> FloatArray:
        """World points (..., 2) in the viewer's axes."""
        cosine, sine = np.cos(self.yaw_rad), np.sin(self.yaw_rad)
        turned: FloatArray = (point_m - self.origin_m) @ np.array([[cosine, -sine], [sine, cosine]])
        return turned

    def to_world(self, point_m: FloatArray) -> FloatArray:
        """Points (..., 2) of the viewer's axes in the world."""
        cosine, sine = np.cos(self.yaw_rad), np.sin(self.yaw_rad)
        placed: FloatArray = point_m @ np.array([[cosine, sine], [-sine, cosine]]) + self.origin_m
        return placed


def build_surface_frame(noun: str, viewer_m: FloatArray, yaw_rad: float, cells_m: FloatArray) -> SurfaceFrame:
    """The surface in the axes of a viewer at ``viewer_m`` (2,); ``cells_m`` (n, 2) are the level spots of the surface."""
    frame = SurfaceFrame(noun=noun, origin_m=viewer_m, yaw_rad=yaw_rad, extent_m=(np.zeros(2), np.zeros(2)))
    seen = frame.to_viewer(cells_m)
    return replace(frame, extent_m=(seen.min(axis=0), seen.max(axis=0)))


def say(template: Template, target: str, words: str, surface: SurfaceFrame, reference: str | None = None) -> str:
    """A sentence.

    Args:
        template: How the order is given.
        target: Phrase for what is moved, e.g. ``red can``.
        words: A part of the surface, or a relation to ``reference``.
        surface: What it stands on.
        reference: Phrase for the object beside which it shall stand.
    """
    place = f"{template.places[words]} the {surface.noun}" if reference is None else f"{template.bearers.get(words, words)} the {reference}"
    return template.text.format(object=target, place=place)


def say_in_ways(
    templates: Sequence[Template],
    targets: Sequence[str],
    words: str,
    surface: SurfaceFrame,
    *,
    rng: np.random.Generator,
    references: Sequence[str | None] = (None,),
) -> tuple[str, tuple[str, ...]]:
    """A sentence, and up to :data:`PARAPHRASES` others that say the same, drawn from all that the templates and phrases allow.

    Args:
        templates: Ways to give the order.
        targets: Phrases for the target.
        words: As in :func:`say`.
        surface: As in :func:`say`.
        rng: Draws.
        references: Phrases for the object to which the words are a relation.
    """
    ways = [say(template, target, words, surface, other) for template in templates for target in targets for other in references]
    first, *others = (ways[index] for index in rng.permutation(len(ways))[: PARAPHRASES + 1])
    return first, tuple(others)


def name_object(object_id: str, category: str, description: str) -> tuple[str, tuple[str, ...]]:
    """Noun of an object and words for its colour, from words that people wrote: its id, its category and its description.

    Words of the id count only where the category or the description has them too (``akita_black_bowl``, "black ceramic
    bowl" is a bowl that is said to be black); without any, the category is the noun. Whether a colour is true, the picture decides.
    """
    written = set(_words(f"{category} {description}"))
    words = [word for word in _words(object_id) if word in written]
    colours = tuple(dict.fromkeys(word for word in [*words, *_words(description)] if word in COLOURS))
    noun = [word for word in words if word not in COLOURS]
    return " ".join(noun) or " ".join(_words(category)) or "object", colours


def noun_phrases(objects: Sequence[NamedObject]) -> dict[str, str]:
    """The shortest phrase that tells each object from the others; objects that no phrase tells from them are absent.

    A carton is no phrase where there is a milk carton too, and an object without a colour cannot be told from one of its kind by colour.
    """
    full = Counter(_coloured(item) for item in objects)
    found = {}
    for item in objects:
        if sum(other.noun == item.noun or other.noun.endswith(f" {item.noun}") for other in objects) == 1:
            found[item.object_id] = item.noun
        elif item.colour and full[_coloured(item)] == 1:
            found[item.object_id] = _coloured(item)
    return found


def phrases_of(item: NamedObject, others: Sequence[NamedObject]) -> tuple[str, ...]:
    """All phrases that tell an object from others: its noun, its noun with its colour; empty where they share both."""
    told = noun_phrases([item, *others])
    return tuple(dict.fromkeys((told[item.object_id], _coloured(item)))) if item.object_id in told else ()


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def _coloured(item: NamedObject) -> str:
    return f"{item.colour} {item.noun}" if item.colour and not item.noun.startswith(item.colour) else item.noun
