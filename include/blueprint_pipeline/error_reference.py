"""The reference of all error codes, made from the classes: ``make docs`` writes it, from a checkout with Airflow."""

import sys
from collections import defaultdict
from importlib import import_module
from pkgutil import walk_packages

from blueprint_pipeline.errors import BlueprintError, error_classes

HEADER = """# Error codes

Made from the classes by `make docs`. Every error has a stable code, an exit status, and says whether a retry can help.
A stage that fails prints the code, what was found, what was expected and what to do; in Airflow the same words stand in the
task's log and in the Slack message. Retryable errors are retried by Airflow on their own; the others need a person.

What the exit code of a job (`bpp job run`, in a pod or as a process) means:

| exit code | ending | what Airflow does |
|---|---|---|
| 0 | done | takes the results from the job's record |
| 64 to 74, 76 to 78 | permanent | fails the task: a person is needed |
| 75 | retry | tries again after a pause, which counts |
| 137, 143 | preempted | continues at once, which does not count; 137 for lack of memory (pod: `OOMKilled`; process: always) counts |
| all others | defect | tries again after a pause, which counts |
"""


PACKAGES = ("blueprint_pipeline", "operators", "plugins")


def load_all_modules() -> None:
    """Import every module of the checkout, so that every error class exists.

    Modules that run inside of another environment (``dataset/certify/in_*``) or as a script are left out.
    """
    for package in PACKAGES:
        for found in walk_packages(import_module(package).__path__, f"{package}."):
            last = found.name.rsplit(".", 1)[-1]
            if not last.startswith("in_") and last not in {"__main__", "env"} and ".migrations." not in found.name:
                import_module(found.name)


def our_error_classes() -> list[type[BlueprintError]]:
    """Every error class of the checkout, in order of code."""
    load_all_modules()
    return [cls for cls in error_classes() if cls.__module__.partition(".")[0] in PACKAGES]


def render_reference() -> str:
    """All codes as Markdown, by noun."""
    nouns: defaultdict[str, list[type[BlueprintError]]] = defaultdict(list)
    for cls in our_error_classes():
        nouns[cls.code.split(".")[0]].append(cls)
    parts = [HEADER]
    for noun in sorted(nouns):
        parts.append(f"\n## {noun}\n\n| code | exit | retry | what it means |\n|---|---|---|---|\n")
        parts += [f"| `{cls.code}` | {cls.exit_code} | {'yes' if cls.retryable else 'no'} | {_first_line(cls)} |\n" for cls in nouns[noun]]
    return "".join(parts)


def _first_line(cls: type[BlueprintError]) -> str:
    return (cls.__doc__ or "").strip().splitlines()[0]


if __name__ == "__main__":
    sys.stdout.write(render_reference())
