"""Real failures are counted apart from preemptions, in the task's own state."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowFailException, AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from blueprint_pipeline.compute.errors import NoCapacity, PodLost
from blueprint_pipeline.compute.job import StageFailed
from blueprint_pipeline.errors import TransientError
from operators.retries import (
    PREEMPTIONS,
    STAGE_RETRIES,
    StagePreempted,
    StageRetryPolicy,
    StageUnavailable,
    build_retries,
    log_attempt,
    raise_for_airflow,
)
from tests.sample_errors import BadInput, Unavailable

POLICY = StageRetryPolicy(failures=2, delay=timedelta(seconds=20), max_delay=timedelta(seconds=30))
LOST, FULL = PodLost("p", "c", "r"), NoCapacity("p", ["c"], "r")


class Store(dict):
    """A task's state."""

    def set(self, key, value):
        self[key] = value


def test_preemptions_spend_nothing():
    """Twenty of them, then real failures have all their retries, each after a longer pause."""
    context = {"task_state_store": Store()}
    for number in range(1, PREEMPTIONS + 1):
        decision = POLICY.evaluate(LOST, number, 99, context)
        assert (decision.action, decision.retry_delay) == (RetryAction.RETRY, timedelta(0))
    pauses = []
    for number in range(21, 24):
        decision = POLICY.evaluate(FULL if number % 2 else ValueError("a defect"), number, 99, context)
        pauses.append((decision.action, decision.retry_delay))
    assert pauses == [(RetryAction.RETRY, timedelta(seconds=20)), (RetryAction.RETRY, timedelta(seconds=30)), (RetryAction.FAIL, None)]


def test_a_cleared_task_counts_anew():
    """Airflow keeps the state of a task that on-call clears, and raises its ``max_tries`` by its retries."""
    context = {"task_state_store": Store()}
    actions = [POLICY.evaluate(FULL, number, 22, context).action for number in (1, 2, 3)]
    assert actions == [RetryAction.RETRY, RetryAction.RETRY, RetryAction.FAIL]
    assert POLICY.evaluate(FULL, 4, 25, context).action is RetryAction.RETRY


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize(
    "raised",
    [[FULL, FULL, FULL], [LOST, FULL, LOST, ValueError("x"), OSError("y")], [BadInput("z")], [LOST, LOST], [FULL, LOST, BadInput("z")]],
)
def test_who_asks_whether_a_failure_is_the_last_hears_what_the_policy_decides_then(raised, kept):
    """Without counting it; where the task's state cannot be reached, too. After its last try, any failure is the last."""
    store = {"task_state_store": Store()} if kept else {}
    for number, error in enumerate(raised, start=1):
        context = {**store, "ti": SimpleNamespace(try_number=number, max_tries=9)}
        asked = [POLICY.is_last(error, context) for _ in range(2)]
        decided = POLICY.evaluate(error, number, 9, context).action is RetryAction.FAIL
        assert asked == [decided, decided]
        assert POLICY.is_last(error, {**store, "ti": SimpleNamespace(try_number=10, max_tries=9)})


def test_people_read_which_attempt_a_try_is():
    """Airflow shows the seventh try of 24; the log says that it was the second attempt of four, also after the task was cleared."""
    for cleared_at in (0, 5):
        context, max_tries = {"task_state_store": Store()}, cleared_at + STAGE_RETRIES["retries"]
        policy = STAGE_RETRIES["retry_policy"]
        reasons = [
            policy.evaluate(error, cleared_at + number, max_tries, context).reason
            for number, error in enumerate([FULL, *[LOST] * 5, FULL, LOST, FULL, FULL], start=1)
        ]
        assert reasons[0] == "attempt 1 of 4 failed, the next begins in 20 s"
        assert reasons[5] == "preempted, finished units are kept: attempt 2 of 4 (preemptions, not counted: 5) resumes at once"
        assert reasons[6] == "attempt 2 of 4 (preemptions, not counted: 5) failed, the next begins in 40 s"
        assert reasons[9] == "attempt 4 of 4 (preemptions, not counted: 6) failed, and it was the last"


def test_a_try_begins_with_which_attempt_it_is_and_the_page_says_what_retries_means(caplog):
    """The task's page in the UI shows its documentation."""
    from airflow.sdk import BaseOperator

    task = BaseOperator(task_id="t", **STAGE_RETRIES)
    ti = SimpleNamespace(try_number=7, max_tries=23)
    context = {"ti": ti, "task": task, "task_state_store": Store({"real_failures_of_23": 1})}
    with caplog.at_level("INFO"):
        log_attempt(context)
    assert caplog.messages == ["attempt 2 of 4 (preemptions, not counted: 5)"]
    assert "**4 attempts**" in task.doc_md
    assert "`retries: 23` is 3 after real failures, and room for 20 preemptions" in task.doc_md


@pytest.mark.parametrize(("error", "attempts"), [(FULL, 4), (ValueError("a defect"), 4), (AirflowFailException("[a.b] no"), 5)])
def test_an_alert_counts_attempts_and_no_preemptions(error, attempts):
    """An error that may pass was counted when the policy was asked about it; what the policy is not asked about is one more."""
    context = {"ti": SimpleNamespace(try_number=20, max_tries=23), "task_state_store": Store({"real_failures_of_23": 4})}
    assert STAGE_RETRIES["retry_policy"].count_attempts(context, error) == attempts


class Unanswered(dict):
    """A state that must not be asked for: Airflow's DAG processor never gets an answer."""

    def get(self, *_):
        pytest.fail("the DAG processor would wait for ever")


def test_a_task_that_was_ended_from_outside_does_not_ask_for_its_state():
    """Its worker is gone: Airflow calls back in its DAG processor, without an exception, with a state that cannot be asked for there."""
    context = {"ti": SimpleNamespace(try_number=5, max_tries=23), "task_state_store": Unanswered()}
    assert STAGE_RETRIES["retry_policy"].count_attempts(context, None) == 5


class Unreachable(dict):
    """A state that Airflow's server does not give out."""

    def get(self, *_):
        raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 500}))


@pytest.mark.parametrize("facts", [{}, {"task_state_store": Unreachable()}])
def test_where_the_state_cannot_be_reached_every_try_is_an_attempt(facts, caplog):
    """The alert and the decision say the same number; nothing is said of preemptions, which are not known."""
    from airflow.sdk import BaseOperator

    policy = STAGE_RETRIES["retry_policy"]
    context = {"ti": SimpleNamespace(try_number=7, max_tries=23), "task": BaseOperator(task_id="t", **STAGE_RETRIES), **facts}
    with caplog.at_level("INFO"):
        log_attempt(context)
    assert caplog.messages == []
    assert policy.evaluate(FULL, 4, 23, context).reason == "attempt 4 of 4 failed, and it was the last"
    assert policy.evaluate(LOST, 4, 23, context).reason == "preempted, finished units are kept: the task resumes at once"
    assert {policy.count_attempts(context, error) for error in (FULL, AirflowFailException("[a.b] no"))} == {7}


def test_permanent_errors_fail_at_once():
    assert POLICY.evaluate(BadInput("bad"), 1, 99, {"task_state_store": Store()}).action is RetryAction.FAIL


def test_without_a_state_every_try_counts():
    """Rather too few tries than endless ones."""
    assert POLICY.evaluate(FULL, 2, 99, None).action is RetryAction.RETRY
    assert POLICY.evaluate(FULL, 3, 99, {}).action is RetryAction.FAIL


def test_airflow_is_given_tries_for_both():
    assert build_retries(3)["retries"] == 3 + PREEMPTIONS


def failed(retryable, exit_code):
    return StageFailed({"code": "a.b", "message": "why", "retryable": retryable, "exit_code": exit_code, "facts": {"x": 1}}, "s")


def test_the_log_has_a_permanent_error_on_a_line_of_its_own(caplog):
    """Beside the exception, whose line the UI cuts off."""
    with pytest.raises(AirflowFailException):
        raise_for_airflow(failed(False, 65))
    assert [record.getMessage() for record in caplog.records] == ["[a.b] why"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (failed(False, 65), AirflowFailException),
        (failed(True, 75), StageUnavailable),
        (failed(True, 143), StagePreempted),
        (Unavailable("x"), TransientError),
        (BadInput("x"), AirflowFailException),
    ],
)
def test_an_error_of_a_stage_becomes_what_the_policy_knows(error, expected):
    """Permanent ones reach Airflow as its own; the others keep their class, or get that of their exit code."""
    with pytest.raises(expected):
        raise_for_airflow(error)
