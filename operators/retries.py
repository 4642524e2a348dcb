"""When Airflow tries a task again: the error tree decides, not a count alone.

====================  =============================================================================
preempted             at once, and without spending a retry: what was finished is committed
transient             after a pause that doubles, as often as the task may really fail
permanent             never: the same input fails again
unknown exception     as transient: a defect may also be a lost machine
====================  =============================================================================

Airflow counts every try, whatever the policy says (its server compares ``try_number`` with ``max_tries``). So a task is
given tries for both, and real failures are counted apart, in the task's own state, which outlives a try. Its page in the UI says
what the large number of retries means. From the second try on, a log begins with which attempt the try is; the log of a try that
was preempted, or met an error that may pass, ends with it.
"""

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import RetryPolicy
from airflow.sdk.definitions.retry_policy import RetryDecision
from airflow.sdk.exceptions import AirflowFailException, AirflowRuntimeError

from blueprint_pipeline.compute.job import StageFailed
from blueprint_pipeline.errors import BlueprintError, PreemptedError, TransientError

if TYPE_CHECKING:
    from airflow.sdk import Context

FAILURES_KEY = "real_failures"
"""Where a task's state keeps how often it really failed; `max_tries` is part of the key."""
PREEMPTIONS = 20
"""How often a task may be preempted beside."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class StageRetryPolicy(RetryPolicy):
    """Decide by the error's class, and count real failures apart from preemptions."""

    failures: int
    """How often a task is tried again after a real failure."""
    delay: timedelta
    """Pause after the first real failure; it doubles with each."""
    max_delay: timedelta = timedelta(minutes=10)

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: "Context | None" = None) -> RetryDecision:
        """Whether and when to try again."""
        if isinstance(exception, PreemptedError):
            failed = _failures(context, max_tries)
            at = "the task" if failed is None else self.describe_attempt(failed + 1, try_number + 1, max_tries)
            return RetryDecision.retry(timedelta(0), f"preempted, finished units are kept: {at} resumes at once")
        if _is_permanent(exception):
            return RetryDecision.fail("permanent: the same input fails again")
        failed = _count_failure(context, max_tries)
        if failed is None:
            failed = try_number
            if context is not None:
                log.warning("the task's state cannot be reached: this try counts as a real failure, and so do all before it")
        at = self.describe_attempt(failed, try_number, max_tries)
        if failed > self.failures:
            return RetryDecision.fail(f"{at} failed, and it was the last")
        pause = min(self.delay * 2 ** (failed - 1), self.max_delay)
        return RetryDecision.retry(pause, f"{at} failed, the next begins in {pause.total_seconds():.0f} s")

    def is_last(self, exception: BaseException, context: "Context") -> bool:
        """Whether a task that raises this now has failed for good. Nothing is counted."""
        ti = context["ti"]
        if ti.try_number > ti.max_tries or isinstance(exception, AirflowFailException) or _is_permanent(exception):
            return True
        failed = _failures(context, ti.max_tries)
        return not isinstance(exception, PreemptedError) and (ti.try_number - 1 if failed is None else failed) >= self.failures

    def count_attempts(self, context: "Context", exception: BaseException | None) -> int:
        """Attempts of a task that has failed for good, this one among them; preemptions are none.

        Where the task's state cannot be reached, every try counts as one. Nor is it asked for without an exception: a task that was
        ended from outside has its callback in Airflow's DAG processor, which waits for ever when it is asked for a state.
        """
        ti = context["ti"]
        failed = None if exception is None else _failures(context, ti.max_tries)
        if failed is None:
            return int(ti.try_number)
        return failed + (1 if isinstance(exception, AirflowFailException) or _is_permanent(exception) else 0)

    def describe_attempt(self, attempt: int, try_number: int, max_tries: int) -> str:
        """Which attempt a try is, and how many tries were not counted."""
        of, first = self.failures + 1, max(0, max_tries - self.failures - PREEMPTIONS)
        preempted = max(0, try_number - first - attempt)
        return f"attempt {attempt} of {of}" + (f" (preemptions, not counted: {preempted})" if preempted else "")


def log_attempt(context: "Context") -> None:
    """Begin the log of a try that is not the first with which attempt it is, where the task's state can be reached."""
    ti, policy = context["ti"], getattr(context.get("task"), "retry_policy", None)
    if ti.try_number <= 1 or not isinstance(policy, StageRetryPolicy):
        return
    failed = _failures(context, ti.max_tries)
    if failed is not None:
        log.info("%s", policy.describe_attempt(failed + 1, ti.try_number, ti.max_tries))


def _is_permanent(exception: BaseException | None) -> bool:
    return isinstance(exception, BlueprintError) and not isinstance(exception, TransientError | PreemptedError)


def _failures(context: "Context | None", max_tries: int) -> int | None:
    """Real failures so far; ``None`` where the task's state cannot be reached.

    Airflow keeps a task's state when it is cleared, and raises its ``max_tries``: a cleared task begins to count again.
    """
    store = None if context is None else context.get("task_state_store")
    if store is None:
        return None
    try:
        found = store.get(_key(max_tries), 0)
    except AirflowRuntimeError:
        return None
    return found if isinstance(found, int) else 0


def _count_failure(context: "Context | None", max_tries: int) -> int | None:
    """Count one more real failure; ``None`` where the task's state cannot be reached."""
    failed = _failures(context, max_tries)
    if context is None or failed is None:
        return None
    try:
        context["task_state_store"].set(_key(max_tries), failed + 1)
    except AirflowRuntimeError:
        return None
    return failed + 1


def _key(max_tries: int) -> str:
    return f"{FAILURES_KEY}_of_{max_tries}"


def build_retries(failures: int = 3, delay: timedelta = timedelta(seconds=20)) -> dict[str, Any]:
    """Arguments of a task that may really fail ``failures`` times before it has failed for good."""
    retries = failures + PREEMPTIONS
    return {
        "retries": retries,
        "retry_delay": delay,
        "retry_policy": StageRetryPolicy(failures=failures, delay=delay),
        "pre_execute": log_attempt,
        "doc_md": (
            f"**{failures + 1} attempts** before this task has failed for good. `retries: {retries}` is {failures} after real failures, "
            f"and room for {PREEMPTIONS} preemptions, which are not counted. An error that no retry can help ends it at once. "
            "From the second try on, the log begins with which attempt the try is."
        ),
    }


STAGE_RETRIES: dict[str, Any] = build_retries()
"""Arguments of every task that runs a stage."""


class StagePreempted(PreemptedError):
    """A stage's process was asked to end."""

    code = "stage.preempted"
    template = "{error}"

    error: StageFailed

    @property
    def facts(self) -> dict[str, object]:
        """The facts of the process."""
        return self.error.facts


class StageUnavailable(TransientError):
    """A stage failed for a reason that may pass."""

    code = "stage.unavailable"
    template = "{error}"

    error: StageFailed

    @property
    def facts(self) -> dict[str, object]:
        """The facts of the process."""
        return self.error.facts


def as_known(error: Exception) -> Exception:
    """What may pass and was said in another process, as a class that the policy knows; every other error as it is."""
    if not isinstance(error, StageFailed) or not error.retryable:
        return error
    kind = StagePreempted if error.exit_code == PreemptedError.exit_code else StageUnavailable
    return kind(error)


def raise_for_airflow(error: BlueprintError) -> NoReturn:
    """Raise what Airflow understands for a BlueprintError.

    Raises:
        AirflowFailException: The error is permanent; the whole message goes along.
        PreemptedError: The stage was asked to end: Airflow tries again at once.
        TransientError: Airflow tries again after a pause.
    """
    if not error.retryable:
        log.error("%s", error)  # on a line of its own: the UI shows the exception's on one that is cut off
        raise AirflowFailException(str(error)) from None  # the message is whole; frames of this process say nothing of another one
    known = as_known(error)
    raise known from None
