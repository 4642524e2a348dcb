"""Rows of the tests' own, for as long as a test runs."""

from contextlib import contextmanager


@contextmanager
def with_row(rows, row):
    """Add a row, in the place of one of the same name if there is one; afterwards everything is as it was."""
    before = dict(rows)
    if row.name in rows:
        rows.remove(row.name)
    rows.add(row)
    try:
        yield row
    finally:
        for name in list(rows):
            rows.remove(name)
        for known in before.values():
            rows.add(known)
