"""A price that people read is never rounded to nothing."""

import pytest

from blueprint_pipeline.price.money import format_usd


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
