"""When Airflow tries a task again: the error tree decides, not a count alone.

====================  ==========================================================
preempted             at once: what was finished is committed, the next try resumes
transient             after the task's delay, which doubles
permanent             never: the same input fails again
unknown exception     as transient: a defect may also be a lost machine
====================  ==========================================================
"""

from datetime import timedelta
from typing import Any, NoReturn

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule
from airflow.sdk.exceptions import AirflowFailException

from blueprint.compute.job import StageFailed
from blueprint.errors import BlueprintError, PreemptedError, TransientError

RETRY_BY_ERROR_CLASS = ExceptionRetryPolicy(
    rules=[
        RetryRule(PreemptedError, RetryAction.RETRY, retry_delay=timedelta(0), reason="preempted: finished units are kept, resume at once"),
        RetryRule(TransientError, RetryAction.DEFAULT, reason="transient: try again after a pause"),
        RetryRule(BlueprintError, RetryAction.FAIL, reason="permanent: the same input fails again"),
    ],
    default=RetryAction.DEFAULT,
)

STAGE_RETRIES: dict[str, Any] = {
    "retries": 3,
    "retry_delay": timedelta(seconds=20),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=10),
    "retry_policy": RETRY_BY_ERROR_CLASS,
}
"""Arguments of every task that runs a stage."""


class StagePreempted(PreemptedError):
    """A stage's process was asked to end."""

    code = "stage.preempted"


class StageUnavailable(TransientError):
    """A stage failed for a reason that may pass."""

    code = "stage.unavailable"


def raise_for_airflow(error: BlueprintError) -> NoReturn:
    """Raise what Airflow understands for an error of ours.

    Raises:
        AirflowFailException: The error is permanent; the whole message goes along.
        PreemptedError: The stage was asked to end: Airflow tries again at once.
        TransientError: Airflow tries again after a pause.
    """
    if not error.retryable:
        raise AirflowFailException(str(error)) from error
    if not isinstance(error, StageFailed):
        raise error
    kind = StagePreempted if error.exit_code == PreemptedError.exit_code else StageUnavailable
    translated = kind(str(error))
    translated.facts = error.facts
    raise translated from error
