"""What Airflow's own processes load: deadlines that survive a clearing, pools that exist, and ends that stand."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from airflow.sdk import DAG
from airflow.sdk.definitions.deadline import DeadlineAlert

from operators.scene_flow import deadline_alert
from plugins.scheduler.deadline_reference import RunQueuedDeadline
from plugins.scheduler.pools import PoolListener, make_missing_pools, pool_names
from tests.airflow_home import ROOT, prepare_database, run_dag


@pytest.fixture
def session():
    from airflow.utils.session import create_session

    prepare_database()
    with create_session() as opened:
        yield opened


def test_reference_survives_airflows_database():
    """Encoded with the class's path, decoded to the same hours."""
    from airflow.serialization.decoders import decode_deadline_alert
    from airflow.serialization.encoders import encode_deadline_alert

    alert: DeadlineAlert = deadline_alert(6.0)
    back = decode_deadline_alert(encode_deadline_alert(alert))
    assert back.reference.serialize_reference() == {"reference_type": "RunQueuedDeadline", "default_h": 6.0}
    assert back.interval == timedelta(0)


@pytest.mark.parametrize(("conf", "hours"), [({}, 4.0), ({"deadline_h": 6}, 6.0), ({"deadline_h": "soon"}, 4.0), ({"deadline_h": -1}, 4.0)])
def test_deadline_counts_from_the_queue_and_by_the_runs_own_hours(session, conf, hours):
    from airflow.models.dagrun import DagRun
    from airflow.sdk import task

    with DAG("deadline_reference", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False) as dag:

        @task
        def do_nothing():
            """Nothing."""

        do_nothing()
    run, _ = run_dag(dag)
    row = session.get(DagRun, run.id)
    row.conf, row.queued_at = conf, datetime(2026, 1, 1, tzinfo=UTC)
    session.flush()
    found = RunQueuedDeadline()._evaluate_with(session=session, dag_id="deadline_reference", run_id=run.run_id)
    assert found == datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hours)
    assert RunQueuedDeadline()._evaluate_with(session=session, dag_id="deadline_reference", run_id="none") is None


def test_pools_are_made_where_they_are_missing_and_left_alone_where_they_are(session):
    """A person's number of slots stays."""
    from airflow.models.pool import Pool
    from sqlalchemy import delete, select

    session.execute(delete(Pool).where(Pool.pool.in_(pool_names())))
    assert make_missing_pools(session) == ["render", "simulation"]
    session.flush()
    pool = session.scalar(select(Pool).where(Pool.pool == "render"))
    assert pool.include_deferred
    pool.slots = 7
    session.flush()
    assert make_missing_pools(session) == []
    assert session.scalar(select(Pool.slots).where(Pool.pool == "render")) == 7
    session.rollback()


@pytest.mark.parametrize(("kind", "slots"), [("local", 1), ("kubernetes", 16)])
def test_a_scheduler_that_starts_makes_pools_of_the_size_that_its_stages_need(session, monkeypatch, kind, slots):
    """A process takes all cores of its worker; pods have cores of their own. No other process of Airflow makes any."""
    from airflow.models.pool import Pool
    from sqlalchemy import delete, select

    from blueprint_pipeline.settings import load_settings

    monkeypatch.setenv("BPP__COMPUTE__KIND", kind)
    load_settings.cache_clear()
    chosen = select(Pool.pool, Pool.slots).where(Pool.pool.in_(pool_names()))
    before = dict(session.execute(chosen).all())
    try:
        session.execute(delete(Pool).where(Pool.pool.in_(pool_names())))
        session.commit()
        PoolListener().on_starting(SimpleNamespace(job_type="TriggererJob"))
        assert dict(session.execute(chosen).all()) == {}
        session.commit()
        PoolListener().on_starting(SimpleNamespace(job_type="SchedulerJob"))
        assert dict(session.execute(chosen).all()) == {"render": slots, "simulation": slots}
    finally:
        load_settings.cache_clear()
        session.execute(delete(Pool).where(Pool.pool.in_(pool_names())))
        session.add_all(Pool(pool=name, slots=number, include_deferred=True) for name, number in before.items())
        session.commit()


def test_a_run_that_starts_makes_missing_pools(session):
    """In the scheduler's own session; runs of other people's DAGs are none of our business."""
    from airflow.models.dagrun import DagRun
    from airflow.models.pool import Pool
    from sqlalchemy import delete, func, select

    count = select(func.count()).select_from(Pool).where(Pool.pool.in_(pool_names()))
    session.execute(delete(Pool).where(Pool.pool.in_(pool_names())))
    run = DagRun(dag_id="x", run_id="y", run_type="manual")
    session.add(run)
    for tags, expected in ((set(), 0), ({"blueprint_pipeline"}, 2)):
        run.dag = SimpleNamespace(tags=tags)
        with session.no_autoflush:
            PoolListener().on_dag_run_running(run, "started")
        session.expunge(run)
        session.flush()
        assert session.scalar(count) == expected
        session.add(run)
    session.rollback()


def test_pools_of_every_task_are_made_or_imported():
    """No task names a pool that nobody makes."""
    from operators.embedded.settings_file import load_airflow_settings

    assert set(pool_names()) == {pool.pool_name for pool in load_airflow_settings(ROOT / "airflow_settings.yaml").pools}


@pytest.fixture
def open_run():
    """Id of a run whose two tasks wait, in a process that is a scheduler to our plugin."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    prepare_database()
    with DAG("ended_by_hand", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False) as dag:
        EmptyOperator(task_id="work") >> EmptyOperator(task_id="close_run", trigger_rule="all_done")
    DagBundlesManager().sync_bundles_to_db()
    bag = DagBag("/dev/null")
    bag.bag_dag(dag)
    sync_bag_to_db(bag, "dags-folder", None)
    now = datetime.now(UTC)
    kind = {"run_type": DagRunType.MANUAL, "triggered_by": DagRunTriggeredByType.TEST}
    with create_session(scoped=False) as session:
        made = SerializedDagModel.get_dag("ended_by_hand", session=session)
        run = made.create_dagrun(run_id=f"manual__{now.isoformat()}", run_after=now, state="running", session=session, **kind)
        session.flush()
        return run.id


@pytest.mark.parametrize(("set_to", "tasks"), [("failed", "skipped"), ("success", "failed"), ("queued", "skipped"), (None, "skipped")])
def test_what_a_person_makes_of_a_run_stands(open_run, set_to, tasks, monkeypatch):
    """A scheduler that read the run before a person cancelled or cleared it, and its tasks after, does not write its own end over that."""
    from airflow.listeners.listener import get_listener_manager
    from airflow.models.dagrun import DagRun
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select, update

    get_listener_manager().hook.on_starting(component=SimpleNamespace(job_type="SchedulerJob"))
    decide = DagRun.task_instance_scheduling_decisions

    def decide_after_a_person(run, session):
        with create_session(scoped=False) as person:
            person.execute(update(TaskInstance).where(TaskInstance.run_id == run.run_id).values(state=tasks))
            if set_to:
                person.execute(update(DagRun).where(DagRun.id == run.id).values(state=set_to))
        return decide(run, session=session)

    monkeypatch.setattr(DagRun, "task_instance_scheduling_decisions", decide_after_a_person)
    with create_session(scoped=False) as session:
        run = session.get(DagRun, open_run)
        run.dag = SerializedDagModel.get_dag("ended_by_hand", session=session)
        assert run.state == "running"
        run.update_state(session=session)
    with create_session(scoped=False) as session:
        assert session.scalar(select(DagRun.state).where(DagRun.id == open_run)) == (set_to or "success")
        session.delete(session.get(DagRun, open_run))


@pytest.mark.parametrize(
    ("conf", "written", "note"),
    [({"scene_id": "kitchen"}, None, "scene kitchen, lab aurora"), ({"scene_id": "kitchen"}, "mine", "mine"), ({}, None, None)],
)
def test_a_run_says_its_scene_and_lab(session, conf, written, note):
    """What the run was given, and else the default of its parameters; a note of a person stays."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.models.dagrun import DagRun
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    params = {"lab": "aurora", "scene_id": ""}
    with DAG("noted", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), tags={"blueprint_pipeline"}, params=params) as dag:
        EmptyOperator(task_id="work")
    DagBundlesManager().sync_bundles_to_db()
    bag = DagBag("/dev/null")
    bag.bag_dag(dag)
    sync_bag_to_db(bag, "dags-folder", None)
    now, read = datetime.now(UTC), SerializedDagModel.get_dag("noted", session=session)
    kind = {"run_type": DagRunType.MANUAL, "triggered_by": DagRunTriggeredByType.TEST}
    run = read.create_dagrun(run_id=f"manual__{now.isoformat()}", run_after=now, state="running", conf=conf, session=session, **kind)
    run.dag, run.note = read, written
    run.notify_dagrun_state_changed(msg="started")  # as the scheduler does
    session.commit()
    session.expire_all()
    assert session.get(DagRun, run.id).note == note
