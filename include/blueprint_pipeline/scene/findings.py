"""What a check found: an error that blocks, or a remark that does not."""

from collections.abc import Sequence
from dataclasses import dataclass

from blueprint_pipeline.scene.errors import SceneError


@dataclass(frozen=True)
class SceneFinding:
    """One finding of a check.

    Attributes:
        code: Stable code, ``scene.what``.
        where: The object or file that is meant.
        message: What was found, what was expected, what to do.
        error: The error that a stage raises for it; ``None`` for a remark that does not block.
    """

    code: str
    where: str
    message: str
    error: SceneError | None = None

    @property
    def blocking(self) -> bool:
        """Whether the scene cannot be ingested because of it."""
        return self.error is not None

    def as_dict(self) -> dict[str, object]:
        """The finding as JSON-compatible data."""
        return {"code": self.code, "where": self.where, "message": self.message, "blocking": self.blocking}


def finding_of(error: SceneError) -> SceneFinding:
    """The blocking finding that an error stands for."""
    return SceneFinding(error.code, error.where, error.message, error)


def validate_findings(findings: Sequence[SceneFinding], source: str) -> None:
    """Raise the first blocking finding; its message names the others briefly, and the scene's source (without its secrets).

    Raises:
        SceneError: There is a blocking finding.
    """
    blocking = [finding for finding in findings if finding.error is not None]
    if blocking and (error := blocking[0].error) is not None:
        error.others = [f"{finding.code} ({finding.where})" for finding in blocking[1:]]
        error.found_in = source
        raise error
