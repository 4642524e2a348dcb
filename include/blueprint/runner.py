"""Run one stage: lease, inputs verified, the same key never worked twice, promoted whole, committed last."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType
from typing import Any

from pydantic import ValidationError

from blueprint.cost.ledger import ledger_entries
from blueprint.cost.prices import load_price_table
from blueprint.cost.usage import measure_usage
from blueprint.errors import BlueprintError, GateError, InputError, InternalError
from blueprint.flow import load_stage
from blueprint.log import get_logger, log_context
from blueprint.registry.database import Registry, open_registry
from blueprint.settings import Settings
from blueprint.stage import Stage, StageContext, StageRequest, StageResult
from blueprint.workspace.checksums import FileDigest, digest_files, list_files
from blueprint.workspace.commits import Commit, code_version, commit_key, commit_name, load_commit, validate_inputs, write_commit
from blueprint.workspace.errors import InputMissing, NothingWritten
from blueprint.workspace.storage import SceneFolder, Workspace

Progress = Callable[[int, int], None]


class InvalidRequest(InputError):
    """A stage request does not have the fields that the stage wants."""

    code = "stage.invalid_request"

    def __init__(self, stage: str, error: ValidationError) -> None:
        found = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'request'}: {item['msg']} (found {item['input']!r})"
            for item in error.errors()
        )
        super().__init__(f"The request for stage {stage} is not valid: {found}. `blueprint stage list` shows the fields.", stage=stage)


def parse_request(stage: Stage[Any, Any], request: dict[str, object]) -> StageRequest:
    """Validate a request against its stage's model.

    Raises:
        InvalidRequest: A field is missing, unknown or of the wrong kind.
    """
    try:
        parsed: StageRequest = stage.request.model_validate(request)
    except ValidationError as error:
        raise InvalidRequest(stage.name, error) from error
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
        ids: For logs and leases: ``run_id``, ``attempt``, ``correlation_id``.

    Raises:
        BlueprintError: Whatever went wrong, with a stable code and whether a retry can help.
    """
    stage = load_stage(name)
    parsed = parse_request(stage, request)
    unit = stage.unit(parsed)
    workspace = Workspace(settings.workspace)
    scene = workspace.scene(parsed.scene_id)
    registry = open_registry(settings.registry)
    holder = ids.get("run_id", "cli")
    with (
        log_context(scene_id=parsed.scene_id, stage=name, unit=unit, **ids),
        registry.leases.hold(f"{parsed.scene_id}/{commit_name(name, unit)}", holder=holder, ttl_s=settings.registry.lease_s),
    ):
        commit = _find_or_run(stage, parsed, unit, scene, workspace, settings, progress)
        _record(registry, commit)
    result: StageResult = stage.result.model_validate(commit.result)
    return result


def _find_or_run(
    stage: Stage[Any, Any],
    request: StageRequest,
    unit: str,
    scene: SceneFolder,
    workspace: Workspace,
    settings: Settings,
    progress: Progress,
) -> Commit:
    log = get_logger()
    inputs = _read_inputs(stage, request, scene)
    fields = request.model_dump(mode="json")
    key = commit_key(stage.name, unit, fields, inputs)
    found = load_commit(scene, stage.name, unit)
    if found is not None and found.key == key and digest_files_or_none(scene, found.outputs) == found.outputs:
        log.info("stage already done", key=key, outputs=len(found.outputs))
        return found
    log.info("stage started", key=key)
    attempt = _Attempt(stage, request, unit, scene, key)
    attempt.begin()
    context = StageContext(scene, attempt.staging, workspace.cache_dir, settings, progress, _stop_event.is_set)
    started_at = datetime.now(UTC)
    try:
        with measure_usage() as measured:
            result = stage.run(request, context)
            outputs = attempt.promote()
    except BlueprintError as error:
        log.error("stage failed", **error.as_dict())  # noqa: TRY400 -- the CLI shows the traceback where it helps
        if isinstance(error, GateError):
            attempt.show_evidence()
        elif not error.retryable:
            attempt.abandon()
        raise
    commit = Commit(
        key=key,
        stage=stage.name,
        unit=unit,
        scene_id=scene.scene_id,
        request=fields,
        result=result.model_dump(mode="json"),
        inputs=inputs,
        outputs=outputs,
        code_version=code_version(),
        image_digest=settings.compute.image_digest,
        started_at=started_at,
        finished_at=datetime.now(UTC),
        usage=measured.usage,
    )
    write_commit(scene, commit)
    attempt.finish()
    log.info("stage done", key=key, outputs=len(outputs), wall_s=round(commit.usage.wall_s, 3), cpu_s=round(commit.usage.cpu_s, 3))
    return commit


def _read_inputs(stage: Stage[Any, Any], request: StageRequest, scene: SceneFolder) -> dict[str, FileDigest]:
    names: list[str] = []
    for prefix in stage.reads(request):
        files = scene.files_under(prefix)
        if not files:
            raise InputMissing(stage.name, str(scene.root / prefix))
        names += files
    inputs = digest_files(scene.root, sorted(set(names)))
    validate_inputs(scene, inputs)
    return {**stage.external_inputs(request), **inputs}


def digest_files_or_none(scene: SceneFolder, expected: dict[str, FileDigest]) -> dict[str, FileDigest] | None:
    """The digests of files that should be there, or ``None`` if one is not."""
    if not all(scene.exists(name) for name in expected):
        return None
    return digest_files(scene.root, expected)


class _Attempt:
    """Files of one attempt at a unit of work: its intent record, its staging folder, what it makes visible."""

    def __init__(self, stage: Stage[Any, Any], request: StageRequest, unit: str, scene: SceneFolder, key: str) -> None:
        self._writes = list(stage.writes(request))
        self._stage, self._unit, self._scene, self._key = stage, unit, scene, key
        self._replaces_at_end = bool(stage.external_inputs(request)) and not stage.reads(request)
        label = f"{stage.name}.{unit}" if unit else stage.name
        self._intent = f".staging/{label}.intent"
        self._label = f"{label}.{key[:16]}"
        self.staging = scene.staging(self._label)

    def begin(self) -> None:
        """Keep what an attempt with the same key left; clear away what belongs to another key."""
        resumed = self._scene.exists(self._intent) and self._scene.read_bytes(self._intent) == self._key.encode()
        if resumed:
            get_logger().info("stage resumes", key=self._key)
            return
        if not self._replaces_at_end:
            self._clear()
        self._scene.write_bytes(self._intent, self._key.encode())

    def promote(self) -> dict[str, FileDigest]:
        """Make all staged files visible and return the digests of everything that the unit wrote."""
        staged = list_files(self.staging)
        if self._replaces_at_end:
            self._clear()
        for name in staged:
            self._scene.publish_file(self.staging / name, name)
        outputs = [name for prefix in self._writes for name in self._scene.files_under(prefix)]
        if not outputs:
            raise NothingWritten(self._stage.name)
        undeclared = sorted(set(staged) - set(outputs))
        if undeclared:
            raise UndeclaredOutput(self._stage.name, undeclared)
        return digest_files(self._scene.root, sorted(set(outputs)))

    def show_evidence(self) -> None:
        """Make visible what a gate wrote before it said no: people need it. There is no commit, so nothing builds on it."""
        for name in list_files(self.staging):
            self._scene.publish_file(self.staging / name, name)
        self.finish()

    def abandon(self) -> None:
        """Leave nothing of a failed attempt that cannot be resumed."""
        if not self._replaces_at_end:
            self._clear()
        self.finish()
        self._scene.remove_if_empty()

    def finish(self) -> None:
        """Remove the intent record and the staging folder."""
        self._scene.remove(self._intent)
        self._scene.drop_staging(self._label)

    def _clear(self) -> None:
        self._scene.remove(commit_name(self._stage.name, self._unit))
        for prefix in self._writes:
            self._scene.remove(prefix)


class UndeclaredOutput(InternalError):
    """A stage wrote a file that it does not declare: it would be neither recorded nor verified."""

    code = "stage.undeclared_output"

    def __init__(self, stage: str, names: list[str]) -> None:
        super().__init__(
            f"Stage {stage} wrote {', '.join(names)}, outside of what it declares in `writes`. This is a defect of the stage: report it.",
            stage=stage,
        )


def _record(registry: Registry, commit: Commit) -> None:
    """Tell the registry of a finished unit; doing it twice changes nothing."""
    registry.commits.record(commit)
    registry.ledger.record(ledger_entries(commit, load_price_table(commit.finished_at.date())))


_stop_event = threading.Event()


@contextmanager
def stop_on_sigterm() -> Iterator[None]:
    """Turn SIGTERM and SIGINT into a wish that stages hear between units; the second signal ends at once."""

    def ask(number: int, _frame: FrameType | None) -> None:
        get_logger().warning("asked to stop", signal=signal.Signals(number).name)
        _stop_event.set()
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _stop_event.clear()
