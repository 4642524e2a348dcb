"""What can go wrong with the registry's database and with the promises kept in it."""

from sqlalchemy.exc import DontWrapMixin

from blueprint_pipeline.errors import InputError


class RecordMissing(InputError):
    """A row that was asked for by its id is not in the registry."""

    code = "registry.record_missing"
    template = "The registry has no {kind} '{record_id}'. Check the id."

    kind: str
    record_id: str


class SceneNotListed(InputError):
    """The scene to free is not in the registry, so no run can have claimed it."""

    code = "registry.scene_not_listed"
    template = "The registry lists no scene '{scene_id}', so no run has claimed it. `bpp registry claims` shows the claimed scenes."

    scene_id: str


class ValueTooLong(InputError, DontWrapMixin):
    """A value has more characters than its column."""

    code = "registry.value_too_long"
    template = "'{value:.60}' has {characters} characters, and the registry keeps at most {limit} there. Give a shorter name or id."

    value: str
    characters: int
    limit: int
