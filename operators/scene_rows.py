"""``include/config/scenes.yaml``: the scenes that a team wants done again and again, and those with a DAG of their own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, PositiveInt, ValidationError

from blueprint_pipeline.config_file import ConfigFileInvalid, load_config
from blueprint_pipeline.config_folder import CONFIG_FOLDER
from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.workspace.storage import Id, InvalidId

DEFAULT_POOL = "default_pool"
SCENES_PATH = CONFIG_FOLDER / "scenes.yaml"


class InvalidScenes(ConfigFileInvalid):
    """The file of scenes cannot be used."""

    code = "scenes.invalid_config"
    advice = "Correct the file; its head says what a row may have."


class OwnDag(FrozenModel):
    """A DAG for one scene alone."""

    schedule: str | None = None
    """Cron expression; ``None``: started by hand."""
    owner: str = "data-platform"
    deadline_h: float = Field(default=4.0, gt=0)
    tags: tuple[str, ...] = ()
    paused: bool = True
    """State at first sight."""


class SceneRow(FrozenModel):
    """One scene that is done again and again."""

    scene_id: Id
    source: str
    """Folder or URL of the reconstructed scene; ``sample``: the one that comes with the package."""
    lab: str
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

    @property
    def conf(self) -> dict[str, Any]:
        """The parameters of a run of this scene."""
        deadline = {} if self.dag is None else {"deadline_h": self.dag.deadline_h}
        return {"scene_id": self.scene_id, "lab": self.lab, "source": self.source, **deadline, **self.params}


@dataclass(frozen=True)
class SceneRows:
    """The rows of the file: those that can be used, and what is wrong with the others."""

    rows: tuple[SceneRow, ...]
    problems: tuple[str, ...]
    """``row 3 (scene kitchen): params.episodes: …``: such a row is never started, and stops no other."""


class _File(FrozenModel):
    pools: dict[str, PositiveInt] = {}
    scenes: tuple[dict[str, Any], ...] = ()


def load_pool_limits(path: Path = SCENES_PATH) -> dict[str, int]:
    """How many scenes of a pool may run at once; one that is not named has no bound of its own.

    They are data of this file, for Airflow 3.3 tells its tasks nothing of its own pools, which bound tasks and not scenes.

    Raises:
        InvalidScenes: The file cannot be used.
    """
    return dict(load_config(path, _File, InvalidScenes).pools)


def load_scene_rows(path: Path = SCENES_PATH) -> tuple[SceneRow, ...]:
    """Read the file; every row must be one that can run.

    Raises:
        InvalidScenes: The file cannot be used, or a row is wrong; all of them are named.
    """
    found = check_scene_rows(path)
    if found.problems:
        raise InvalidScenes(path, list(found.problems))
    return found.rows


def own_dag_rows(path: Path = SCENES_PATH) -> tuple[SceneRow, ...]:
    """Rows with a DAG of their own, for the DAG processor: as cheap as reading the file. What a row asks for is checked by its run.

    Raises:
        InvalidScenes: The file cannot be used. A row of the wrong shape is left out; ``check_rows`` of the night names it.
    """
    parsed = [_parse(raw)[0] for raw in load_config(path, _File, InvalidScenes).scenes if raw.get("dag") is not None]
    return tuple(row for row in parsed if row is not None)


def check_scene_rows(path: Path = SCENES_PATH) -> SceneRows:
    """Read the file, and judge each row by the form's own rules, by the labs and by what is on this machine.

    Raises:
        InvalidScenes: It is no YAML, or a key beside the rows is unknown or of the wrong kind.
    """
    file = load_config(path, _File, InvalidScenes)
    rows: list[SceneRow] = []
    problems: list[str] = []
    seen: set[str] = set()
    for number, raw in enumerate(file.scenes, start=1):
        place = f"row {number} (scene {raw.get('scene_id', 'without an id')})"
        row, wrong = _parse(raw)
        if row is not None:
            wrong = [*wrong, *_misfits(row, file.pools, seen)]
            seen.add(row.scene_id)
            if not wrong:
                rows.append(row)
        problems += [f"{place}: {problem}" for problem in wrong]
    return SceneRows(tuple(rows), tuple(problems))


def _parse(raw: dict[str, Any]) -> tuple[SceneRow | None, list[str]]:
    try:
        return SceneRow.model_validate(raw), []
    except InvalidId as error:
        return None, [str(error)]
    except ValidationError as error:
        return None, [f"{'.'.join(map(str, item['loc'])) or 'row'}: {item['msg']}" for item in error.errors()]


def _misfits(row: SceneRow, pools: dict[str, int], seen: set[str]) -> list[str]:
    """What is wrong with a row that is whole in itself."""
    wrong = [f"scene_id: scene {row.scene_id} stands there more than once"] if row.scene_id in seen else []
    if row.pool not in {DEFAULT_POOL, *pools}:
        wrong.append(f"pool: there is no pool '{row.pool}'; add it under `pools`, with how many of its scenes may run at once")
    named = sorted({"scene_id", "lab", "source"} & set(row.params))
    wrong += [f"params.{name}: it is a key of the row itself" for name in named]
    return [*wrong, *(f"params.{problem}" if problem.split(":")[0] in row.params else problem for problem in _unfit_params(row))]


def _unfit_params(row: SceneRow) -> list[str]:
    from operators.run_check import check_conf

    return check_conf(row.conf)
