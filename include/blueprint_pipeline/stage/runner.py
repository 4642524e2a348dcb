"""Run one stage: lease, inputs verified, the same key never worked twice, promoted whole, committed last."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import FrameType
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from blueprint_pipeline.errors import BlueprintError, GateError, InputError, Interrupted
from blueprint_pipeline.log import get_logger, log_context
from blueprint_pipeline.price.ledger import ledger_entries
from blueprint_pipeline.price.table import load_price_table
from blueprint_pipeline.price.usage import measure_usage
from blueprint_pipeline.public_url import public_fields, public_url
from blueprint_pipeline.registry.database import Registry, open_registry
from blueprint_pipeline.registry.ids import shorten_id
from blueprint_pipeline.registry.leases import HeldLease, lease_holder
from blueprint_pipeline.settings import Settings
from blueprint_pipeline.stage.attempt import StageAttempt
from blueprint_pipeline.stage.code import CodeIndex
from blueprint_pipeline.stage.contract import Stage, StageContext, StageRequest, StageResult
from blueprint_pipeline.stage.flow import STAGES, load_count, load_stage
from blueprint_pipeline.stage.inputs import read_inputs
from blueprint_pipeline.workspace.checksums import FileDigest
from blueprint_pipeline.workspace.commits import (
    Commit,
    commit_key,
    commit_name,
    load_commit,
    package_versions,
    write_commit,
)
from blueprint_pipeline.workspace.full_disk import name_full_disk
from blueprint_pipeline.workspace.storage import SceneFolder, Workspace

Progress = Callable[[int, int], None]


class InvalidRequest(InputError):
    """A stage request does not have the fields that the stage wants."""

    code = "stage.invalid_request"
    template = "The request for stage {stage} is not valid: {findings:; }. `bpp stage list` shows the fields."

    stage: str
    findings: Sequence[str]


def _describe_invalid(item: ErrorDetails) -> str:
    place = ".".join(map(str, item["loc"])) or "request"
    return f"{place}: {item['msg']} (found {_shown(item['input'])!r})"


def _shown(value: object) -> object:
    if isinstance(value, dict):
        return public_fields(value)
    return public_url(value) if isinstance(value, str) else value


def parse_request(stage: Stage[Any, Any], request: dict[str, object]) -> StageRequest:
    """Validate a request against its stage's model.

    Raises:
        InvalidRequest: A field is missing, unknown or of the wrong kind.
    """
    try:
        parsed: StageRequest = stage.request.model_validate(request)
    except ValidationError as error:
        raise InvalidRequest(stage.name, [_describe_invalid(item) for item in error.errors()]) from error
    return parsed


def run_stage(
    name: str, request: dict[str, object], settings: Settings, *, progress: Progress = lambda _done, _total: None, **ids: str
) -> StageResult:
    """Run a stage, or find that this very work is done and return what it gave.

    Args:
        name: Name of the stage.
        request: Fields of its request.
        settings: Settings of the process.
        progress: Called with (done, total) units on long work.
        ids: For logs: ``run_id``, ``attempt``, ``correlation_id``; the last one also holds the leases.

    Raises:
        BlueprintError: Whatever went wrong, with a stable code and whether a retry can help.
    """
    commit = run_unit(name, request, settings, progress=progress, **ids).commit
    result: StageResult = load_stage(name).result.model_validate(commit.result)
    return result


@dataclass(frozen=True)
class UnitOutcome:
    """What became of one unit of work."""

    commit: Commit
    found: bool
    """It had been done before."""


def run_unit(
    name: str, request: dict[str, object], settings: Settings, *, progress: Progress = lambda _done, _total: None, **ids: str
) -> UnitOutcome:
    """Run a stage as :func:`run_stage` does, and return its commit.

    Raises:
        BlueprintError: Whatever went wrong, with a stable code and whether a retry can help.
    """
    stage = load_stage(name)
    load_price_table(datetime.now(UTC).date()).machine(settings.compute.machine)  # what cannot be priced is not begun
    parsed = stage.complete(parse_request(stage, request), settings)
    unit = stage.unit(parsed)
    workspace = Workspace(settings.workspace)
    scene = workspace.scene(parsed.scene_id)
    holder = lease_holder(ids.get("correlation_id"), settings.compute.pod_uid)
    with (
        name_full_disk(),
        log_context(scene_id=parsed.scene_id, stage=name, unit=unit, **ids),
        open_registry(settings.registry) as registry,
        registry.leases.hold(
            shorten_id(f"{parsed.scene_id}/{commit_name(name, unit)}"), holder=holder, ttl_s=settings.registry.lease_s
        ) as lease,
    ):
        code_version = CodeIndex(workspace.cache_dir / "code.json").version_of(STAGES[name].module, stage.leaves_out(parsed))
        try:
            outcome = _Work(stage, parsed, unit, workspace, scene, settings, progress, lease, code_version).find_or_run()
        except GateError:
            load_count(name)(scene, registry)
            raise
        _record(registry, outcome)
        load_count(name)(scene, registry)
    return outcome


@dataclass(frozen=True)
class _Work:
    """One unit of work: a stage, its request, and where it happens."""

    stage: Stage[Any, Any]
    request: StageRequest
    unit: str
    workspace: Workspace
    scene: SceneFolder
    settings: Settings
    progress: Progress
    lease: HeldLease
    code_version: str

    def find_or_run(self) -> UnitOutcome:
        """The commit of this work: found, or made."""
        inputs = read_inputs(self.stage, self.request, self.scene, self.settings)
        key = commit_key(self.stage.name, self.unit, self.request.model_dump(mode="json"), inputs, self.code_version)
        found = load_commit(self.scene, self.stage.name, self.unit)
        if found is not None and found.key == key and _is_whole(self.scene, found):
            get_logger().info("stage already done", key=key, outputs=len(found.outputs))
            return UnitOutcome(found, found=True)
        return UnitOutcome(self._run(key, inputs), found=False)

    def _run(self, key: str, inputs: dict[str, FileDigest]) -> Commit:
        log = get_logger()
        log.info("stage started", key=key)
        attempt = StageAttempt(self.stage, self.request, self.scene, key)
        attempt.begin()
        context = StageContext(
            self.scene,
            staging=attempt.staging,
            cache_dir=self.workspace.cache_dir,
            settings=self.settings,
            progress=self.progress,
            is_stopping=_stop_event.is_set,
            inputs=inputs,
            code_version=self.code_version,
        )
        started_at = datetime.now(UTC)
        try:
            with measure_usage() as measured:
                result = self.stage.run(self.request, context)
                self.lease.validate()
                outputs = attempt.promote()
        except BlueprintError as error:
            self.lease.validate()  # what lies there may be another's by now: only the holder clears it away
            attempt.fail(error)
            raise
        commit = Commit(
            key=key,
            stage=self.stage.name,
            unit=self.unit,
            scene_id=self.scene.scene_id,
            request=self.request.model_dump(mode="json"),
            result=result.model_dump(mode="json"),
            inputs=inputs,
            outputs=outputs,
            code_version=self.code_version,
            packages=package_versions(),
            image_digest=self.settings.compute.image_digest,
            machine=self.settings.compute.machine,
            started_at=started_at,
            finished_at=datetime.now(UTC),
            usage=measured.usage,
            kept=tuple(context.kept),
        )
        self.lease.validate()
        write_commit(self.scene, commit)
        attempt.finish()
        log.info("stage done", key=key, outputs=len(outputs), wall_s=round(commit.usage.wall_s, 3), cpu_s=round(commit.usage.cpu_s, 3))
        return commit


def _is_whole(scene: SceneFolder, commit: Commit) -> bool:
    if not all(scene.exists(name) for name in commit.outputs):
        return False
    return scene.digests(commit.outputs) == commit.outputs


def _record(registry: Registry, outcome: UnitOutcome) -> None:
    """Tell the registry of a finished unit; doing it twice changes nothing."""
    commit = outcome.commit
    registry.commits.record(commit)
    if outcome.found and registry.ledger.knows(commit.key, commit.finished_at):
        return  # by the process that did it, whose machine may be another
    prices = load_price_table(commit.finished_at.date())
    registry.ledger.record(ledger_entries(commit, prices))


_stop_event = threading.Event()


def wait_for_stop() -> None:
    """Wait until SIGTERM or SIGINT comes; call it within ``stop_on_sigterm``."""
    while not _stop_event.wait(0.5):
        pass


def is_stop_asked() -> bool:
    """Whether SIGTERM or SIGINT came; ask it within ``stop_on_sigterm``."""
    return _stop_event.is_set()


def stop_if_asked() -> None:
    """Call between units of work that are not within a stage.

    Raises:
        Interrupted: SIGTERM or SIGINT came.
    """
    if _stop_event.is_set():
        raise Interrupted("The job's process")


@contextmanager
def stop_on_sigterm() -> Iterator[None]:
    """Turn SIGTERM and SIGINT into a wish that stages hear between units; the second signal ends at once."""

    def ask(number: int, _frame: FrameType | None) -> None:
        # Only what is safe within a handler: logging takes a lock that the interrupted code may hold.
        _stop_event.set()
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _stop_event.clear()
