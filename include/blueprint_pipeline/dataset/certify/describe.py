"""What is certified and what is not, in the same words for the screen, Slack and the lab."""

from collections.abc import Collection, Sequence


def describe_certification(*, certified: bool, passed: Collection[str], failed: Sequence[str], not_run: Sequence[str]) -> str:
    """One line: certified or not; which checks failed, and which programs did not run.

    >>> describe_certification(certified=True, passed=["structure", "lerobot.loads"], failed=[], not_run=[])
    'certified: all 2 checks passed'
    >>> describe_certification(certified=False, passed=["a.b"], failed=["grader.rdq"], not_run=["lerobot.loads", "lerobot.items_load"])
    'not certified: 1 failed (grader.rdq), 2 did not run (lerobot), 1 passed'
    """
    if certified and not failed and not not_run:
        return f"certified: all {len(passed)} checks passed"
    programs = dict.fromkeys(name.partition(".")[0] for name in not_run)
    parts = [
        *([f"{len(failed)} failed ({', '.join(failed)})"] if failed else []),
        *([f"{len(not_run)} did not run ({', '.join(programs)})"] if not_run else []),
        f"{len(passed)} passed",
    ]
    return f"{'certified' if certified else 'not certified'}: {', '.join(parts)}"
