"""What can go wrong with the registry's database and with the promises kept in it."""

from blueprint_pipeline.errors import InputError


class RecordMissing(InputError):
    """A row that was asked for by its id is not in the registry."""

    code = "registry.record_missing"
    template = "The registry has no {kind} '{record_id}'. Check the id."

    kind: str
    record_id: str
