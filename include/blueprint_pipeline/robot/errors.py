"""What can be wrong with a robot."""

from collections.abc import Sequence

from blueprint_pipeline.errors import InternalError


class BrokenEmbodiment(InternalError):
    """The embodiment's record names something that its model lacks."""

    code = "robot.broken_record"
    template = "The embodiment '{name}' names the {kind} '{expected}', which its model lacks. The model has: {found}."

    name: str
    kind: str
    expected: str
    found: Sequence[str]
