"""The first and last task of a run: nothing starts on a wrong setting, nothing stays held."""

from datetime import UTC, datetime

from airflow.sdk import DAG

from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.registry.records import SceneSource
from operators.open_close_run import CloseRunOperator, OpenRunOperator
from operators.stage import StageOperator
from tests.airflow_home import run_dag, xcom_of


def dag_of(name, request):
    with DAG(name, schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False) as dag:
        opened = OpenRunOperator(task_id="open_run", scene_id="s1").as_setup()
        closed = CloseRunOperator(task_id="close_run", scene_id="s1").as_teardown(setups=opened)
        opened >> StageOperator(stage="toy_intake", request=request) >> closed
    return dag


def test_run_is_closed_and_the_schedule_knows_how_it_ended(toy_flow, settings):
    """A run that succeeds marks its scene as done."""
    registry = open_registry(settings.registry)
    registry.scenes.sync([SceneSource(scene_id="s1", source_url="x")], datetime.now(UTC))
    dag = dag_of("bounds_good", toy_flow)
    run, _ = run_dag(dag)
    assert run.state == "success"
    assert xcom_of(run, "close_run") == {"leases_freed": 0, "ended": "succeeded"}


def test_failed_run_is_closed_too(toy_flow):
    """The teardown runs after a failure, tells the truth about it, and the run stays failed."""
    run, tasks = run_dag(dag_of("bounds_bad", {**toy_flow, "fail": "input"}))
    assert run.state == "failed"
    assert tasks["close_run", -1].state == "success"
    assert xcom_of(run, "close_run")["ended"] == "failed"


def test_leases_of_the_run_are_freed(toy_flow, settings):
    """What a lost process of this run still held is free afterwards; other holders keep theirs."""
    registry = open_registry(settings.registry)
    registry.leases.acquire("s1/other", "another-run", 600)

    class TaskInstance:
        dag_id = "d"

        def get_task_states(self, **_):
            return {"run-1": {"toy": "success"}}

    registry.leases.acquire("s1/toy", "run-1", 600)
    CloseRunOperator(task_id="close_run", scene_id="s1").execute({"ti": TaskInstance(), "run_id": "run-1"})
    assert [lease.name for lease in registry.leases.active()] == ["s1/other"]


def test_wrong_scene_id_stops_the_run_before_any_work(toy_flow):
    """Nothing is started, and the message says what an id may be."""
    with DAG("bounds_id", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False) as dag:
        OpenRunOperator(task_id="open_run", scene_id="../x")
    run, tasks = run_dag(dag)
    assert run.state == "failed"
    assert tasks["open_run", -1].try_number == 1
