"""``include/config/scenes.yaml``: the scenes that a team wants done again and again, and those with a DAG of their own."""

from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from blueprint_pipeline.config_file import ConfigFileInvalid, load_config
from blueprint_pipeline.config_folder import CONFIG_FOLDER
from blueprint_pipeline.workspace.storage import Id, InvalidId

DEFAULT_POOL = "default_pool"
SCENES_PATH = CONFIG_FOLDER / "scenes.yaml"


class InvalidScenes(ConfigFileInvalid):
    """The file of scenes cannot be used."""

    code = "scenes.invalid_config"
    advice = "Correct the file; its head says what a row may have."


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OwnDag(_Frozen):
    """A DAG for one scene alone."""

    schedule: str | None = None
    """Cron expression; ``None``: started by hand."""
    owner: str = "data-platform"
    deadline_h: float = Field(default=4.0, gt=0)
    tags: tuple[str, ...] = ()
    paused: bool = True
    """State at first sight."""

    @property
    def deadline(self) -> timedelta:
        return timedelta(hours=self.deadline_h)


class SceneRow(_Frozen):
    """One scene that is done again and again."""

    scene_id: Id
    source: str | None = None
    """Folder or URL of the reconstructed scene; ``None``: the sample scene that comes with the package."""
    lab: str = "aurora_robotics"
    priority: int = 0
    """Higher first."""
    pool: str = DEFAULT_POOL
    """Bounded together with the other scenes of the pool."""
    interval_h: float | None = Field(default=None, gt=0)
    """Due again this long after a success; ``None``: once."""
    enabled: bool = True
    """Whether ``nightly_scenes`` takes it."""
    params: dict[str, Any] = {}
    """Other defaults of the flow's parameters, e.g. ``episodes: 6``."""
    dag: OwnDag | None = None


class _File(_Frozen):
    pools: dict[str, PositiveInt] = {}
    scenes: tuple[SceneRow, ...] = ()

    @model_validator(mode="after")
    def _pools_are_known(self) -> Self:
        wrong = sorted(
            {f"scene {row.scene_id}: no pool '{row.pool}'" for row in self.scenes if row.pool not in {DEFAULT_POOL, *self.pools}}
        )
        if wrong:
            raise ValueError(f"{'; '.join(wrong)}. Add it under `pools`, with how many of its scenes may run at once")
        return self


def load_pool_limits(path: Path = SCENES_PATH) -> dict[str, int]:
    """How many scenes of a pool may run at once; one that is not named has no bound of its own.

    They are data of this file, for Airflow 3.3 tells its tasks nothing of its own pools, which bound tasks and not scenes.

    Raises:
        InvalidScenes: The file cannot be used.
    """
    return dict(load_config(path, _File, InvalidScenes).pools)


def load_scene_rows(path: Path = SCENES_PATH) -> tuple[SceneRow, ...]:
    """Read the file.

    Raises:
        InvalidScenes: It is no YAML, a key is unknown or of the wrong kind, a pool is not named, or a scene stands there twice.
    """
    try:
        rows = load_config(path, _File, InvalidScenes).scenes
    except InvalidId as error:
        raise InvalidScenes(path, [str(error)]) from error
    ids = [row.scene_id for row in rows]
    twice = sorted({scene_id for scene_id in ids if ids.count(scene_id) > 1})
    if twice:
        raise InvalidScenes(path, [f"scene {', '.join(twice)} stands there more than once"])
    return rows
