"""From where a kit's tasks begin, and what of a motion decides whether they were done."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .predicates import Condition, ObservedMotion, parse_conditions
from .variation import check_variation
from .world import KitNotUsable, Vector, World

STARTS = "starts.json"


@dataclass(frozen=True, kw_only=True)
class Start:
    """A start state with a task in it."""

    start_id: str
    """Of a delivered episode: its id."""
    delivered: bool
    """Whether the dataset has a demonstration from here; the others are held out."""
    task: dict[str, Any]
    """As in the episode's record: ``task_type``, ``instruction``, ``paraphrases``, ``target_object``, ``support_object`` and more."""
    arm: str
    """Name of the arm that acts."""
    conditions: tuple[Condition, ...]
    """All hold where the task was done."""
    variation: dict[str, Any]
    """How the scene differs in this try: see :mod:`.variation`."""
    integration_state: Vector
    """MuJoCo's."""

    @property
    def instruction(self) -> str:
        """The sentence."""
        return str(self.task["instruction"])


def load_starts(folder: Path) -> dict[str, Start]:
    """Every start of a kit, by id.

    Raises:
        KitNotUsable: The file is damaged, or a variation in it is none.
    """
    try:
        rows = json.loads((folder / STARTS).read_text(encoding="utf-8"))
        starts = [
            Start(**row | {"conditions": parse_conditions(row["conditions"]), "integration_state": np.array(row["integration_state"])})
            for row in rows
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise KitNotUsable(f"{STARTS} is damaged, or of another release ({error!r}). Get the bundle again.") from None
    for start in starts:
        if (wrong := check_variation(start.variation)) is not None:
            raise KitNotUsable(f"{STARTS}: the variation of start '{start.start_id}' cannot be used: {wrong}. Get the bundle again.")
    return {start.start_id: start for start in starts}


class Recorder:
    """Observes a motion frame by frame.

    Args:
        world: In its start state.
        start: Says what is observed.
    """

    def __init__(self, world: World, start: Start) -> None:
        self._world = world
        self._arm = next(arm for arm in world.arms if arm.name == start.arm)
        self._names = (start.task["target_object"], start.task["support_object"])
        self._contacts: list[frozenset[str]] = []
        self._poses: list[Vector] = []
        self._widths_m: list[float] = []
        self._see()

    def add(self, contacts: frozenset[str]) -> None:
        """Observe the state after a frame, and what touched during it."""
        self._contacts.append(contacts)
        self._see()

    def motion(self) -> ObservedMotion:
        """All that was seen so far."""
        poses, names = np.array(self._poses), self._world.object_ids
        target, support = self._names
        return ObservedMotion(
            target_poses=poses[:, names.index(target)],
            support_poses=poses[:, names.index(support)] if support in names else None,
            gripper_width_m=np.array(self._widths_m),
            contacts=(*self._contacts, frozenset()),
            fps=self._world.fps,
        )

    def _see(self) -> None:
        self._poses.append(self._world.object_poses())
        self._widths_m.append(self._arm.width_m(self._world.data.qpos))
