# ruff: noqa: INP001 -- programs of the pipeline, no package
"""Count skipped tests, and fail on one that should have run: ``count_skips.py REPORT.xml``.

A skip is allowed where ``allowed_skips.yaml`` names its test and its reason, unless what the test needs is there: a rule with
``unless`` names a path, relative to the repository, that takes the excuse away.
"""

import re
import sys
from pathlib import Path

import yaml
from defusedxml import ElementTree


def find_skips(report: Path) -> list[tuple[str, str]]:
    """``(test, reason)`` of every skipped test of a JUnit report."""
    cases = ElementTree.parse(report).getroot().iter("testcase")
    return [
        (f"{case.get('classname')}::{case.get('name')}", str(skipped.get("message") or skipped.text or ""))
        for case in cases
        for skipped in case.findall("skipped")
    ]


def main(arguments: list[str]) -> int:
    """Print the skips; 1 if one of them is not allowed."""
    folder = Path(__file__).resolve().parent
    rules = yaml.safe_load((folder / "allowed_skips.yaml").read_text(encoding="utf-8"))["allowed"]
    rules = [rule for rule in rules if not ("unless" in rule and (folder.parent / rule["unless"]).exists())]
    skips = find_skips(Path(arguments[0]))
    wrong = [(test, why) for test, why in skips if not any(re.search(r["test"], test) and re.search(r["reason"], why) for r in rules)]
    for test, why in skips:
        mark = "NOT ALLOWED" if (test, why) in wrong else "allowed"
        sys.stdout.write(f"skipped ({mark}): {test}: {why}\n")
    sys.stdout.write(f"{len(skips)} tests skipped, {len(wrong)} of them should have run\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
