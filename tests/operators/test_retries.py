"""Real failures are counted apart from preemptions, in the task's own state."""

from datetime import timedelta

import pytest
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowFailException

from blueprint_pipeline.compute.errors import NoCapacity, PodLost
from blueprint_pipeline.compute.job import StageFailed
from blueprint_pipeline.errors import TransientError
from operators.retries import PREEMPTIONS, StagePreempted, StageRetryPolicy, StageUnavailable, build_retries, raise_for_airflow
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
