"""A robot is one folder and one record: nothing outside of it knows a maker's name or figure."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
RECORDS = ROOT / "include/blueprint_pipeline/robot"
DEFAULT = RECORDS / "names.py"
"""The one line that says which robot acts where nobody chooses."""
FOLDERS = ("include", "operators", "plugins", "dags")
MAKERS = re.compile(r"franka|\bpanda\b|\bur10|robotiq|\b2f85\b|agibot_g2|omnipicker", re.IGNORECASE)


def code_files() -> list[Path]:
    found = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*")) if path.suffix in {".py", ".yaml", ".toml", ".j2"}]
    robots = {path.parent for path in RECORDS.glob("*/embodiment.yaml")}
    return [path for path in found if "__pycache__" not in path.parts and not robots & set(path.parents)]


def test_no_robot_is_named_outside_its_folder() -> None:
    named = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in code_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if MAKERS.search(line) and path != DEFAULT
    ]
    assert named == []
    assert len(MAKERS.findall(DEFAULT.read_text(encoding="utf-8"))) == 1


@pytest.mark.parametrize("record", sorted(RECORDS.glob("*/embodiment.yaml")), ids=lambda path: path.parent.name)
def test_a_robots_folder_holds_all_that_it_needs(record: Path) -> None:
    """Model, provenance and the text of every licence; of one that cannot act nothing but the record."""
    facts = yaml.safe_load(record.read_text(encoding="utf-8"))
    assert facts["name"] == record.parent.name
    if facts["support"]["status"] == "unsupported":
        assert [path.name for path in record.parent.iterdir()] == [record.name]
        return
    assert (record.parent / facts["mjcf"]).is_file()
    assert facts["licences"]
    for licence in facts["licences"]:
        assert (record.parent / licence["attribution_file"]).is_file()
    assert len(list(record.parent.glob("LICENSE*"))) == len({licence["spdx"] for licence in facts["licences"]})
