"""What to call a part that moves: ``top drawer``, ``door of the cabinet``, ``red button``; by rule, true in the scene camera's picture.

Which one is the top or the left one is measured, never taken from how its author named it: directions are those of the picture. A colour
is said where it is true of what is drawn, and of no other part of the same noun.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.skill.drawn_color import is_colour_of
from blueprint_pipeline.skill.instruction import NamedObject, noun_phrases, phrases_of

NOUNS = (
    *("drawer", "door", "lid", "flap", "hatch", "gate", "cover", "tray", "shutter"),
    *("button", "switch", "knob", "dial", "valve", "tap"),
)
APART_M = 0.04
"""Between the middles of two parts, from which one is above, or beside, the other."""
_RANKS = {2: ("{first}", "{last}"), 3: ("{first}", "middle", "{last}")}


@dataclass(frozen=True, kw_only=True)
class NamedPart:
    """What may be said of a part.

    Attributes:
        name: ``{object}/{part}``.
        owner: The object that it hangs on.
        middle_m: Middle of its handle, or of all of it, where it is closed (3,), in the world.
        colour: A word of its name that is true of what is drawn of it; ``None``: there is none.
        drawn_rgb: The mean of what is drawn of it, display values (3,); ``None``: it is not known.
    """

    name: str
    owner: NamedObject
    middle_m: FloatArray
    colour: str | None = None
    drawn_rgb: FloatArray | None = None

    @property
    def noun(self) -> str:
        """``drawer``, by the words of the part's name; without any that is known, its last word."""
        words = part_name_words(self.name)
        return next((word for word in words if word in NOUNS), words[-1])

    def may_be_called(self, colour: str) -> bool:
        """Whether who sees it might say this colour of it."""
        return self.colour == colour or (self.drawn_rgb is not None and is_colour_of(colour, self.drawn_rgb))


def part_name_words(name: str) -> list[str]:
    """The words of a part's name, without its object's."""
    return re.findall(r"[a-z]+", name.rpartition("/")[2].lower())


def part_phrases(parts: Sequence[NamedPart], to_viewer: Callable[[FloatArray], FloatArray]) -> dict[str, tuple[str, ...]]:
    """All phrases for each part that tell it from every other; parts that no words tell from another are absent.

    Args:
        parts: All parts of the scene.
        to_viewer: Takes points of the ground plan (n, 2) to the axes of who looks: x away, y to the left.
    """
    owners = {part.owner.object_id: part.owner for part in parts}
    told = {name: phrases_of(owner, [other for key, other in owners.items() if key != name]) for name, owner in owners.items()}
    short = noun_phrases(list(owners.values()))
    found = {}
    for part in parts:
        alike = [other for other in parts if other.noun == part.noun]
        siblings = [other for other in alike if other.owner.object_id == part.owner.object_id]
        which, owner = _which(part, siblings, to_viewer), told[part.owner.object_id]
        compound = [f"{short[part.owner.object_id]} {part.noun}"] if len(siblings) == 1 and part.owner.object_id in short else []
        phrases = [] if which is None else _phrases(f"{which} {part.noun}".strip(), owner, compound, is_only=len(siblings) == len(alike))
        if part.colour is not None and _is_only_of_colour(part, siblings):
            phrases += _phrases(f"{part.colour} {part.noun}", owner, [], is_only=_is_only_of_colour(part, alike))
        if phrases:
            found[part.name] = tuple(phrases)
    return found


def _phrases(phrase: str, owner: Sequence[str], compound: Sequence[str], *, is_only: bool) -> list[str]:
    """A phrase by itself, where it tells the part from those of other objects too, and with its object, where that is told from others."""
    if not is_only and not owner:
        return []
    return [*((phrase,) if is_only else ()), *compound, *(f"{phrase} of the {words}" for words in owner)]


def _is_only_of_colour(part: NamedPart, among: Sequence[NamedPart]) -> bool:
    return part.colour is not None and not any(other.may_be_called(part.colour) for other in among if other.name != part.name)


def _which(part: NamedPart, siblings: Sequence[NamedPart], to_viewer: Callable[[FloatArray], FloatArray]) -> str | None:
    """``top``, ``left`` and the like among parts of one object that share a noun; empty for the only one, ``None`` where none fits."""
    if len(siblings) == 1:
        return ""
    heights = {other.name: float(other.middle_m[2]) for other in siblings}
    leftwards = {other.name: float(to_viewer(other.middle_m[None, :2])[0, 1]) for other in siblings}
    return _rank(part.name, heights, "top", "bottom") or _rank(part.name, leftwards, "left", "right")


def _rank(name: str, places_m: Mapping[str, float], first: str, last: str) -> str | None:
    ordered = sorted(places_m, key=lambda key: -places_m[key])
    if len(ordered) not in _RANKS or np.diff([places_m[key] for key in ordered]).max() > -APART_M:
        return None
    return _RANKS[len(ordered)][ordered.index(name)].format(first=first, last=last)
