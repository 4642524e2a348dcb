"""The base of what can be wrong with a scene."""

from collections.abc import Sequence

from blueprint_pipeline.errors import InputError


class SceneError(InputError):
    """A reconstructed scene cannot be taken in as it is.

    Attributes:
        where: The object or file that is meant.
    """

    code = "scene.invalid"

    def __init__(self, message: str, where: str, **facts: object) -> None:
        super().__init__(message, where=where, **facts)
        self.where = where

    def mention_others(self, others: Sequence[str]) -> None:
        """Add the other findings of the same scene, briefly, to the message."""
        if others:
            self.message += f" Also found: {'; '.join(others)}."
            self.facts["others"] = list(others)
