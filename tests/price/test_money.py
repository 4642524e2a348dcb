"""A price that people read is never rounded to nothing."""

import pytest

from blueprint_pipeline.price.money import describe_usd, describe_usd_per_episode, format_usd


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        (0, "0.0000 USD"),
        (12345.678, "12,345.6780 USD"),
        (0.01, "0.0100 USD"),
        (0.00123, "0.0012 USD"),
        (0.0000421, "0.000042 USD"),
        (-0.0000421, "-0.000042 USD"),
        (1e-9, "0.0000000010 USD"),
    ],
)
def test_amounts_below_a_cent_keep_two_digits(amount, words):
    """Also where floats would be written with an exponent."""
    assert format_usd(amount) == words


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        (1234.5, "1,234.50 USD"),
        (1, "1.00 USD"),
        (0.999, "99.9 US cents"),
        (0.01, "1.0 US cents"),
        (0.0099, "less than 1 US cent"),
        (0, "nothing"),
    ],
)
def test_an_amount_is_said_in_the_unit_that_fits(amount, words):
    assert describe_usd(amount) == words


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        (2.5, "2.50 USD per kept episode"),
        (0.0099, "9.90 USD per 1,000 kept episodes"),
        (7.5913e-05, "7.6 US cents per 1,000 kept episodes"),
        (2e-9, "less than 1 US cent per 1,000,000 kept episodes"),
        (0, "nothing per kept episode"),
    ],
)
def test_a_small_cost_is_said_for_many_episodes(amount, words):
    assert describe_usd_per_episode(amount) == words
