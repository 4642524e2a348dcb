"""Draws the rooms and the imports between them: ``python -m architecture.picture > docs/images/architecture.svg``.

Every room is a row and a column. A dot says that the room of the row imports the room of the column. Rooms stand in their
order, so all dots lie left of the diagonal: nothing imports what stands after it.

Source: Steward, "The Design Structure System", IEEE Transactions on Engineering Management 28 (1981): the matrix.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from architecture.rooms import EPISODE_WAY, ROOMS, imports, purpose

TEMPLATE = Path(__file__).with_name("rooms.svg.j2")
CELL = 22
"""Side of a cell of the matrix [px]."""
LEFT = 800
"""Where the matrix begins [px]: names and purposes stand left of it."""
TOP = 130
"""Where the first row begins [px]: the columns' names stand above it."""


@dataclass(frozen=True)
class Row:
    """One room, as it is drawn."""

    name: str
    purpose: str
    uses: tuple[int, ...]
    """Places in the order of the rooms that it imports."""
    step: int | None
    """Which step of an episode's way it is, from 1; ``None`` where an episode does not pass."""


def build_rows() -> list[Row]:
    """The rooms in their order, with what each imports."""
    used: dict[str, set[int]] = {room: set() for room in ROOMS}
    for item in imports():
        importer, imported = item.importer.split("/")[0], item.imported.split(".")[0]
        if importer in used and imported in used and importer != imported:
            used[importer].add(ROOMS.index(imported))
    return [
        Row(
            name=room,
            purpose=purpose(room),
            uses=tuple(sorted(used[room])),
            step=EPISODE_WAY.index(room) + 1 if room in EPISODE_WAY else None,
        )
        for room in ROOMS
    ]


def draw(rows: list[Row]) -> str:
    """The picture, as SVG."""
    environment = Environment(undefined=StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(rows=rows, cell=CELL, left=LEFT, top=TOP) + "\n"


if __name__ == "__main__":
    sys.stdout.write(draw(build_rows()))
