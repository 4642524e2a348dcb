"""Files and functions stay small, names say what they are, and nothing prints or swallows."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILE_LINES, FUNCTION_LINES = 600, 80
VAGUE = {"utils", "util", "helpers", "helper", "common", "core", "misc", "shared", "base", "manager"}
ONLY_SETTINGS = {"include/blueprint_pipeline/settings.py"}


def sources():
    for folder in ("include/blueprint_pipeline", "operators", "plugins", "dags"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "__pycache__" not in path.parts and not path.stem.endswith(("_pb2", "_pb2_grpc")):
                yield path


def relative(path):
    return path.relative_to(ROOT).as_posix()


def test_files_are_short():
    assert {relative(path): n for path in sources() if (n := len(path.read_text().splitlines())) > FILE_LINES} == {}


def test_what_other_programs_say_may_be_any_bytes():
    """Text of a program is read with a rule for what is no UTF-8: one such byte must not end what was done well."""
    given = {
        f"{relative(path)}:{node.lineno}": {word.arg for word in node.keywords}
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    }
    texts = {where: words for where, words in given.items() if "text" in words and words & {"capture_output", "stdout"}}
    assert texts
    assert [where for where, words in texts.items() if "errors" not in words] == []


def test_functions_are_short():
    long = {
        f"{relative(path)}:{node.name}": length
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES
    }
    assert long == {}


def test_modules_are_named_for_what_they_hold():
    """No drawer for everything; names that can be imported."""
    wrong = [
        relative(p)
        for p in sources()
        if p.stem in VAGUE or not re.fullmatch(r"__init__|__main__|[a-z][a-z0-9_]*|[0-9a-f]{4,}_\w+|\d+_\w+", p.stem)
    ]
    assert wrong == []


def test_every_module_says_what_it_is():
    assert [relative(path) for path in sources() if not ast.get_docstring(ast.parse(path.read_text()))] == []


def test_environment_is_read_in_one_place():
    """A setting has one name, one default, one reader."""
    found = [
        relative(path)
        for path in sources()
        if re.search(r"os\.(environ|getenv)\b", path.read_text()) and relative(path) not in ONLY_SETTINGS
    ]
    assert found == []


@pytest.mark.parametrize("pattern", [r"except Exception\b", r"except:\s*$", r"\bTODO\b", r"\bFIXME\b", r"unittest\.mock"])
def test_nothing_is_swallowed_or_left_open(pattern):
    found = [
        f"{relative(path)}:{number}"
        for path in sources()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(pattern, line.split("#")[0]) and '"""' not in line
    ]
    assert found == []


def test_a_class_has_a_name_of_its_own():
    """One word, one thing: no two public classes of the domain share a name, and there is one loader of the plan."""
    places: dict[str, list[str]] = {}
    for path in sources():
        domain = path.is_relative_to(ROOT / "include")
        for node in ast.parse(path.read_text()).body if domain else ():
            is_class = isinstance(node, ast.ClassDef) and not node.name.startswith("_")
            if is_class or (isinstance(node, ast.FunctionDef) and node.name == "load_plan"):
                places.setdefault(node.name, []).append(relative(path))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
