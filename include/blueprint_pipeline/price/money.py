"""Amounts of money for people to read."""

from decimal import Decimal


def format_usd(amount: Decimal | float) -> str:
    """US dollars with four decimals, and for less than a cent with two significant digits: a price is never shown as zero.

    >>> format_usd(1.5), format_usd(0.0000421), format_usd(0)
    ('1.5000 USD', '0.000042 USD', '0.0000 USD')
    """
    exact = Decimal(str(amount))
    smallest = Decimal("0.01")
    decimals = 4 if exact == 0 or abs(exact) >= smallest else 1 - exact.adjusted()
    return f"{exact:,.{decimals}f} USD"
