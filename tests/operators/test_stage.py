"""The stage operator: results, readable logs, errors by class, resumption, and the wish to end."""

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.sdk import DAG, Asset

from blueprint_pipeline.compute.events import readable
from blueprint_pipeline.compute.job import UnitDone
from blueprint_pipeline.compute.profiles import load_compute
from blueprint_pipeline.settings import load_settings
from blueprint_pipeline.stage.flow import STAGES
from operators.retries import build_retries
from operators.stage import StageOperator
from operators.stage_task import describe_found
from plugins.providers.messages.failure import TaskFailureNotifier
from tests.airflow_home import run_dag, xcom_of

FAST = build_retries(delay=timedelta(0))


def dag_of(name, *stages):
    """A DAG of stages in a row."""
    with DAG(name, schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False, params={"scene_id": "s1"}) as dag:
        tasks = [make() for make in stages]
        for before, after in pairwise(tasks):
            before >> after
    return dag


def intake(fields, **more):
    return lambda: StageOperator(stage="toy_intake", request={**fields, "scene_id": "{{ params.scene_id }}"}, **{**FAST, **more})


def work(fields, **more):
    return lambda: StageOperator(stage="toy_work", request=fields, **{**FAST, **more})


def test_result_is_small_and_the_summary_is_for_people(toy_flow):
    """The result is the XCom, templates of the request are filled in, and one line sums it up."""
    run, tasks = run_dag(dag_of("stage_result", intake(toy_flow)))
    assert run.state == "success"
    assert xcom_of(run, "toy_intake") == {"files": 1}
    assert xcom_of(run, "toy_intake", "summary") == "toy_intake: 1 files taken in"
    assert tasks["toy_intake", -1].try_number == 1


def test_found_work_is_told_apart_from_done_work(toy_flow, capfd):
    """In the summary, the log, an XCom of its own, and the asset's event, so that a consumer need not work on what is not new."""
    asset = Asset(name="toys", uri="x-toy://toys")
    flow = dag_of("stage_found", intake(toy_flow, outlets=[asset], partition_key="s1"))
    (first, _), (second, _) = run_dag(flow), run_dag(flow)
    assert [xcom_of(run, "toy_intake", "found_done") for run in (first, second)] == [[False], [True]]
    assert xcom_of(first, "toy_intake") == xcom_of(second, "toy_intake")
    told = "toy_intake: 1 files taken in (found done, not repeated)"
    assert xcom_of(second, "toy_intake", "summary") == told
    assert capfd.readouterr().out.count(told) == 1
    events = events_of(asset)
    assert [(event.extra["files"], event.extra["found_done"]) for event in events] == [(1, False), (1, True)]
    assert [event.partition_key for event in events] == ["s1", "s1"]


def events_of(asset):
    """The events of an asset, oldest first."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        mine = select(AssetEvent).join(AssetModel, AssetModel.id == AssetEvent.asset_id).where(AssetModel.uri == asset.uri)
        return list(session.scalars(mine.order_by(AssetEvent.id)))


def test_how_much_of_a_batch_was_found():
    """Shards of one task may be both."""
    done = [UnitDone(result={}, found_done=found) for found in (True, False, True)]
    assert [describe_found(part) for part in (done, done[:1], done[1:2])] == [
        "2 of 3 found done, not repeated",
        "found done, not repeated",
        "",
    ]


def test_events_of_the_stage_are_readable_in_the_tasks_log(toy_flow, capfd):
    """A person reads what happened and how far it is, not JSON."""
    run_dag(dag_of("stage_log", intake(toy_flow), work(toy_flow)))
    log = capfd.readouterr().out
    assert "stage started key=" in log
    assert "3 of 3 done" in log


def test_a_failure_is_told_twice_in_the_log_and_no_more(toy_flow, capfd):
    """By the stage with its facts, and as the task's own error, without frames of the process that only waited for it."""
    run_dag(dag_of("stage_told", intake({**toy_flow, "fail": "input"})))
    log = capfd.readouterr().out
    assert log.count("this source is no good") == 3  # the stage's message and its facts, and Airflow's error
    assert log.count("stage failed code=sample.bad_input") == 1
    assert "StageFailed" not in log
    assert "direct cause" not in log


def test_permanent_error_fails_at_once_and_slack_is_told(toy_flow, slack):
    """No second try; the whole message is in the exception that on-call gets."""
    dag = dag_of("stage_permanent", intake({**toy_flow, "fail": "input"}, on_failure_callback=[TaskFailureNotifier()]))
    run, tasks = run_dag(dag)
    assert run.state == "failed"
    assert tasks["toy_intake", -1].try_number == 1
    (message,) = slack.messages
    told = str(message.body)
    assert "sample.bad_input" in told
    assert "this source is no good" in told
    assert "s1" in told


def test_killed_stage_is_tried_again_and_resumes(toy_flow):
    """A process that dies is transient; the next try does only what was not finished."""
    Path(f"{toy_flow['log']}.kill_at_1").touch()
    run, tasks = run_dag(dag_of("stage_killed", intake(toy_flow), work(toy_flow)))
    assert run.state == "success"
    assert tasks["toy_work", -1].try_number == 2
    lines = Path(toy_flow["log"]).read_text().split("\n")
    assert [lines.count(f"unit {index}") for index in range(3)] == [1, 1, 1]


def test_transient_error_is_tried_until_the_tries_are_used_up(toy_flow):
    """With two tries there are two, then the task fails."""
    run, tasks = run_dag(
        dag_of("stage_transient", intake(toy_flow), work({**toy_flow, "fail": "transient"}, **build_retries(1, timedelta(0))))
    )
    assert run.state == "failed"
    assert tasks["toy_work", -1].try_number == 2


def test_second_run_finds_the_work_done(toy_flow, capfd):
    """The same request again does nothing and gives the same result."""
    run_dag(dag_of("stage_again", intake(toy_flow), work(toy_flow)))
    before = Path(toy_flow["log"]).read_text()
    capfd.readouterr()
    run, _ = run_dag(dag_of("stage_again", intake(toy_flow), work(toy_flow)))
    assert xcom_of(run, "toy_work") == {"files": 3}
    assert Path(toy_flow["log"]).read_text() == before
    assert "stage already done" in capfd.readouterr().out


def test_missing_fields_are_refused_with_their_names(toy_flow):
    """A request that the stage does not know is an error of the DAG, told with the field's name."""
    run, tasks = run_dag(
        dag_of("stage_bad_request", lambda: StageOperator(stage="toy_intake", request={"scene_id": "s1", "sauce": 1}, **FAST))
    )
    assert run.state == "failed"
    assert tasks["toy_intake", -1].try_number == 1


def test_wish_to_end_reaches_the_stage(toy_flow):
    """on_kill sends SIGTERM to the stage's process; the operator then raises what Airflow tries again at once."""
    from blueprint_pipeline.errors import PreemptedError

    run_dag(dag_of("stage_stop", intake(toy_flow)))

    class Context(dict):
        def xcom_push(self, **_): ...

        try_number, dag_id = 1, "d"

    operator = StageOperator(stage="toy_work", request={**toy_flow, "units": 400})
    heard = threading.Event()
    operator.watchers.append(lambda kind, data: heard.set() if data.get("event") == "progress" else None)
    threading.Thread(target=lambda: (heard.wait(60), operator.on_kill())).start()
    began = time.monotonic()
    try:
        with pytest.raises(PreemptedError, match="asked to end"):
            operator.execute({"ti": Context(), "run_id": "r1"})
    finally:
        operator.watchers.clear()
    assert heard.is_set()
    assert time.monotonic() - began < 60


def test_mapped_over_one_field_of_a_result(toy_flow):
    """``returns`` gives the list to map over, in batches; each batch is a task instance with its indices in the requests."""
    with DAG("stage_mapped", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False) as dag:
        first = StageOperator(
            stage="toy_plan", request={"scene_id": "s1", **{k: toy_flow[k] for k in ("source", "log")}}, returns="shards", in_batches=True
        )
        StageOperator.partial(task_id="toy_shard", stage="toy_shard", request={"scene_id": "s1"}).expand(shards=first.output)
    run, tasks = run_dag(dag)
    assert run.state == "success"
    assert {key for key in tasks if key[0] == "toy_shard"} == {("toy_shard", 0), ("toy_shard", 1)}
    assert sorted(value["shard"] for (value,) in xcom_of(run, "toy_shard")) == [3, 5]


def test_words_for_people():
    """Progress counts, facts without ids, long lists as counts."""
    assert readable({"event": "progress", "done": 2, "total": 5, "scene_id": "s"}) == "2 of 5 done"
    assert readable({"event": "stage done", "run_id": "r", "cpu_s": 1.5, "level": "info"}) == "stage done cpu_s=1.5"
    assert STAGES["record_approval"].describe({"approved": ["ep_1"], "rejected": []}) == "1 approved, 0 rejected by a person"


def test_secrets_come_from_connections_and_what_is_absent_is_left_out(monkeypatch):
    """Host, password and keys of extra; a connection that is missing gives nothing."""
    from operators.stage_task import read_connections
    from tests.airflow_home import prepare_database

    prepare_database()
    word = "whsec_x"
    connection = json.dumps({"conn_type": "http", "host": "https://h/x", "password": word, "extra": {"delivery_url": "gs://b/p"}})
    monkeypatch.setenv("AIRFLOW_CONN_LAB_A", connection)
    references = {"URL": "lab_a.host", "WORD": "lab_a.password", "BUCKET": "lab_a.delivery_url", "X": "lab_a.none", "Y": "lab_b.host"}
    assert read_connections(references) == {"URL": "https://h/x", "WORD": word, "BUCKET": "gs://b/p"}
    assert read_connections(None) == {}


@pytest.mark.parametrize(("failures", "selections"), [("True", [None, None, "failures", "failures"]), ("False", [None, None])])
def test_the_task_of_a_selection_asks_for_failures_too(failures, selections):
    """The template gives text; a stage that works on no selection is asked once, whatever the lab buys."""
    context = {"ti": SimpleNamespace(dag_id="d", try_number=1), "run_id": "r"}
    profile = load_compute(load_settings().compute.config).local
    task = StageOperator(stage="render_shard", request={"scene_id": "s1"}, shards=[0, 1], failures=failures)
    requests = task.build_spec(context, profile).requests
    assert [request.get("selection") for request in requests] == selections
    assert [request["shard_index"] for request in requests] == [0, 1] * (len(requests) // 2)
    other = StageOperator(stage="simulate_shard", request={"scene_id": "s1"}, shards=[0, 1], failures=failures)
    assert len(other.build_spec(context, profile).requests) == 2
