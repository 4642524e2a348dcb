"""Licence and authors of every object, from the table of ``ATTRIBUTION.md``: a statement of people, so its origin is ``authored``.

The table's first column names the object (header ``object`` or ``id``); a column whose header begins with ``licence`` or
``license`` holds the licence, ``source`` and ``original`` say where it came from, ``changes`` (or ``what``) what was done to it.
"""

import re

from pydantic import BaseModel, ConfigDict

from blueprint_pipeline.origin import Origin

UNKNOWN = "unknown"

_SPDX = {
    "cc0": "CC0-1.0",
    "cc0 1.0": "CC0-1.0",
    "cc by 3.0": "CC-BY-3.0",
    "cc by 4.0": "CC-BY-4.0",
    "cc by-sa 4.0": "CC-BY-SA-4.0",
    "cc by-nc 4.0": "CC-BY-NC-4.0",
    "cc by-nc-sa 4.0": "CC-BY-NC-SA-4.0",
    "cc by-nd 4.0": "CC-BY-ND-4.0",
    "mit": "MIT",
    "apache 2.0": "Apache-2.0",
    "bsd 2 clause": "BSD-2-Clause",
    "bsd 3 clause": "BSD-3-Clause",
    "mpl 2.0": "MPL-2.0",
}


class Attribution(BaseModel):
    """What is stated about one object's licence."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    licence: str
    """SPDX id, or ``unknown``."""
    statement: str | None
    """The words of the table."""
    source: str | None
    author: str | None
    changes: str | None
    origin: Origin


UNSTATED = Attribution(licence=UNKNOWN, statement=None, source=None, author=None, changes=None, origin=Origin.ABSENT)


def parse_attribution(text: str | None) -> dict[str, Attribution]:
    """Rows of the first table of ``ATTRIBUTION.md`` by object id; empty without a table that has a licence column."""
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")] for line in (text or "").splitlines() if line.strip().startswith("|")
    ]
    found = {}
    for row in rows[2:]:  # below a header and its rule
        cells = dict(zip(map(str.lower, rows[0]), row, strict=False))
        statement = _column(cells, "licence", "license")
        if row and row[0] and statement is not None:
            found[row[0]] = Attribution(
                licence=spdx_id(statement),
                statement=statement,
                source=_column(cells, "source"),
                author=_column(cells, "original", "author"),
                changes=_column(cells, "changes", "what"),
                origin=Origin.AUTHORED,
            )
    return found


def spdx_id(statement: str) -> str:
    """SPDX id that a statement names, ``unknown`` if it names none.

    A remark in parentheses ("Apache-2.0 (package: MIT)") is not part of the licence of the work itself. A statement
    that names something else beside a known licence is unknown: a person must read it.
    """
    stated = re.sub(r"\([^)]*\)", "", statement).strip().rstrip(".")
    words = re.sub(r"\s+", " ", re.sub(r"[_\s-]+", " ", stated.lower())).strip()
    for name, spdx in _SPDX.items():
        if words in {re.sub(r"[\s-]+", " ", name), re.sub(r"[\s-]+", " ", spdx.lower())}:
            return spdx
    return UNKNOWN


def _column(cells: dict[str, str], *names: str) -> str | None:
    for header, value in cells.items():
        if header.startswith(names) and value not in {"", "-"}:
            return value
    return None
