"""Tables show every value whole, on a narrow screen too, and take no value for markup."""

import io
from collections import Counter

import pytest
from rich.console import Console
from rich.text import Text

from blueprint_pipeline.cli import output
from blueprint_pipeline.cli.output import table

TITLE = "All [s] of it"
COLUMNS = ["stage", "wall [s]", "what to do"]
ROWS = [
    ["estimate_physics", 0.123456, "free space at /var/lib/blueprint-pipeline/workspace/scenes"],
    ["[bold]odd[/]", 1, Text("ok", "green")],
]


def draw(monkeypatch, width):
    screen = Console(file=io.StringIO(), width=width)
    monkeypatch.setattr(output, "console", screen)
    screen.print(table(TITLE, COLUMNS, ROWS))
    return screen.file.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_nothing_of_a_value_is_left_out(monkeypatch, width):
    """Every character of every cell is there, and no line is wider than the screen."""
    drawn = draw(monkeypatch, width)
    texts = [TITLE, *COLUMNS, *(str(cell) for row in ROWS for cell in row)]
    assert Counter(drawn) - Counter(" \n─" * len(drawn)) == Counter("".join(texts).replace(" ", ""))
    assert max(map(len, drawn.splitlines())) <= width


def test_a_table_without_rows_says_so(monkeypatch):
    """Nothing found is told from nothing shown."""
    screen = Console(file=io.StringIO(), width=80)
    monkeypatch.setattr(output, "console", screen)
    screen.print(table(TITLE, COLUMNS, []))
    assert screen.file.getvalue().rstrip().endswith("none")


def test_words_stay_whole_while_the_screen_has_room(monkeypatch):
    """At 80 columns only the long cell is broken."""
    drawn = draw(monkeypatch, 80)
    assert all(word in drawn for word in ("estimate_physics", "0.123456", "wall [s]", TITLE))
