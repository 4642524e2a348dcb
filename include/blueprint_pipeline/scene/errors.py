"""The base of what can be wrong with a scene."""

from collections.abc import Sequence
from dataclasses import field, fields

from blueprint_pipeline.errors import InputError


class SceneError(InputError):
    """A reconstructed scene cannot be ingested as it is.

    The first fact of every class names the object or the file that is wrong.
    """

    code = "scene.invalid"

    others: Sequence[str] = field(default=(), init=False)
    """Other findings of the same scene, briefly: the message names them too."""
    found_in: str = field(default="", init=False)
    """Where the scene came from, if that is known: files are named as they lie in it."""

    @property
    def where(self) -> str:
        """The object or the file that is wrong."""
        return str(getattr(self, next(item.name for item in fields(self) if item.init)))

    @property
    def message(self) -> str:
        """What is wrong, what else is, and with which scene."""
        also = f" Also found: {'; '.join(self.others)}." if self.others else ""
        return super().message + also + (f" Source: {self.found_in}." if self.found_in else "")

    @property
    def facts(self) -> dict[str, object]:
        """The facts, and which object or file they are about."""
        return {**super().facts, "where": self.where}
