"""What can be wrong with the files of a reconstructed scene: absent, unreadable, misnamed, changed."""

from blueprint_pipeline.scene.errors import SceneError


class SourceNotFound(SceneError):
    """There is no folder at the source's address."""

    code = "scene.source_not_found"
    template = "{source} is not a folder, or is empty: expected a scene in the regen3d/ layout (scene_info.json, objects/, camera/)."

    source: str


class FieldInvalid(SceneError):
    """A field is missing or has a value of the wrong kind."""

    code = "scene.field_invalid"
    template = "{file}: field {field} is {found}; expected: {expected}."

    file: str
    field: str
    found: str
    expected: str
