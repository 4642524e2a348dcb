"""Every recipe of ``docs/extending.md`` is followed to the letter in a copy of the repository, and does what the page says."""

import ast
import os
import re
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
COPIED = ("include", "operators", "plugins", "dags", "tests/resources/scenes/minimal_ok", "airflow_settings.yaml")
BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>\w+)\n(?P<text>.*?)^ *```", re.MULTILINE | re.DOTALL)
WRITE = re.compile(r"Write `(?P<path>[^`]+)`:$")
ADD = re.compile(r"Add (?:to the end of|after `(?P<after>\w+)` to) `(?P<name>\w+)` in `(?P<path>[^`]+)`:$")


@dataclass(frozen=True)
class Block:
    """One code block, and the line that stands before it."""

    introduction: str
    language: str
    text: str


def recipes():
    """The blocks of each section of the page, by its heading."""
    found = {}
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        heading, _, body = section.partition("\n")
        found[heading] = [
            Block(
                introduction=body[: match.start()].rstrip().rpartition("\n")[2].strip(),
                language=match["language"],
                text=textwrap.dedent(match["text"]),
            )
            for match in BLOCK.finditer(body)
        ]
    return found


def table_of(tree, name):
    """The value of an assignment: a tuple, a list, a dictionary, or a call that takes rows."""
    for node in ast.walk(tree):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return node.value
    raise AssertionError(f"there is no {name}")


def name_of_row(row):
    """What a row calls itself."""
    if isinstance(row, ast.Constant):
        return row.value
    return next((word.value.value for word in row.keywords if word.arg == "name"), None)


def add_row(source, name, after, row):
    """The source with a row more in a table: at its end, or after another row."""
    table = table_of(ast.parse(source), name)
    rows = table.keys if isinstance(table, ast.Dict) else table.args if isinstance(table, ast.Call) else table.elts
    ends = table.values if isinstance(table, ast.Dict) else rows
    line = table.end_lineno - 1
    if after is not None:
        line = next(end.end_lineno for entry, end in zip(rows, ends, strict=True) if name_of_row(entry) == after)
    lines = source.splitlines(keepends=True)
    return "".join([*lines[:line], textwrap.indent(row.rstrip().rstrip(",") + ",\n", "    "), *lines[line:]])


class Checkout:
    """A copy of the repository, with a workspace of its own."""

    def __init__(self, folder):
        self.root = folder / "checkout"
        for name in COPIED:
            source, target = ROOT / name, self.root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("BPP__", "PYTEST"))}
        self.environment = {
            **kept,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": f"{self.root / 'include'}:{self.root}",
            "AIRFLOW_HOME": str(folder / "airflow"),
            "BPP__COMPUTE__WORKERS": "1",
            "COLUMNS": "200",
        }

    def follow(self, block):
        """Do what a block says; what a command printed, otherwise nothing."""
        if written := WRITE.search(block.introduction):
            path = self.root / written["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif added := ADD.search(block.introduction):
            path = self.root / added["path"]
            path.write_text(add_row(path.read_text(encoding="utf-8"), added["name"], added["after"], block.text), encoding="utf-8")
        elif block.language == "bash":
            return self._run(block.text)
        else:
            raise AssertionError(f"the page does not say what to do with the block after: {block.introduction!r}")
        return ""

    def _run(self, script):
        ended = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script], cwd=self.root, env=self.environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, f"{script}\n{ended.stdout}{ended.stderr}"
        return ended.stdout


@pytest.mark.parametrize("heading", recipes())
def test_the_recipe_works_as_printed(heading, tmp_path):
    """Files and rows as the page has them, its commands, and every line that it says they print."""
    checkout, printed = Checkout(tmp_path), ""
    blocks = recipes()[heading]
    assert any(block.language == "bash" for block in blocks)
    for block in blocks:
        if block.language == "text":
            assert [line for line in block.text.splitlines() if line not in printed] == [], printed
        else:
            printed = checkout.follow(block)


def test_rows_go_where_the_page_says():
    """At the end, or after a row of a name; in tuples, dictionaries and calls."""
    source = 'A = (\n    Row(name="x"),\n    Row(name="y"),\n)\nB: dict[str, str] = {\n    "x": "1",\n}\n'
    source += 'C = Rows(\n    "kind",\n    Row(name="x"),\n)\n'
    assert '"y"),\n    new,\n)\nB' in add_row(source, "A", None, "new\n")
    assert '"x"),\n    new,\n    Row(name="y")' in add_row(source, "A", "x", "new,\n")
    assert '"1",\n    "n": "2",\n}' in add_row(source, "B", None, '"n": "2"\n')
    assert add_row(source, "C", None, "new\n").endswith('Row(name="x"),\n    new,\n)\n')
