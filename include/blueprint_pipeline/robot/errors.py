"""What can be wrong with a robot."""

from collections.abc import Sequence

from blueprint_pipeline.errors import InternalError


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
