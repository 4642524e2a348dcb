"""A pod's log, read in pieces that overlap as the API's do: every line once."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from plugins.providers.kubernetes.pod_logs import LogCursor, read_on

START = datetime(2026, 11, 23, 8, tzinfo=UTC)


def stamp(nanoseconds):
    """As Kubernetes writes it: trailing zeros of the fraction left out."""
    whole, fraction = divmod(nanoseconds, 10**9)
    text = (START + timedelta(seconds=whole)).strftime("%Y-%m-%dT%H:%M:%S")
    digits = f"{fraction:09d}".rstrip("0")
    return f"{text}.{digits}Z" if digits else f"{text}Z"


def since(lines, cursor):
    """What the API gives from a whole second on."""
    start = "" if cursor.since_time is None else cursor.since_time.strftime("%Y-%m-%dT%H:%M:%S")
    return [line for line in lines if line[:19] >= start[:19]]


@given(st.lists(st.integers(0, 5 * 10**9).map(lambda n: n - n % 5 * 10**8), max_size=60), st.lists(st.integers(0, 60), max_size=8))
def test_every_line_once_wherever_the_stream_is_cut(times, cuts):
    """Also lines of the same instant, and an instant that the cut falls into."""
    lines = [f"{stamp(time)} line {number}" for number, time in enumerate(sorted(times))]
    cursor, seen = LogCursor(), []
    for end in [*sorted(cuts), len(lines)]:
        fresh, cursor = read_on(cursor, since(lines[:end], cursor))
        seen += fresh
    assert seen == [line.partition(" ")[2] for line in lines]


def test_pieces_of_lines_are_left_out():
    """What the API cut at its limit comes whole with the next look."""
    fresh, cursor = read_on(LogCursor(), ['rest of a line"}', f"{stamp(10)} whole"])
    assert (fresh, cursor.same) == (["whole"], 1)
