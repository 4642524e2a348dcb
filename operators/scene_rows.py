"""``include/config/scenes.yaml``: the scenes that a team wants done again and again, and those with a DAG of their own."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from blueprint.config_file import ConfigFileInvalid, load_config
from blueprint.config_folder import CONFIG_FOLDER
from blueprint.workspace.storage import Id, InvalidId

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
    pool: str = "default_pool"
    interval_h: float | None = Field(default=None, gt=0)
    """Due again this long after a success; ``None``: once."""
    enabled: bool = True
    """Whether ``nightly_scenes`` takes it."""
    params: dict[str, Any] = {}
    """Other defaults of the flow's parameters, e.g. ``episodes: 6``."""
    dag: OwnDag | None = None


class _File(_Frozen):
    scenes: tuple[SceneRow, ...] = ()


def load_scene_rows(path: Path = SCENES_PATH) -> tuple[SceneRow, ...]:
    """Read the file.

    Raises:
        InvalidScenes: It is no YAML, a key is unknown or of the wrong kind, or a scene stands there twice.
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
