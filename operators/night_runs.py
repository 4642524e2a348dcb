"""Runs of a night: their ids, with night, scene and lab in them."""

from typing import Protocol

NIGHTS = "nightly_scenes"
"""The DAG that claims scenes."""
_BETWEEN = "~"
"""Stands in no id of a scene or lab; Airflow allows it in a run id."""


class _Named(Protocol):
    @property
    def scene_id(self) -> str: ...
    @property
    def lab(self) -> str: ...


def run_id_of(night: str, row: _Named) -> str:
    """The run id of a scene in a night: the same whenever it is asked for."""
    return _BETWEEN.join((night, row.scene_id, row.lab))


def night_of(run_id: str) -> str:
    """The run id of the night that claimed a scene for a run; of a run that no night wanted, its own."""
    return run_id.rsplit(_BETWEEN, 2)[0]
