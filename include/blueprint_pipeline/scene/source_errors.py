"""What can be wrong with the files of a reconstructed scene: absent, unreadable, misnamed, changed."""

from blueprint_pipeline.public_url import public_url
from blueprint_pipeline.scene.errors import SceneError


class SourceNotFound(SceneError):
    """There is no folder at the source's address."""

    code = "scene.source_not_found"

    def __init__(self, source: str) -> None:
        source = public_url(source)
        super().__init__(
            f"{source} is not a folder, or is empty: expected a scene in the regen3d/ layout (scene_info.json, objects/, camera/).",
            source,
            source=source,
        )


class FieldInvalid(SceneError):
    """A field is missing or has a value of the wrong kind."""

    code = "scene.field_invalid"

    def __init__(self, file: str, field: str, found: str, expected: str) -> None:
        super().__init__(
            f"{file}: field {field} is {found}; expected: {expected}.", file, file=file, field=field, found=found, expected=expected
        )
