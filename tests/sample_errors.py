"""Errors that tests raise where a kind of error matters and its words do not."""

from blueprint_pipeline.errors import GateError, InputError, TransientError


class BadInput(InputError):
    """Wrong data."""

    code = "sample.bad_input"
    template = "{problem}"

    problem: str
    at: object = None


class NotGoodEnough(GateError):
    """A result below the bar."""

    code = "sample.not_good_enough"
    template = "{problem}"

    problem: str


class Unavailable(TransientError):
    """Something that comes back."""

    code = "sample.unavailable"
    template = "{problem}"

    problem: str
