"""Every DAG of the repository: it imports, says what it is and whose, and is named like its file."""

import runpy
from pathlib import Path

from airflow.sdk import DAG

from tests.airflow_home import ROOT

STEMS = sorted(path.stem for path in (ROOT / "dags").glob("*.py"))


def test_all_files_import(bag):
    assert bag.import_errors == {}
    assert set(bag.dags) >= {"scene_to_dataset", "nightly_scenes"}


def test_every_dag_is_documented_tagged_and_owned(bag):
    """The UI shows what a DAG is for, and on-call knows whom to ask."""
    for dag_id, dag in bag.dags.items():
        assert dag.doc_md, dag_id
        assert len(dag.doc_md) > 100, dag_id
        assert "blueprint_pipeline" in dag.tags, dag_id
        assert dag.description, dag_id
        assert {task.owner for task in dag.tasks} != {"airflow"}, dag_id


def test_every_dag_tells_slack_and_has_a_deadline(bag):
    """Nobody has to look for failures."""
    for dag_id, dag in bag.dags.items():
        assert dag.deadline or dag_id.startswith("scene_tabletop"), dag_id  # there the run that it starts has it
        assert all(task.on_failure_callback for task in dag.tasks), dag_id


def test_dag_id_is_the_file_stem(bag):
    """A DAG is found by its name; the file of scenes' own DAGs is the one generator."""
    for dag_id, dag in bag.dags.items():
        stem = Path(dag.fileloc).stem
        assert stem in {dag_id, "scheduled_scenes"}, dag_id
        assert stem == dag_id or dag_id.startswith("scene_"), dag_id


def test_task_ids_are_verb_noun(bag):
    """Tasks are named for what they do."""
    for dag in bag.dags.values():
        for task in dag.tasks:
            assert "_" in task.task_id.split(".")[-1], task.task_id


def test_no_catchup_and_a_bound_on_runs(bag):
    """Switching a DAG on must not start a year of runs."""
    for dag_id, dag in bag.dags.items():
        assert dag.catchup is False, dag_id
        assert dag.max_active_runs <= 16, dag_id


def test_every_task_is_tried_again_by_the_one_policy(bag):
    """A database that is away for a moment must not leave a scene claimed, or a run without its end."""
    from operators.retries import StageRetryPolicy

    without = {
        f"{dag_id}.{task.task_id}"
        for dag_id, dag in bag.dags.items()
        for task in dag.tasks
        if not isinstance(task.retry_policy, StageRetryPolicy) or task.retries < 1
    }
    assert without == set()


def test_pools_of_tasks_are_in_the_settings_file(bag):
    """A task whose pool does not exist is never scheduled, in silence."""
    from operators.embedded.settings_file import load_airflow_settings

    known = {pool.pool_name for pool in load_airflow_settings(ROOT / "airflow_settings.yaml").pools} | {"default_pool"}
    for dag in bag.dags.values():
        assert {task.pool for task in dag.tasks} <= known


def test_triggered_dag_exists(bag):
    """The nightly batch starts a DAG that is there, with parameters that it has."""
    starter = bag.dags["nightly_scenes"].get_task("start_scene")
    target = bag.dags[starter.partial_kwargs["trigger_dag_id"]]
    from operators.nightly import run_of
    from operators.scene_rows import load_scene_rows

    for row in load_scene_rows():
        assert set(run_of("n", row)["conf"]) <= set(target.params)
        own = bag.dags.get(f"scene_{row.scene_id}")
        assert own is None or own.get_task("run_scene").trigger_dag_id == target.dag_id


def test_scenes_of_a_night_start_one_after_the_other(bag):
    """The plan puts them in order; mapped tasks that run at once would start in any."""
    assert bag.dags["nightly_scenes"].get_task("start_scene").max_active_tis_per_dag == 1


def test_a_task_of_a_scenes_own_dag_builds_that_dag_alone(bag, monkeypatch):
    """Each task reads its file anew, with the name of its DAG in its context."""
    from airflow.sdk import get_parsing_context

    from operators import scene_rows

    (row,) = scene_rows.own_dag_rows()
    monkeypatch.setattr(scene_rows, "own_dag_rows", lambda: (row, row.model_copy(update={"scene_id": "other"})))
    for wanted, built in ((None, {f"scene_{row.scene_id}", "scene_other"}), ("scene_other", {"scene_other"}), ("scene_none", set())):
        context = get_parsing_context()._replace(dag_id=wanted)
        monkeypatch.setattr("airflow.sdk.get_parsing_context", lambda context=context: context)
        found = runpy.run_path(str(ROOT / "dags" / "scheduled_scenes.py"))
        assert {name for name, value in found.items() if isinstance(value, DAG)} == built
