"""Whose pods they are: several installations may have theirs on one cluster, in one namespace."""

from sqlalchemy import make_url

from blueprint_pipeline.settings import Settings
from blueprint_pipeline.workspace.canonical import key_of

_LENGTH = 20


def installation_of(settings: Settings) -> str:
    """An id of the installation, for a label: the same in all of its processes, and no other's.

    It stands for the registry's database and the workspace, which no two installations share; credentials may be rotated.
    """
    registry = make_url(settings.registry.url)
    where = [registry.host, registry.port, registry.database, settings.workspace.url]
    return key_of({"installation": where})[:_LENGTH]
