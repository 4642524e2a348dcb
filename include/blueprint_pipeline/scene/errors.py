"""What can be wrong with a scene.

::

    InputError          SceneError, with the classes of source_errors, geometry_errors and physics_errors
    IntegrityError      SourceChanged (source_errors)
    TransientError      SourceStillChanging (source_errors)
    GateError           SceneNotStable (physics_errors)
    InternalError       UsdInvalid, TwinInvalid
    ConfigurationError  MaterialTableInvalid (physics_errors)
"""

from collections.abc import Sequence

from blueprint_pipeline.errors import InputError, InternalError


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


class UsdInvalid(InternalError):
    """The USD stage that we wrote does not say what the manifest says."""

    code = "scene.usd_invalid"

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"usd/scene.usda was read back and is wrong: {problem}. This is a defect of the assembly: report it.", problem=problem
        )


class TwinInvalid(InternalError):
    """The MJCF twin that we wrote does not compile, or does not say what the manifest says."""

    code = "scene.twin_invalid"

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"mjcf/scene.xml was read back and is wrong: {problem}. This is a defect of the assembly: report it.", problem=problem
        )
