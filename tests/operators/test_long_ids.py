"""What Airflow permits as an id fits into the registry, on both databases, and two ids stay two."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator

from blueprint_pipeline.errors import BlueprintError
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.registry.ids import ID_CHARACTERS, message_id, shorten_id
from blueprint_pipeline.registry.records import Delivery, SceneSource
from blueprint_pipeline.settings import RegistrySettings
from operators.approval_notice import Asked, asked_message, question_lapsed_message
from operators.claim_notice import run_lapsed_message
from operators.lab_notice import given_up_message, untold_message
from operators.night_runs import RUN_ID_CHARACTERS, NightIdTooLong, night_of, run_id_of
from operators.run_end import cancelled_message, enter_success
from operators.run_scene import RunSceneOperator
from plugins.providers.messages.failure import StageOfRun, failure_message
from plugins.providers.messages.late_run import build_late_message
from tests.sample_errors import BadInput

DAG, RUN, OTHER_RUN = "d" * 250, "r" * 250, "r" * 249 + "s"
SCENE, LAB = "s" * 128, "l" * 128
NOW = datetime(2026, 11, 28, 5, 0, 0, 123456, tzinfo=UTC)
ROW = SimpleNamespace(scene_id=SCENE, lab=LAB)


@pytest.fixture
def registry(registry_url):
    with open_registry(RegistrySettings(url=registry_url)) as opened:
        yield opened


def where(run_id):
    return StageOfRun(scene_id=SCENE, lab=LAB, stage="t" * 100, dag_id=DAG, run_id=run_id, link=None)


def asked(registry, run_id):
    gates = ",".join(f"gate_of_a_long_name_{index}" for index in range(20))
    return registry.approvals.request(job_id="j", scene_id=SCENE, episodes=["ep_1"], gate=gates, message="keep?", actor=run_id, ttl_s=60)


def run_context(run_id):
    return {"run_id": run_id, "params": {"scene_id": SCENE, "lab": LAB}, "ti": SimpleNamespace(log_url=None)}


def question():
    gate = SimpleNamespace(borderline=True, passed=True, message="near")
    return Asked(SimpleNamespace(scene_id=SCENE), [SimpleNamespace(episode_id="ep_1", gates=[gate])])


def run_of(registry, run_id):
    return registry.runs.start(dag_id=DAG, run_id=run_id, scene_id=SCENE, lab=LAB)


MESSAGES = {
    "failure": lambda registry, run_id: failure_message(where(run_id), BadInput("x"), tries=1),
    "late": lambda registry, run_id: build_late_message(
        {"dag_id": DAG, "dag_run_id": run_id, "state": "running", "conf": {"scene_id": SCENE, "lab": LAB}}, NOW, None, None, ""
    ),
    "cancelled": lambda registry, run_id: cancelled_message("cancelled", run_of(registry, run_id).model_copy(update={"ended_at": NOW})),
    "claim_lapsed": lambda registry, run_id: run_lapsed_message({}, run_id, SCENE, LAB, NOW),
    "lab_not_told": lambda registry, run_id: untold_message(where(run_id), BadInput("x")),
    "approval": lambda registry, run_id: asked_message(
        run_context(run_id), asked(registry, run_id), question(), until=NOW, unknown=["e" * 300]
    ),
    "unanswered": lambda registry, run_id: question_lapsed_message(run_context(run_id), asked(registry, run_id), until=NOW),
}
"""Every message that names a run."""


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_message_about_the_longest_run_is_kept(registry, kind):
    """The same event is one message, a run whose id ends otherwise has another, and each can be found by its id."""
    built = [MESSAGES[kind](registry, run_id) for run_id in (RUN, RUN, OTHER_RUN)]
    for message in built:
        assert message.kind == kind
        registry.outbox.add(message)
        assert registry.outbox.find(message.message_id).message.run_id in {RUN, OTHER_RUN}
    events = len({message.message_id for message in built})
    assert events == (1 if kind == "unanswered" else 2)  # silence is about a question, whoever asked it


def test_the_longest_run_recovers(registry):
    """The message that says so is kept with the end of the incidents."""
    registry.outbox.add(failure_message(where(OTHER_RUN), None, tries=1))
    message = enter_success(registry, run_of(registry, RUN))
    assert registry.outbox.find(message.message_id).message.run_id == RUN
    assert registry.outbox.open_incidents(SCENE) == []


def test_an_id_is_readable_as_long_as_it_fits():
    assert message_id("claim_lapsed", "n1~kitchen~lab", None) == "claim_lapsed/n1~kitchen~lab/"
    assert message_id("recovery", "d", "r", NOW) == "recovery/d/r/2026-11-28T05:00:00.123456+00:00"


def test_an_id_that_does_not_fit_begins_as_it_did_and_ends_in_a_digest():
    short = message_id("late", DAG, RUN)
    assert len(short) == ID_CHARACTERS
    assert short.startswith(f"late/{DAG[:200]}")
    assert short != message_id("late", DAG, OTHER_RUN)
    assert shorten_id("x" * 250, 250) == "x" * 250


def test_a_scene_and_its_delivery_with_the_longest_ids_are_kept(registry):
    registry.scenes.sync([SceneSource(scene_id=SCENE, source_url="u" * 5000, lab=LAB)], NOW)
    assert registry.scenes.mark_started(SCENE, RUN)
    assert registry.scenes.claims()[0].running_run_id == RUN
    facts = {"lab": LAB, "scene_id": SCENE, "job_id": "j", "bundle_sha256": "0" * 64, "size_bytes": 1, "url": "u" * 5000}
    delivery = Delivery(
        delivery_id="dlv_0123456789ab", status="promoted", created_at=NOW, updated_at=NOW, receipt=None, error=None, **facts
    )
    assert registry.outbox.add(given_up_message(delivery))


def test_both_databases_refuse_what_does_not_fit(registry):
    """What SQLite would take in a test, PostgreSQL would refuse in production: with an error of ours on both."""
    with pytest.raises(BlueprintError, match="has 256 characters, and the registry keeps at most 255 there"):
        registry.runs.start(dag_id="d", run_id="r" * 256, scene_id="s", lab="l")


@pytest.mark.parametrize("row", [ROW, SimpleNamespace(scene_id="s", lab=LAB), SimpleNamespace(scene_id=SCENE, lab="l")])
def test_a_run_of_a_night_has_an_id_that_airflow_takes(row):
    """Whatever scene and lab are called; the night is still known from it."""
    night = "scheduled__2026-11-28T01:00:00+00:00"
    for name in (night, "n" * 209):
        run_id = run_id_of(name, row)
        assert len(run_id) <= RUN_ID_CHARACTERS
        assert night_of(run_id) == name
    other = SimpleNamespace(scene_id=row.scene_id, lab=f"{row.lab[:-1]}m")
    assert run_id_of(night, row) != run_id_of(night, other)


def test_a_night_whose_id_leaves_no_room_is_refused():
    with pytest.raises(NightIdTooLong, match=r"has 210 characters .* at most 209"):
        run_id_of("n" * 210, ROW)


def test_a_scene_with_a_dag_of_its_own_starts_a_run_that_airflow_takes(monkeypatch):
    """The id of its own run, the scene and the lab together may be longer."""
    started = []
    monkeypatch.setattr(TriggerDagRunOperator, "execute", lambda task, _context: started.append(task.trigger_run_id))
    task = RunSceneOperator(conf={"scene_id": SCENE, "lab": LAB})
    task.trigger_run_id = task.trigger_run_id.replace("{{ run_id }}", f"scheduled__{NOW.isoformat()}")
    task.execute({})
    assert len(started[0]) == RUN_ID_CHARACTERS
    assert started[0].startswith(f"scheduled__2026-11-28T05:00:00.123456+00:00__{SCENE}")
