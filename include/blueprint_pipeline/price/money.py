"""Amounts of money for people to read."""

from decimal import Decimal

_CENT = Decimal("0.01")
_BATCHES = (1, 1_000, 1_000_000)
"""Numbers of episodes whose cost is said; the first that costs a cent or more."""


def format_usd(amount: Decimal | float) -> str:
    """US dollars with four decimals, and for less than a cent with two significant digits: a price is never shown as zero.

    >>> format_usd(1.5), format_usd(0.0000421), format_usd(0)
    ('1.5000 USD', '0.000042 USD', '0.0000 USD')
    """
    exact = Decimal(str(amount))
    decimals = 4 if exact == 0 or abs(exact) >= _CENT else 1 - exact.adjusted()
    return f"{exact:,.{decimals}f} USD"


def describe_usd(amount: Decimal | float) -> str:
    """An amount as people say it.

    >>> describe_usd(1234.5), describe_usd(0.042), describe_usd(0.0018), describe_usd(0)
    ('1,234.50 USD', '4.2 US cents', 'less than 1 US cent', 'nothing')
    """
    exact = Decimal(str(amount))
    if exact >= 1:
        return f"{exact:,.2f} USD"
    if exact >= _CENT:
        return f"{exact * 100:.1f} US cents"
    return "less than 1 US cent" if exact > 0 else "nothing"


def describe_usd_per_episode(amount: Decimal | float) -> str:
    """What a kept episode costs, for as many episodes as make at least a cent.

    >>> describe_usd_per_episode(0.31), describe_usd_per_episode(7.5913e-05), describe_usd_per_episode(0)
    ('31.0 US cents per kept episode', '7.6 US cents per 1,000 kept episodes', 'nothing per kept episode')
    """
    exact = Decimal(str(amount))
    batch = next((number for number in _BATCHES if exact == 0 or exact * number >= _CENT), _BATCHES[-1])
    return f"{describe_usd(exact * batch)} per {'kept episode' if batch == 1 else f'{batch:,} kept episodes'}"
