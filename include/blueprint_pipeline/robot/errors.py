"""What can be wrong with a robot.

::

    ConfigurationError
    ├── UnknownRobot      robot.unknown      no record of that name
    └── UnsupportedRobot  robot.unsupported  a record, but no model that could act
    InternalError
    └── BrokenEmbodiment  robot.broken_record  the record and its model do not agree
"""

from collections.abc import Sequence

from blueprint_pipeline.errors import ConfigurationError, InternalError


class UnknownRobot(ConfigurationError):
    """No embodiment of that name or alias."""

    code = "robot.unknown"

    def __init__(self, name: str, available: Sequence[str]) -> None:
        super().__init__(f"There is no robot '{name}'. Known robots: {', '.join(available)}.", name=name, available=list(available))


class UnsupportedRobot(ConfigurationError):
    """The robot is known, and it cannot act here."""

    code = "robot.unsupported"

    def __init__(self, name: str, reason: str, supported: Sequence[str]) -> None:
        super().__init__(
            f"The robot '{name}' is not supported: {reason}. Choose one of: {', '.join(supported)}.",
            name=name,
            reason=reason,
            supported=list(supported),
        )


class BrokenEmbodiment(InternalError):
    """The embodiment's record names something that its model lacks."""

    code = "robot.broken_record"

    def __init__(self, name: str, kind: str, expected: str, found: Sequence[str]) -> None:
        super().__init__(
            f"The embodiment '{name}' names the {kind} '{expected}', which its model lacks. The model has: {', '.join(found)}.",
            name=name,
            kind=kind,
            expected=expected,
        )
