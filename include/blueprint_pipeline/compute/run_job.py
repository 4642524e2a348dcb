"""Work off a job: its requests one after the other in this process, each committed on its own."""

import json
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import stamina

from blueprint_pipeline.compute.job import JobSpec
from blueprint_pipeline.compute.preflight import run_preflight
from blueprint_pipeline.compute.record import JobRecord, UnitRecord
from blueprint_pipeline.errors import BlueprintError, PreemptedError, TransientError
from blueprint_pipeline.log import get_logger, log_context
from blueprint_pipeline.public_url import public_fields
from blueprint_pipeline.registry.leases import LeaseHeld
from blueprint_pipeline.registry.sessions import RegistryUnavailable
from blueprint_pipeline.settings import Settings
from blueprint_pipeline.stage.runner import Progress, UnitOutcome, run_unit, stop_if_asked

TERMINATION_LOG = Path("/dev/termination-log")
"""Where Kubernetes reads a container's termination message from."""
_TERMINATION_BYTES = 4096
"""Kubernetes cuts a longer message off."""
_WAIT_MAX_S = 5.0
"""Between two tries at a lease or at the registry [s]: SIGTERM is heard in between, and a pod has 15 s."""

_IDS = ("scene_id", "shard_index")
"""Fields of a request that name what failed, in the log."""

Keep = Callable[[JobRecord], None]
"""Stores the record; called after each request."""


def run_job(spec: JobSpec, settings: Settings, *, keep: Keep, progress: Progress) -> JobRecord:
    """Work off all requests of a job.

    A request that fails for good ends the job, for its run fails; after one that may succeed later the others are still done.

    Raises:
        PreemptedError: SIGTERM came; what is finished is committed.
        BlueprintError: A request failed; the first permanent one, else the first.
    """
    log = _JobLog(spec, settings, keep)
    try:
        _check_machine(spec, log)
        failed = [error for index in range(len(spec.requests)) if (error := _attempt(spec, index, settings, progress, log))]
        if failed:
            raise failed[0]
    except BlueprintError as error:
        log.end("preempted" if isinstance(error, PreemptedError) else "failed", error)
        raise
    finally:
        if log.record.outcome == "running" and any(unit.state == "waiting" for unit in log.record.units):
            log.end("crashed")
    log.end("done")
    return log.record


def _check_machine(spec: JobSpec, log: "_JobLog") -> None:
    """Let a machine that cannot do the work say so now, not an hour later."""
    if spec.profile.resources.gpus:
        report = run_preflight(needs_rt_cores=spec.profile.needs_rt_cores, minimum_disk_bytes=spec.profile.minimum_disk_bytes)
        log.change(gpu=report.gpu_name)


def _attempt(spec: JobSpec, index: int, settings: Settings, progress: Progress, log: "_JobLog") -> TransientError | None:
    """Do one request; an error that may pass is returned, so that the next request has its turn."""
    stop_if_asked()
    try:
        outcome = _run_when_free(spec, index, settings, progress)
    except PreemptedError:
        raise
    except TransientError as error:
        log.failed(index, error)
        return error
    except BlueprintError as error:
        log.failed(index, error)
        raise
    commit = outcome.commit
    log.unit(
        index,
        state="done",
        result=commit.result,
        commit_key=commit.key,
        found_done=outcome.found,
        wall_s=None if outcome.found else commit.usage.wall_s,
    )
    return None


def _run_when_free(spec: JobSpec, index: int, settings: Settings, progress: Progress) -> UnitOutcome:
    """Run a request once nobody else works on it (after a failover the former pod may still live), with a registry that answers.

    What was done before the registry went away is kept, so to begin again costs little.

    Raises:
        LeaseHeld: It was not free in time.
        RegistryUnavailable: The registry did not answer for that long.
    """

    def attempt() -> UnitOutcome:
        stop_if_asked()
        return run_unit(
            spec.stage,
            dict(spec.requests[index]),
            settings,
            progress=progress,
            run_id=spec.run_id,
            attempt=str(spec.attempt),
            correlation_id=spec.correlation_id,
        )

    for_lease, for_registry = _caller(settings.compute.lease_wait_s), _caller(settings.compute.registry_wait_s)
    return for_registry(RegistryUnavailable, lambda: for_lease(LeaseHeld, attempt))


def _caller(timeout_s: float) -> stamina.RetryingCaller:
    return stamina.RetryingCaller(attempts=None, timeout=timeout_s, wait_initial=0.5, wait_max=_WAIT_MAX_S, wait_jitter=0.5)


def write_termination_message(error: BlueprintError, path: Path = TERMINATION_LOG) -> None:
    """Report to Kubernetes why the container ends, as the error's JSON, cut to what it keeps; nothing outside of a pod."""
    if path.exists():
        path.write_text(shorten_error(error.as_dict(), _TERMINATION_BYTES))


def shorten_error(error: dict[str, Any], limit: int) -> str:
    """An error as JSON of at most ``limit`` bytes: without its facts, then with a shorter message, if it must be."""
    text = json.dumps(error)
    if len(text) <= limit:
        return text
    bare = {**error, "facts": {}}
    over = len(json.dumps(bare)) - limit
    if over <= 0:
        return json.dumps(bare)
    # A character of the message is at most 12 bytes of JSON (an escaped surrogate pair): cut by the worst case only where needed.
    message = str(error["message"])
    while over > 0:
        message = message[: -max(1, over // 12)]
        over = len(json.dumps({**bare, "message": message})) - limit
    return json.dumps({**bare, "message": message})


class _JobLog:
    """The record of a running job, kept at each change."""

    def __init__(self, spec: JobSpec, settings: Settings, keep: Keep) -> None:
        self._keep = keep
        self._process = psutil.Process()
        self.record = JobRecord(
            name=spec.name,
            key=spec.key,
            stage=spec.stage,
            run_id=spec.run_id,
            attempt=spec.attempt,
            units=tuple(UnitRecord(request=public_fields(request)) for request in spec.requests),
            started_at=datetime.fromtimestamp(self._process.create_time(), UTC),
            host=socket.gethostname(),
            pod_uid=settings.compute.pod_uid,
            node=settings.compute.node,
            machine=settings.compute.machine,
        )
        self.change()

    def change(self, **fields: Any) -> None:
        times = self._process.cpu_times()
        self.record = self.record.model_copy(
            update={
                **fields,
                "wall_s": round(time.time() - self._process.create_time(), 3),
                "cpu_s": round(times.user + times.system + times.children_user + times.children_system, 3),
            }
        )
        self._keep(self.record)

    def unit(self, index: int, **fields: Any) -> None:
        units = list(self.record.units)
        units[index] = units[index].model_copy(update=fields)
        self.change(units=tuple(units))

    def failed(self, index: int, error: BlueprintError) -> None:
        """A request failed, for good or for now: told here, once."""
        self.unit(index, state="failed", error=error.as_dict())
        with log_context(**{name: str(value) for name, value in self.record.units[index].request.items() if name in _IDS}):
            get_logger().error("stage failed", **error.as_dict())

    def end(self, outcome: str, error: BlueprintError | None = None) -> None:
        self.change(outcome=outcome, error=None if error is None else error.as_dict(), finished_at=datetime.now(UTC))
        done = sum(unit.state == "done" for unit in self.record.units)
        was_told = error is None or any(unit.state == "failed" for unit in self.record.units)
        why = {} if error is None else {"code": error.code}
        if error is not None and not was_told:
            why["message"] = error.message
        log = get_logger().info if was_told else get_logger().error
        log("job ended", job=self.record.name, outcome=outcome, done=done, requests=len(self.record.units), **why)
