"""What movable objects stand on: the heights of each support, a tier each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from blueprint_pipeline.job.start_states import StartStates
from blueprint_pipeline.job.task_scene import TaskScene
from blueprint_pipeline.twin.footprint import Footprint

TIER_M = 0.03
"""Objects whose undersides differ by no more than this stand on one tier of their support."""
_FLOOR = "world"


@dataclass(frozen=True, kw_only=True)
class Tier:
    """Objects that stand at one height on one support."""

    support: str
    prints: Mapping[str, Footprint]
    """Of each object in the settled scene."""

    @property
    def height_m(self) -> float:
        """Where they stand."""
        return round(float(np.median([item.bottom_m for item in self.prints.values()])), 4)


def find_tiers(scene: TaskScene, starts: StartStates) -> list[Tier]:
    """What movable objects stand on, by the number of objects, then by name and height. The floor is out of an arm's reach."""
    by_support: dict[str, dict[str, Footprint]] = {}
    state = starts.settled_state(sorted(starts.supports))
    for name, support in sorted(starts.supports.items()):
        if support not in scene.poses and support != _FLOOR:
            by_support.setdefault(support, {})[name] = state.footprints[name]
    tiers = [Tier(support=support, prints=prints) for support, found in by_support.items() for prints in group_by_height(found)]
    return sorted(tiers, key=lambda tier: (-len(tier.prints), tier.support, tier.height_m))


def group_by_height(prints: Mapping[str, Footprint]) -> Iterator[dict[str, Footprint]]:
    """Objects in groups of one height, lowest first."""
    group: dict[str, Footprint] = {}
    for name in sorted(prints, key=lambda item: prints[item].bottom_m):
        if group and prints[name].bottom_m - max(item.bottom_m for item in group.values()) > TIER_M:
            yield group
            group = {}
        group[name] = prints[name]
    yield group


def find_elsewhere(tier: Tier | None, scene: TaskScene, starts: StartStates) -> dict[str, str]:
    """Why the movable objects that do not stand on the tier, and those that were set aside, are no targets."""
    reasons = {**scene.set_aside, **{name: "it stands on nothing" for name in scene.poses if name not in starts.supports}}
    if tier is None:
        return reasons | {name: f"it stands on {_named(below)}" for name, below in starts.supports.items()}
    for name, below in starts.supports.items():
        if below != tier.support:
            reasons[name] = f"it stands on {_named(below)}, not on {_named(tier.support)}"
        elif name not in tier.prints:
            reasons[name] = f"it stands on another tier of '{below}'"
    return reasons


def _named(support: str) -> str:
    return "the floor, out of the arm's reach" if support == _FLOOR else f"'{support}'"
