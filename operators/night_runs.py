"""Runs of a night: their ids, with night, scene and lab in them."""

from typing import Protocol

from blueprint_pipeline.errors import ConfigurationError
from blueprint_pipeline.registry.ids import shorten_id

NIGHTS = "nightly_scenes"
"""The DAG that claims scenes."""
RUN_ID_CHARACTERS = 250
"""Of a run id in Airflow (its ``ID_LEN``)."""
_SCENE_AND_LAB = 40
"""Characters that are enough to tell scene and lab: the digest of both, and how the scene's id begins."""
_BETWEEN = "~"
"""Stands in no id of a scene or lab; Airflow allows it in a run id."""
_BETWEENS = 2
"""Of them, behind the night."""


class NightIdTooLong(ConfigurationError):
    """A night was started by hand, under a run id that leaves no room for those of its scenes."""

    code = "scenes.night_id_too_long"
    template = "The night's run id has {characters} characters ('{night:.40}…'). Start it again under one of at most {limit}."

    night: str
    characters: int
    limit: int


class _Named(Protocol):
    @property
    def scene_id(self) -> str: ...
    @property
    def lab(self) -> str: ...


def run_id_of(night: str, row: _Named) -> str:
    """The run id of a scene in a night: the same whenever it is asked for.

    Raises:
        NightIdTooLong: Airflow would not take it.
    """
    room = RUN_ID_CHARACTERS - len(night) - len(_BETWEEN)
    if room < _SCENE_AND_LAB:
        raise NightIdTooLong(night, len(night), RUN_ID_CHARACTERS - len(_BETWEEN) - _SCENE_AND_LAB)
    whole = f"{row.scene_id}{_BETWEEN}{row.lab}"
    short = whole if len(whole) <= room else shorten_id(f"{row.scene_id}+{row.lab}", room)  # with one ~, as night_of wants it
    return f"{night}{_BETWEEN}{short}"


def night_of(run_id: str) -> str:
    """The run id of the night that claimed a scene for a run; of a run that no night wanted, its own.

    A night's run has two ``~`` behind the night, whole or cut off. One alone stands before the digest of another id that was cut off
    (:class:`operators.run_scene.RunSceneOperator`): it belongs to that run, and without it Airflow finds none.
    """
    return run_id.rsplit(_BETWEEN, _BETWEENS)[0] if run_id.count(_BETWEEN) >= _BETWEENS else run_id
