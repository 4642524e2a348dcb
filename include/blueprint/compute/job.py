"""One job specification for every compute, and what becomes of a job."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from blueprint.errors import BlueprintError

OnEvent = Callable[[dict[str, Any]], None]
"""Called with each structured log event of the job, as parsed JSON."""


@dataclass(frozen=True, kw_only=True)
class StageJob:
    """One stage to run, wherever that is."""

    stage: str
    request: Mapping[str, object]
    run_id: str
    """The run that wants it (Airflow's ``run_id``); goes into logs and leases."""
    attempt: int = 1
    correlation_id: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables beside those of this process, e.g. secrets that were read from a connection just now."""


class Compute(Protocol):
    """Runs a stage somewhere and returns its result."""

    def run(self, job: StageJob, on_event: OnEvent) -> dict[str, Any]:
        """Run a stage to its end.

        Raises:
            StageFailed: The stage raised; the class says code, retryability and exit status.
        """

    def stop(self) -> None:
        """Ask the running stage to end between two units (SIGTERM)."""


class StageFailed(BlueprintError):
    """A stage failed in another process; this carries what that process said."""

    code = "stage.failed"

    def __init__(self, stage: str, error: Mapping[str, Any]) -> None:
        super().__init__(str(error["message"]))
        self.facts = {**(error.get("facts") or {}), "stage": stage}
        self.code = str(error["code"])  # type: ignore[misc]  # of this one failure
        self.retryable = bool(error["retryable"])  # type: ignore[misc]  # of this one failure
        self.exit_code = int(error["exit_code"])  # type: ignore[misc]  # of this one failure
        self.stage = stage
