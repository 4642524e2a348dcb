"""What is said of how a task ended."""

import pytest

from blueprint_pipeline.task.outcome import PredicateCheck, describe_tightest, share_of_limit


def at_most(name, value, limit, unit):
    return PredicateCheck(name=name, held=True, value=value, limit=limit, direction="at_most", unit=unit)


def at_least(name, value, limit, unit):
    return PredicateCheck(name=name, held=True, value=value, limit=limit, direction="at_least", unit=unit)


LOOSE = at_most("on_support", 1.5e-5, 0.02, "m")


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ([at_least("lifted", 0.0998, 0.05, "m")], "lifted 0.0998 m, at least 0.05"),
        ([at_least("lifted", 0.0998, 0.05, "m"), at_most("upright", 0.2, 0.26, "rad")], "upright 0.2 rad, at most 0.26"),
        ([at_least("lifted", 0.0998, 0.05, "m"), at_least("in_region", 0.003, 0.0, "m")], "in_region 0.003 m, at least 0"),
        ([at_least("lifted", 0.0998, 0.05, "m"), at_least("in_region", 0.3, 0.0, "m")], "lifted 0.0998 m, at least 0.05"),
    ],
)
def test_the_tightest_condition_used_up_most_of_its_limit(others, said):
    """A value of next to nothing under its limit is not tight, whatever the limit of the others is."""
    assert describe_tightest([LOOSE, *others]) == describe_tightest([*others, LOOSE]) == said
    assert describe_tightest([]) == ""


def test_a_share_is_1_at_the_limit_and_more_beyond():
    assert share_of_limit(0.02, 0.02, "at_most") == share_of_limit(0.05, 0.05, "at_least") == 1.0
    assert share_of_limit(0.04, 0.02, "at_most") == 2.0
    assert share_of_limit(0.0, 0.05, "at_least") is None
    assert share_of_limit(1.0, 0.0, "at_most") is None
