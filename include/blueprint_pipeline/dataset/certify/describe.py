"""What is certified and what is not, in the same words for the screen, Slack and the lab."""

from collections.abc import Collection, Sequence

_NAMED = 4
"""More names than these are counted."""


def describe_certification(*, certified: bool, passed: Collection[str], failed: Sequence[str], not_run: Sequence[str]) -> str:
    """One line: certified or not, and which checks failed or did not run.

    >>> describe_certification(certified=True, passed=["structure", "lerobot"], failed=[], not_run=[])
    'certified: all 2 checks passed'
    >>> describe_certification(certified=False, passed=["structure"], failed=["rdq"], not_run=["lerobot"])
    'not certified: 1 check failed (rdq); 1 check did not run (lerobot); 1 check passed'
    """
    if certified and not failed and not not_run:
        return f"certified: all {len(passed)} checks passed"
    parts = [f"{_count(names)} {verb} ({_names(names)})" for verb, names in (("failed", failed), ("did not run", not_run)) if names]
    return f"{'certified' if certified else 'not certified'}: {'; '.join([*parts, f'{_count(passed)} passed'])}"


def _count(names: Collection[str]) -> str:
    return f"{len(names)} {'check' if len(names) == 1 else 'checks'}"


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED} more"
