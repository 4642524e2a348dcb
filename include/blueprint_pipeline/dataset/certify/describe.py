"""What is certified and what is not, in the same words for the screen, Slack and the lab."""

from collections.abc import Collection, Sequence
from typing import get_args

from blueprint_pipeline.dataset.certify.report import CertificationReport, Status

_READERS = {"twin": "readers of v2.1", "oldest": "the oldest readers", "grader": "public graders", "graders": "public graders"}
"""Families of checks, by the first part of their names, whose name does not say who looks."""


def describe_certification(*, certified: bool, passed: Collection[str], failed: Sequence[str], not_run: Sequence[str]) -> str:
    """One line: certified or not; which checks failed, and which programs did not run.

    >>> describe_certification(certified=True, passed=["structure", "lerobot.loads"], failed=[], not_run=[])
    'certified: all 2 checks passed'
    >>> describe_certification(certified=False, passed=["a.b"], failed=["grader.rdq"], not_run=["lerobot.loads", "lerobot.items_load"])
    'not certified: of 4 checks 1 failed (grader.rdq), 2 did not run (lerobot), 1 passed'
    """
    if certified and not failed and not not_run:
        return f"certified: all {len(passed)} checks passed"
    programs = dict.fromkeys(_READERS.get(family, family) for family in (name.partition(".")[0] for name in not_run))
    parts = [
        *([f"{len(failed)} failed ({', '.join(failed)})"] if failed else []),
        *([f"{len(not_run)} did not run ({', '.join(programs)})"] if not_run else []),
        f"{len(passed)} passed",
    ]
    checks = len(failed) + len(not_run) + len(passed)
    return f"{'certified' if certified else 'not certified'}: of {checks} checks {', '.join(parts)}"


def describe_report(report: CertificationReport) -> str:
    """The same of a whole report."""
    return describe_certification(certified=report.certified, **{status: report.with_status(status) for status in get_args(Status)})
