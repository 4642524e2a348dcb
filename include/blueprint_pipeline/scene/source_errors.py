"""What can be wrong with the files of a reconstructed scene: absent, unreadable, misnamed, changed."""

from blueprint_pipeline.errors import TransientError
from blueprint_pipeline.scene.errors import SceneError


class SourceNotFound(SceneError):
    """There is no folder at the source's address."""

    code = "scene.source_not_found"
    template = "{source} is not a folder, or is empty: expected a scene in the regen3d/ layout (scene_info.json, objects/, camera/)."

    source: str


class SourceUnreachable(TransientError):
    """The server of the source did not answer, after retries."""

    code = "scene.source_unreachable"
    template = "The source {source} cannot be reached: {reason}. Check the address and the network; the stage can be run again."

    source: str
    reason: str


class SourceRefused(SceneError):
    """The source's address cannot be read from here, now or later."""

    code = "scene.source_refused"
    template = "The source {source} cannot be read: {reason}. Expected a local folder or an fsspec URL that this process may read."

    source: str
    reason: str


class FileUnusable(SceneError):
    """A file of the scene is not of the kind that it must be."""

    code = "scene.file_unusable"
    template = "{file} cannot be used: {problem}."

    file: str
    problem: str


class UnsafePath(SceneError):
    """A path of the source leads elsewhere."""

    code = "scene.unsafe_path"
    template = "{file} is refused: {problem}. A scene may hold plain files and folders only."

    file: str
    problem: str


class FieldInvalid(SceneError):
    """A field is missing or has a value of the wrong kind."""

    code = "scene.field_invalid"
    template = "{file}: field {field} is {found}; expected: {expected}."

    file: str
    field: str
    found: str
    expected: str
