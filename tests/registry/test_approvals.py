"""Questions to people outlive restarts, end by themselves, and leave a trace."""

from contextlib import suppress

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from blueprint_pipeline.registry.approvals import ApprovalDecided, EpisodesNotAsked, approval_id, lapse_id
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.registry.errors import RecordMissing
from blueprint_pipeline.registry.records import ApprovalStatus, Message
from blueprint_pipeline.registry.sessions import RegistryUnavailable
from blueprint_pipeline.settings import RegistrySettings


def ask(registry, episodes=("e2", "e1"), **changes):
    facts = {
        "job_id": "job-1",
        "scene_id": "s",
        "episodes": episodes,
        "gate": "collision",
        "message": "near the limit",
        "actor": "run-1",
        "ttl_s": 3600,
    }
    return registry.approvals.request(**{**facts, **changes})


def test_a_rerun_does_not_ask_again(registry):
    """The same episodes of the same job, in any order, are one request, also when it was decided; other episodes are another."""
    first = ask(registry)
    registry.approvals.decide(first.request_id, approve=True, actor="ann", reason="looks fine")
    again = ask(registry, episodes=["e1", "e2", "e1"], actor="run-2")
    assert (again.request_id, again.status) == (first.request_id, ApprovalStatus.APPROVED)
    assert ask(registry, episodes=["e1"]).request_id != first.request_id
    assert ask(registry, job_id="job-2").request_id != first.request_id
    assert first.request_id == approval_id("job-1", ["e1", "e2"])


def test_an_approval_survives_a_restart(url, clock):
    """What was decided before the process ended is there afterwards, audit and all."""
    with open_registry(RegistrySettings(url=url), clock) as registry:
        request = ask(registry)
        registry.approvals.decide(request.request_id, approve=True, actor="ann", reason="looks fine", episodes=["e1"])
    with open_registry(RegistrySettings(url=url), clock) as registry:
        found = registry.approvals.find(request.request_id)
        assert (found.status, found.actor, found.approved_episodes) == (ApprovalStatus.APPROVED, "ann", ("e1",))
        events = registry.approvals.audit(request.request_id)
    assert [(event.action, event.actor, event.reason) for event in events] == [
        ("requested", "run-1", "near the limit"),
        ("approved", "ann", "looks fine"),
    ]


def test_approving_all_and_rejecting(registry):
    """Without a list all asked episodes are approved; a rejection approves none."""
    assert registry.approvals.decide(ask(registry).request_id, approve=True, actor="ann", reason="ok").approved_episodes == ("e1", "e2")
    rejected = registry.approvals.decide(ask(registry, job_id="job-2").request_id, approve=False, actor="ann", reason="no")
    assert (rejected.status, rejected.approved_episodes) == (ApprovalStatus.REJECTED, ())


def test_a_decision_is_final(registry):
    """The same answer by the same person again changes nothing; another answer is refused."""
    request = ask(registry)
    registry.approvals.decide(request.request_id, approve=True, actor="ann", reason="ok")
    registry.approvals.decide(request.request_id, approve=True, actor="ann", reason="ok")
    assert len(registry.approvals.audit(request.request_id)) == 2
    with pytest.raises(ApprovalDecided) as refused:
        registry.approvals.decide(request.request_id, approve=False, actor="bob", reason="no")
    assert refused.value.facts["actor"] == "ann"


def test_silence_is_a_rejection(registry, clock):
    """When the time is over the request expires, nothing is approved, and a late yes is refused."""
    early, late = ask(registry), ask(registry, job_id="job-2", ttl_s=7200)
    assert registry.approvals.expire_due() == []
    clock.advance(seconds=3600)
    assert [item.request_id for item in registry.approvals.pending()] == [early.request_id, late.request_id]
    expired = registry.approvals.expire_due()
    assert [(item.request_id, item.status, item.approved_episodes) for item in expired] == [(early.request_id, ApprovalStatus.EXPIRED, ())]
    assert registry.approvals.expire_due(clock()) == []
    with pytest.raises(ApprovalDecided):
        registry.approvals.decide(early.request_id, approve=True, actor="ann", reason="sorry, late")
    assert [event.action for event in registry.approvals.audit(early.request_id)] == ["requested", "expired"]


@pytest.mark.parametrize("closer", ["expire", "expire_due", "request", "decide"])
def test_a_lapse_releases_its_message_once(registry, clock, closer):
    """Whoever finds that the time is over: people are told in the same transaction, and by a second pass not again."""
    asked = ask(registry)
    registry.outbox.hold(Message(message_id=lapse_id(asked.request_id), kind="unanswered", text="nobody answered"))
    assert registry.outbox.take() == []
    clock.advance(seconds=3600)
    closers = {
        "expire": lambda: registry.approvals.expire(asked.request_id),
        "expire_due": registry.approvals.expire_due,
        "request": lambda: ask(registry),
        "decide": lambda: registry.approvals.decide(asked.request_id, approve=False, actor="ann", reason="late"),
    }
    with suppress(ApprovalDecided):
        closers[closer]()
    (told,) = registry.outbox.take()
    assert (told.message.text, told.created_at) == ("nobody answered", clock())
    registry.outbox.mark_sent(told.message.message_id, "slack")
    for again in closers.values():
        with suppress(ApprovalDecided):
            again()
    assert [item.status for item in registry.outbox.all_of()] == ["sent"]


def test_an_answer_withdraws_the_message_of_a_lapse(registry, clock):
    """It would be wrong now."""
    asked = ask(registry)
    registry.outbox.hold(Message(message_id=lapse_id(asked.request_id), kind="unanswered", text="nobody answered"))
    registry.approvals.decide(asked.request_id, approve=False, actor="ann", reason="no")
    clock.advance(seconds=3601)
    assert registry.approvals.expire_due() == []
    assert registry.outbox.all_of() == []


def hold(registry, asked, run_id):
    """What a run that asks writes down."""
    facts = {"kind": "unanswered", "scene_id": "s", "run_id": run_id, "text": "nobody answered"}
    registry.outbox.hold(Message(message_id=lapse_id(asked.request_id), **facts))


def test_a_run_that_is_over_withdraws_its_questions(registry, clock):
    """Nobody waits for the answer: its end is no lapse, is no decision, and asking again opens another round."""
    asked = ask(registry)
    hold(registry, asked, "run-1")
    assert registry.approvals.withdraw_all("s", "run-2") == registry.approvals.withdraw_all("other", "run-1") == []
    assert registry.approvals.withdraw_all("s", "run-1") == [asked.request_id]
    clock.advance(seconds=3601)
    assert registry.approvals.expire_due() == registry.outbox.all_of() == []
    assert registry.approvals.standing("job-1", ["e1", "e2"]) is None
    with pytest.raises(ApprovalDecided):
        registry.approvals.decide(asked.request_id, approve=True, actor="ann", reason="late")
    assert [event.action for event in registry.approvals.audit(asked.request_id)] == ["requested", "withdrawn"]
    again = ask(registry)
    assert (again.round, again.status) == (2, ApprovalStatus.PENDING)


def test_the_run_that_asked_last_has_the_question(registry):
    """The first run is over; the second one still waits."""
    asked = ask(registry)
    for run_id in ("run-1", "run-2"):
        hold(registry, asked, run_id)
    assert registry.approvals.withdraw_all("s", "run-1") == []
    assert registry.approvals.withdraw_all("s", "run-2") == [asked.request_id]


def test_a_decision_is_not_withdrawn(registry):
    asked = ask(registry)
    hold(registry, asked, "run-1")
    registry.approvals.decide(asked.request_id, approve=True, actor="ann", reason="ok")
    assert registry.approvals.withdraw(asked.request_id, actor="run-1", reason="over").status == ApprovalStatus.APPROVED


def test_a_decision_closes_its_own_question_alone(registry):
    """Of two that wait, the other still waits."""
    asked, other = ask(registry), ask(registry, job_id="job-2")
    registry.approvals.decide(asked.request_id, approve=True, actor="ann", reason="ok")
    assert [item.request_id for item in registry.approvals.pending()] == [other.request_id]


@pytest.mark.parametrize("actor", ["ann", "ines"])
def test_a_rejection_by_a_person_stands(registry, actor):
    """It is no silence, whatever the person is called: the question is not asked again, and the answer is no."""
    first = ask(registry)
    rejected = registry.approvals.decide(first.request_id, approve=False, actor=actor, reason="no")
    assert ask(registry).request_id == first.request_id
    assert registry.approvals.standing("job-1", ["e1", "e2"]) == rejected


def test_an_open_round_is_no_answer(registry):
    """While a person is asked again, what stands is the silence before."""
    lapsed = registry.approvals.expire(ask(registry).request_id)
    assert ask(registry).status is ApprovalStatus.PENDING
    assert registry.approvals.standing("job-1", ["e1", "e2"]) == lapsed


def test_the_first_of_three_silences_stands(registry, clock):
    """Each later one says the same."""
    first = registry.approvals.expire(ask(registry).request_id)
    for _ in range(2):
        clock.advance(seconds=5)
        registry.approvals.expire(ask(registry).request_id)
    assert registry.approvals.standing("job-1", ["e1", "e2"]) == first


def test_ids_of_rounds_are_those_of_earlier_versions():
    """They stand in registries and in Slack: the first round is the question alone, the others are told apart by their number."""
    ids = [approval_id("job-1", ["e2", "e1"], round_) for round_ in (1, 2, 3)]
    assert ids == ["apr_da781835628f", "apr_64deca7f2498", "apr_9bd060352d69"]


def test_a_late_answer_expires_the_request_itself(registry, clock):
    """Nobody needs to run the expiry: an answer after the end finds the request expired, and that stays."""
    request = ask(registry)
    clock.advance(seconds=3601)
    with pytest.raises(ApprovalDecided):
        registry.approvals.decide(request.request_id, approve=True, actor="ann", reason="late")
    assert registry.approvals.find(request.request_id).status is ApprovalStatus.EXPIRED


def test_only_asked_episodes_can_be_approved(registry):
    """An approval cannot smuggle in an episode, and nothing is decided by trying."""
    request = ask(registry)
    with pytest.raises(EpisodesNotAsked):
        registry.approvals.decide(request.request_id, approve=True, actor="ann", reason="ok", episodes=["e1", "e9"])
    assert registry.approvals.find(request.request_id).status is ApprovalStatus.PENDING


def test_an_unknown_request_is_an_error(registry):
    """A wrong id is said, not ignored."""
    with pytest.raises(RecordMissing):
        registry.approvals.decide("apr_000000000000", approve=True, actor="ann", reason="ok")
    assert registry.approvals.find("apr_000000000000") is None


@pytest.mark.parametrize("statement", ["UPDATE approval_audit SET actor = 'eve'", "DELETE FROM approval_audit"])
def test_the_audit_is_append_only(registry, statement):
    """The database itself refuses to change or remove a line of the audit."""
    request = ask(registry)
    with pytest.raises((DatabaseError, RegistryUnavailable), match="append-only"), registry.database.write() as session:
        session.execute(text(statement))
    assert registry.approvals.audit(request.request_id)[0].actor == "run-1"


def test_a_question_that_lapsed_can_be_asked_and_answered_again(registry, clock):
    """Whether the expiry ran or not: asking again closes the round that nobody answered and opens the next, which a person can answer."""
    first = ask(registry)
    clock.advance(seconds=3601)
    second = ask(registry, actor="run-2")
    assert (second.round, second.status) == (2, ApprovalStatus.PENDING)
    assert registry.approvals.find(first.request_id).status is ApprovalStatus.EXPIRED
    assert ask(registry, actor="run-3").request_id == second.request_id
    registry.approvals.decide(second.request_id, approve=True, actor="ann", reason="seen now")
    assert ask(registry, actor="run-4").request_id == second.request_id
    assert registry.approvals.standing("job-1", ["e1", "e2"]).approved_episodes == ("e1", "e2")


def test_silence_after_silence_is_the_same_answer(registry, clock):
    """A stage that reads the answer finds its work done, though the question was asked again in vain; nothing was answered before."""
    assert registry.approvals.standing("job-1", ["e1", "e2"]) is None
    first = registry.approvals.expire(ask(registry).request_id)
    clock.advance(seconds=5)
    registry.approvals.expire(ask(registry).request_id)
    assert registry.approvals.standing("job-1", ["e2", "e1"]) == first


def test_a_rejection_by_the_clock_of_an_older_version_is_silence_too(registry):
    """It was recorded as a rejection, which nobody could undo."""
    registry.approvals.decide(ask(registry).request_id, approve=False, actor="expiry", reason="no answer")
    assert ask(registry).round == 2


def test_what_a_person_decided_does_not_expire(registry, clock):
    """Closing a request that was answered changes nothing."""
    request = ask(registry)
    registry.approvals.decide(request.request_id, approve=False, actor="ann", reason="no")
    assert registry.approvals.expire(request.request_id).status is ApprovalStatus.REJECTED
    clock.advance(days=9)
    assert ask(registry).request_id == request.request_id
