"""The picture of the rooms is drawn from the code, and is up to date."""

from pathlib import Path

from architecture.picture import build_rows, draw
from architecture.rooms import ROOMS

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "images" / "architecture.svg"


def test_the_picture_in_the_docs_is_the_one_of_this_code():
    """`make architecture` draws it."""
    assert PICTURE.read_text(encoding="utf-8") == draw(build_rows())


def test_rows_hold_the_imports_between_rooms():
    """Each row has the rooms that it imports, all of them before it, and never itself."""
    rows = build_rows()
    assert [row.name for row in rows] == list(ROOMS)
    assert all(place < number for number, row in enumerate(rows) for place in row.uses)
    delivery = rows[ROOMS.index("delivery")]
    assert ROOMS.index("dataset") in delivery.uses
    assert sum(len(row.uses) for row in rows) > len(rows)


def test_every_import_is_one_dot():
    rows = build_rows()
    assert draw(rows).count('r="5"') == sum(len(row.uses) for row in rows)
