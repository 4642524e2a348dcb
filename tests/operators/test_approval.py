"""People decide on borderline episodes: asked once, with an end, and what they said is kept."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import TaskAwaitingInput

from blueprint_pipeline.quality.report import load_borderline, load_gate_report
from blueprint_pipeline.registry.approvals import lapse_id
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.registry.records import Message
from blueprint_pipeline.rollout.shard import simulate_shard
from blueprint_pipeline.workspace.storage import Workspace
from operators import approval_picture
from operators.approval import (
    APPROVE,
    REJECT,
    ApproveEpisodesOperator,
    build_question,
    chosen_episodes,
    describe_decision,
    unknown_episodes,
)
from operators.approval_notice import Asked
from operators.approval_picture import Picture
from operators.embedded.demo_run import EventFile, expire_approvals
from tests.airflow_home import run_dag, xcom_of
from tests.operators.gate_case import write_gates
from tests.simulation.small_job import small_context, write_job


@pytest.fixture
def drawing():
    """Name it in a test that draws."""


@pytest.fixture(autouse=True)
def _nothing_is_drawn(request, monkeypatch):
    """What is asked about is drawn by a process of its own; here it is not, where the test is about something else."""
    if "drawing" not in request.fixturenames:
        monkeypatch.setattr(approval_picture, "_draw", lambda *_: Picture(missing="this test draws nothing"))


def dag_of(name, window_s=1.0):
    with DAG(name, schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False, params={"scene_id": "s1"}) as dag:
        ApproveEpisodesOperator(task_id="approve_episodes", scene_id="{{ params.scene_id }}", window_s=window_s)
    return dag


def answer_from_outside(settings, keep, actor="ines"):
    """What a person's answer leaves in the registry."""
    report = load_gate_report(Workspace(settings.workspace).scene("s1"))
    waiting = report.with_verdict("borderline")
    approvals = open_registry(settings.registry).approvals
    asked = approvals.request(
        job_id=report.job_id, scene_id="s1", episodes=waiting, gate="penetration", message="keep?", actor="run", ttl_s=3600
    )
    return approvals.decide(asked.request_id, approve=bool(keep), actor=actor, reason="looks fine", episodes=keep or None)


def test_nobody_is_asked_where_nothing_is_borderline(environment, settings, capfd):
    """The task is skipped, and says in words why."""
    write_gates(settings, "s1", 0)
    _, tasks = run_dag(dag_of("approve_none"))
    assert tasks["approve_episodes", -1].state == "skipped"
    assert "No episode of s1 is borderline (2 kept, 1 rejected): no approval is needed." in capfd.readouterr().out


def test_silence_is_a_rejection_and_is_kept(environment, settings, tmp_path):
    """The window ends without an answer: all are rejected, by 'expiry', in the registry's audit too."""
    waiting = write_gates(settings, "s1", 2)
    with (tmp_path / "events").open("w") as stream:
        events = EventFile(stream)
        events.task = {"task_id": "approve_episodes"}
        dag = dag_of("approve_silence")
        from tests.airflow_home import prepare_database

        prepare_database()
        with expire_approvals(events):
            run, _ = run_dag(dag)
    decisions = xcom_of(run, "approve_episodes")
    assert [(d["episode_id"], d["approved"], d["decided_by"]) for d in decisions] == [(w, False, "expiry") for w in waiting]
    registry = open_registry(settings.registry)
    (asked,) = {event.request_id for event in registry.approvals.audit(_only_request(registry))}
    assert [event.action for event in registry.approvals.audit(asked)] == ["requested", "expired"]


def _only_request(registry):
    from blueprint_pipeline.registry.approvals import approval_id

    return approval_id("job-1", ["ep_10", "ep_11"])


def test_rerun_finds_the_decision_and_does_not_ask_again(environment, settings, capfd):
    """The same episodes of the same job are one question; both runs give the very same decisions."""
    write_gates(settings, "s1", 2)
    answer_from_outside(settings, ["ep_11"])
    first, _ = run_dag(dag_of("approve_again"))
    second, _ = run_dag(dag_of("approve_again"))
    decisions = xcom_of(first, "approve_episodes")
    assert [(d["episode_id"], d["approved"], d["decided_by"], d["reason"]) for d in decisions] == [
        ("ep_10", False, "ines", "looks fine"),
        ("ep_11", True, "ines", "looks fine"),
    ]
    assert xcom_of(second, "approve_episodes") == decisions
    assert "nobody is asked again" in capfd.readouterr().out


def test_decisions_are_what_record_approval_takes(environment, settings):
    """The stage accepts every decision as it comes out of the operator."""
    from blueprint_pipeline.quality.stages import RecordApprovalRequest
    from operators.approval import build_decisions

    write_gates(settings, "s1", 2)
    decisions = build_decisions(answer_from_outside(settings, []))
    assert len(RecordApprovalRequest.model_validate({"scene_id": "s1", "decisions": decisions}).decisions) == 2


@pytest.mark.parametrize(
    ("chosen", "named", "kept"),
    [(APPROVE, "", ["a", "b"]), (REJECT, "", []), (APPROVE, "a", ["a"]), (REJECT, " a ,", ["b"]), (REJECT, "a,b", [])],
)
def test_named_episodes_get_the_answer_and_the_others_its_opposite(chosen, named, kept):
    """A person can decide one by one."""
    assert chosen_episodes(["a", "b"], {"chosen_options": [chosen], "params_input": {"only_episodes": named}}) == kept


@pytest.mark.parametrize("named", ["c", ["c"], ["a", "c"]])
def test_unknown_episode_in_the_answer_is_found(named):
    """A typing error must not become a rejection of everything, nor the end of the task."""
    assert unknown_episodes(["a", "b"], {"chosen_options": [APPROVE], "params_input": {"only_episodes": named}}) == ["c"]


def answered(*names, chosen=APPROVE):
    form = {"only_episodes": list(names) or None, "review_note": None}
    return {
        "chosen_options": [chosen],
        "params_input": form,
        "responded_at": datetime.now(UTC),
        "responded_by_user": {"id": "7", "name": "ines"},
        "timedout": False,
    }


@pytest.fixture
def task(environment, settings, monkeypatch):
    """The task as it waits for two episodes, and a context; what it writes into Airflow's database is left out."""
    from airflow.providers.standard.operators import hitl

    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **_: None)
    write_gates(settings, "s1", 2)
    (operator,) = dag_of("approve_form", window_s=600).tasks
    operator.scene_id = "s1"
    ti = SimpleNamespace(id="1", dag_id="d", run_id="r", task_id="approve_episodes", map_index=-1)
    context = {"ti": ti, "task_instance": ti, "task": operator, "run_id": "r", "params": {"scene_id": "s1", "lab": "aurora_robotics"}}
    with pytest.raises(TaskAwaitingInput):
        operator.execute(context)
    return operator, context


def test_somebody_is_told_that_a_question_waits(task, settings):
    """Once a question: what was found, how to see it, where to answer, until when."""
    operator, context = task
    with pytest.raises(TaskAwaitingInput):
        operator.execute(context)
    held, asked = sorted(open_registry(settings.registry).outbox.all_of(), key=lambda item: item.status)
    told = json.dumps(asked.message.blocks)
    for words in (
        "Episodes of s1 that wait for a person: 2",
        "aurora_robotics",
        "can in table at 2.1 s",
        "then rejected",
        "bpp episode render s1 ep_10",
    ):
        assert words in told
    assert (asked.message.kind, held.message.kind, held.status) == ("approval", "unanswered", "held")


@pytest.mark.usefixtures("drawing")
def test_a_person_sees_what_is_asked_about(environment, settings, monkeypatch):
    """A picture is drawn when the question is asked, shown in the question, and linked in the message."""
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example/blue")
    folder = Path(settings.workspace.url).parent
    plan = write_job(folder, 1)
    simulate_shard(0, small_context(folder))
    episode = plan.episodes[0]
    drawn = approval_picture.draw_picture("small", [episode.episode_id])
    assert drawn.missing == ""
    (name,) = [path.name for path in (folder / "workspace/scenes/small/geniesim/strips").iterdir()]
    link = f"https://airflow.example/blue/blueprint-pipeline/pictures/small/{name}"
    assert f"![Start, first touch and end of each episode]({link})" in drawn.markdown()
    monkeypatch.setattr(approval_picture, "_draw", lambda *_: drawn)
    operator, registry = ask(settings)
    assert link in operator.body
    asked = next(item.message for item in registry.outbox.all_of() if item.message.kind == "approval")
    buttons = [button for block in asked.blocks if block["type"] == "actions" for button in block["elements"]]
    assert [button["url"] for button in buttons if button["text"]["text"] == "Picture"] == [link]


@pytest.mark.usefixtures("drawing", "environment")
@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (None, "There is no picture: [workspace.file_missing]"),
        ("exit", "There is no picture: the process that draws ended with status 3: a broken driver"),
        ("hang", "There is no picture: it was not drawn within 1 s"),
        ("spawn", "There is no picture: FileNotFoundError"),
    ],
)
def test_a_question_is_asked_without_a_picture_too(settings, monkeypatch, tmp_path, broken, why):
    """It says that there is none, and why: nothing that happens to the picture changes what is asked."""
    programs = {"exit": "echo a broken driver >&2; exit 3", "hang": "sleep 60"}
    if broken:
        program = tmp_path / "python"
        if broken in programs:
            program.write_text(f"#!/bin/sh\n{programs[broken]}\n")
            program.chmod(0o755)
        monkeypatch.setattr(approval_picture.sys, "executable", str(program))
        monkeypatch.setattr(approval_picture, "DRAW_S", 1.0)
    operator, registry = ask(settings)
    assert why in operator.body
    assert len(registry.approvals.pending()) == 1
    asked = next(item.message for item in registry.outbox.all_of() if item.message.kind == "approval")
    assert why in json.dumps(asked.blocks)


def ask(settings):
    """Ask about two episodes; the operator, and the registry."""
    write_gates(settings, "s1", 2)
    (operator,) = dag_of("approve_picture", window_s=600).tasks
    operator.scene_id = "s1"
    ti = SimpleNamespace(id="1", dag_id="d", run_id="r", task_id="approve_episodes", map_index=-1)
    with patch("airflow.providers.standard.operators.hitl.upsert_hitl_detail"), pytest.raises(TaskAwaitingInput):
        operator.execute({"ti": ti, "task_instance": ti, "task": operator, "run_id": "r", "params": {"lab": "aurora_robotics"}})
    return operator, open_registry(settings.registry)


def test_a_lapse_is_told_once_with_what_to_do(task, settings, slack):
    """Scene, lab, link and next step; nobody is told where somebody answered, and a second pass tells nothing again."""
    operator, context = task
    silent = {**answered(chosen=REJECT), "timedout": True, "responded_by_user": None}
    for _ in range(2):
        operator.execute_complete(context, silent)
    (message,) = slack.messages
    told = json.dumps(message.body)
    assert message.body["text"] == "Nobody answered. Rejected episodes of s1: 2"
    for words in ("aurora_robotics", "quality.approval_lapsed", "To be asked again, start a run of the scene"):
        assert words in told


def asked_before(settings, **ago):
    """The question as another run asked it: it had ten minutes."""
    with open_registry(settings.registry, clock=lambda: datetime.now(UTC) - timedelta(**ago)) as past:
        facts = {"job_id": "job-1", "scene_id": "s1", "episodes": ["ep_10", "ep_11"], "gate": "g", "message": "keep?", "actor": "r0"}
        asked = past.approvals.request(**facts, ttl_s=600 + 3600)
        silence = {"kind": "unanswered", "scene_id": "s1", "run_id": "r0", "text": "nobody answered"}
        past.outbox.hold(Message(message_id=lapse_id(asked.request_id), **silence))
    return asked


def test_a_question_that_is_found_again_keeps_its_end(environment, settings):
    """Half of the window is left: Airflow asks as long, and so say the message and the registry; the run that asks last is who waits."""
    first = asked_before(settings, minutes=5)
    operator, registry = ask(settings)
    assert timedelta(minutes=4) < operator.response_timeout <= timedelta(minutes=5)
    assert registry.approvals.pending() == [first]
    (told,) = [item.message for item in registry.outbox.all_of() if item.message.kind == "approval"]
    assert f"{first.created_at + timedelta(minutes=10):%Y-%m-%d %H:%M} UTC, then rejected" in json.dumps(told.blocks)
    assert [item.message.run_id for item in registry.outbox.all_of(status="held")] == ["r"]


def test_another_run_that_asks_the_same_is_told(task, settings):
    """With a link to its own question; asked again by the same run, people hear nothing new."""
    operator, context = task
    for run_id in ("r", "r2"):
        with pytest.raises(TaskAwaitingInput):
            operator.execute({**context, "run_id": run_id})
    told = [item.message.run_id for item in open_registry(settings.registry).outbox.all_of() if item.message.kind == "approval"]
    assert sorted(told) == ["r", "r2"]


def test_a_question_whose_end_has_passed_is_asked_anew(environment, settings):
    """People have a whole window again, and nobody hears of a silence."""
    first = asked_before(settings, minutes=11)
    operator, registry = ask(settings)
    assert operator.response_timeout > timedelta(minutes=9)
    (second,) = registry.approvals.pending()
    assert (second.round, registry.approvals.find(first.request_id).status) == (2, "withdrawn")
    assert [item.message.run_id for item in registry.outbox.all_of(status="held")] == ["r"]
    assert "nobody answered" not in [item.message.text for item in registry.outbox.all_of()]


def test_an_answer_in_time_tells_no_lapse(task, settings):
    operator, context = task
    operator.execute_complete(context, answered())
    assert [item.message.kind for item in open_registry(settings.registry).outbox.all_of()] == ["approval"]


def test_a_question_and_its_message_are_one_transaction(environment, settings, monkeypatch):
    """Killed between the two, neither is there: the task's next try asks, and tells."""
    from blueprint_pipeline.registry.outbox import Outbox

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Outbox, "hold", die, raising=False)
    write_gates(settings, "s1", 2)
    (operator,) = dag_of("approve_die", window_s=600).tasks
    operator.scene_id = "s1"
    with pytest.raises(KeyboardInterrupt):
        operator.execute({"ti": SimpleNamespace(dag_id="d", run_id="r"), "run_id": "r", "params": {"lab": "aurora_robotics"}})
    registry = open_registry(settings.registry)
    assert (registry.approvals.pending(), registry.outbox.all_of()) == ([], [])


def test_episodes_are_chosen_from_a_list_and_nothing_is_required(task):
    """Airflow draws a list to choose from where a schema has examples, and a red star where it has no null."""
    form = task[0].serialized_params
    assert form["only_episodes"]["schema"]["examples"] == ["ep_10", "ep_11"]
    assert all("null" in field["schema"]["type"] for field in form.values())


def test_an_answer_that_names_a_wrong_episode_is_asked_for_again(task, settings):
    """The question stays open and the message says why; the next answer counts."""
    operator, context = task
    with pytest.raises(TaskAwaitingInput):
        operator.execute_complete(context, answered("ep_10", "ep_99"))
    registry = open_registry(settings.registry)
    assert any("The answer names ep_99" in json.dumps(item.message.blocks) for item in registry.outbox.all_of())
    assert len(registry.approvals.pending()) == 1
    decisions = operator.execute_complete(context, answered("ep_10"))
    assert [(d["episode_id"], d["approved"]) for d in decisions] == [("ep_10", True), ("ep_11", False)]


def test_the_longest_run_id_hides_no_message(task, settings):
    """The question, and each answer that was not taken, are messages of their own."""
    operator, context = task
    context = {**context, "run_id": "r" * 250}
    with pytest.raises(TaskAwaitingInput):
        operator.execute(context)
    for wrong in ("ep_98", "ep_99", "ep_99"):
        with pytest.raises(TaskAwaitingInput):
            operator.execute_complete(context, answered(wrong))
    told = [item.message for item in open_registry(settings.registry).outbox.all_of() if item.message.run_id == context["run_id"]]
    refused = sorted(name for name in ("ep_98", "ep_99") for message in told if f"The answer names {name}" in json.dumps(message.blocks))
    assert refused == ["ep_98", "ep_99"]
    assert [message.kind for message in told].count("approval") == 3


def test_an_answer_counts_though_the_registry_closed_the_question_meanwhile(task, settings):
    """The person answered in Airflow's window: a round that was closed is followed by the one that is answered."""
    operator, context = task
    registry = open_registry(settings.registry)
    registry.approvals.expire(registry.approvals.pending()[0].request_id)
    assert [decision["approved"] for decision in operator.execute_complete(context, answered())] == [True, True]


def test_a_question_that_nobody_answered_is_asked_again_and_silence_stays_the_same(task):
    """Two silences give the very same decisions, so that later stages find their work done."""
    operator, context = task
    silent = {**answered(chosen=REJECT), "timedout": True, "responded_by_user": None}
    first = operator.execute_complete(context, silent)
    with pytest.raises(TaskAwaitingInput):
        operator.execute(context)
    assert operator.execute_complete(context, silent) == first
    assert {decision["decided_by"] for decision in first} == {"expiry"}


def test_question_shows_what_was_found(environment, settings):
    """The person reads gate, value, limit and place, and how many are not shown."""
    write_gates(settings, "s1", 45)
    scene = Workspace(settings.workspace).scene("s1")
    report = load_gate_report(scene)
    text = build_question(Asked(report, load_borderline(scene, report)))
    assert "| ep_10 | penetration | 0.0031 m | 0.003 m | can in table at 2.1 s |" in text
    assert "More in `geniesim/quality/verdicts/`: 5" in text


def test_who_decided():
    """A name, or an id where there is no name."""
    answer = {"responded_by_user": {"id": "7", "name": "Ines"}, "params_input": {"review_note": "fine"}}
    assert describe_decision(answer) == ("Ines", "fine")
    assert describe_decision({"responded_by_user": {"id": "7"}}) == ("7", "")
