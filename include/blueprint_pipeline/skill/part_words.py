"""What to call a part that opens: ``top drawer``, ``left door of the cabinet``; by rule, true in the scene camera's picture.

Which one is the top or the left one is measured, never taken from how its author named it: directions are those of the picture.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.skill.instruction import NamedObject, noun_phrases, phrases_of

NOUNS = ("drawer", "door", "lid", "flap", "hatch", "gate", "cover", "tray", "shutter")
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
    """

    name: str
    owner: NamedObject
    middle_m: FloatArray

    @property
    def noun(self) -> str:
        """``drawer``, by the words of the part's name; without any that is known, its last word."""
        words: list[str] = re.findall(r"[a-z]+", self.name.rpartition("/")[2].lower())
        return next((word for word in words if word in NOUNS), words[-1])


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
        which = _which(part, siblings, to_viewer)
        if which is None:
            continue
        phrase, is_only = f"{which} {part.noun}".strip(), len(siblings) == len(alike)
        owner = told[part.owner.object_id]
        if not is_only and not owner:
            continue
        of_owner = [f"{phrase} of the {words}" for words in owner]
        compound = [f"{short[part.owner.object_id]} {part.noun}"] if len(siblings) == 1 and part.owner.object_id in short else []
        found[part.name] = (*((phrase,) if is_only else ()), *compound, *of_owner)
    return found


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
