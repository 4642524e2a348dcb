"""One job specification for every compute, and what becomes of a job."""

from collections.abc import Callable
from typing import Any, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, SecretStr, model_validator

from blueprint_pipeline.compute.profiles import Profile
from blueprint_pipeline.errors import RelayedError
from blueprint_pipeline.registry.ids import run_name
from blueprint_pipeline.workspace.canonical import key_of

OnEvent = Callable[[dict[str, Any]], None]
"""Called with each structured log event of the job, as parsed JSON."""

_KEY_LENGTH = 20
"""Hex digits of the key in a pod's name."""


class JobSpec(BaseModel):
    """Requests of one stage on one scene, to be worked off one after the other by one process, wherever that is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    requests: tuple[dict[str, JsonValue], ...] = Field(min_length=1)
    """Fields of the stage's request, one of each unit of work (a shard), in order."""
    run_id: str
    """The run that wants it (Airflow's ``run_id``)."""
    dag_id: str = ""
    """The DAG of that run; two DAGs of one schedule have runs of one id."""
    attempt: int = 1
    profile: Profile = Profile()
    secrets: dict[str, SecretStr] = Field(default={}, exclude=True, repr=False)
    """Variables that were read from a connection just now: given to a process, never written down."""

    @model_validator(mode="after")
    def _is_of_one_scene(self) -> Self:
        found = sorted({str(request.get("scene_id")) for request in self.requests})
        if len(found) > 1:
            raise ValueError(f"the requests of a job are of one scene, found {', '.join(found)}")
        return self

    @property
    def scene_id(self) -> str:
        """The scene of all requests."""
        return str(self.requests[0].get("scene_id"))

    @property
    def key(self) -> str:
        """What makes two jobs the same: stage, requests, run and image; neither time nor attempt. 64 hex digits."""
        return key_of({"stage": self.stage, "requests": list(self.requests), "run": self.correlation_id, "image": self.profile.image})

    @property
    def correlation_id(self) -> str:
        """Who wants it, among all runs: in logs, and as the holder of its leases."""
        return run_name(self.dag_id, self.run_id) if self.dag_id else self.run_id

    @property
    def name(self) -> str:
        """The pod's name: a cluster has no two of it.

        Source: Kubernetes, "Object Names and IDs", DNS label names (RFC 1123).
        """
        return f"{self.stage.replace('_', '-')}-{self.key[:_KEY_LENGTH]}"


class UnitDone(BaseModel):
    """A request of a job that is done."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    result: dict[str, Any]
    """What the stage returned."""
    found_done: bool
    """The work had been done before, and was found by its commit."""


class Compute(Protocol):
    """Runs jobs somewhere and returns what was done."""

    def run(self, spec: JobSpec, on_event: OnEvent) -> list[UnitDone]:
        """Run a job to its end; one answer a request.

        Raises:
            StageFailed: A stage raised; the class says code, retryability and exit status.
        """

    def stop(self) -> None:
        """Ask the running job to end between two units (SIGTERM)."""


class StageFailed(RelayedError):
    """A stage failed in another process; this carries that process's error."""

    code = "stage.failed"

    stage: str
