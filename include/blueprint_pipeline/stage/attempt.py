"""The files of one attempt at a stage: found again after a kill, visible only when whole, gone when it failed for good."""

from typing import Any

from blueprint_pipeline.errors import BlueprintError, GateError, InternalError
from blueprint_pipeline.log import get_logger
from blueprint_pipeline.stage.contract import Stage, StageRequest
from blueprint_pipeline.workspace.checksums import FileDigest, digest_files, list_files
from blueprint_pipeline.workspace.commits import commit_name
from blueprint_pipeline.workspace.refusals import remove_refusal, write_refusal
from blueprint_pipeline.workspace.storage import SceneFolder


class NothingWritten(InternalError):
    """A stage ended well and left no output: that is a failure, not a success."""

    code = "workspace.nothing_written"
    template = "Stage {stage} ended without an error and wrote no file. This is a defect of the stage: report it."

    stage: str


class UndeclaredOutput(InternalError):
    """A stage wrote a file that it does not declare: it would be neither recorded nor verified."""

    code = "stage.undeclared_output"
    template = "Stage {stage} wrote {names}, outside of what it declares in `writes`. This is a defect of the stage: report it."

    stage: str
    names: list[str]


class StageAttempt:
    """Files of one attempt at a unit of work: its intent record, its staging folder, what it makes visible."""

    def __init__(self, stage: Stage[Any, Any], request: StageRequest, scene: SceneFolder, key: str) -> None:
        self._writes = list(stage.writes(request))
        unit = stage.unit(request)
        self._stage, self._unit, self._scene, self._key = stage, unit, scene, key
        label = f"{stage.name}.{unit}" if unit else stage.name
        self._intent = f".staging/{label}.intent"
        self._prefix, self._label = label, f"{label}.{key[:16]}"
        self.staging = scene.staging(self._label)

    def begin(self) -> None:
        """Keep what an attempt with the same key left; clear away what belongs to another key."""
        resumed = self._scene.exists(self._intent) and self._scene.read_bytes(self._intent) == self._key.encode()
        if resumed:
            get_logger().info("stage resumes", key=self._key)
            return
        self._scene.drop_stagings(self._prefix, but=self._label)
        if not self._stage.replaces_at_end:
            self._clear()
        self._scene.write_bytes(self._intent, self._key.encode())

    def promote(self) -> dict[str, FileDigest]:
        """Make all staged files visible and return the digests of everything that the unit wrote."""
        staged = list_files(self.staging)
        if self._stage.replaces_at_end:
            self._clear()
        for name in staged:
            self._scene.publish_file(self.staging / name, name)
        outputs = [name for prefix in self._writes for name in self._scene.files_under(prefix)]
        if not outputs:
            raise NothingWritten(self._stage.name)
        undeclared = sorted(set(staged) - set(outputs))
        if undeclared:
            raise UndeclaredOutput(self._stage.name, undeclared)
        return self._scene.published_digests(sorted(set(outputs)))

    def fail(self, error: BlueprintError) -> None:
        """Keep what a retry can use; show what a gate found; else leave nothing."""
        if isinstance(error, GateError):
            evidence = digest_files(self.staging, list_files(self.staging))
            write_refusal(self._scene, self._stage.name, self._unit, error, evidence)  # before the evidence: nothing may build on it
            for name in evidence:  # people need it
                self._scene.publish_file(self.staging / name, name)
        elif error.retryable:
            return
        elif not self._stage.replaces_at_end:
            self._clear()
        self.finish()
        self._scene.remove_if_empty()

    def finish(self) -> None:
        """Remove the intent record and the staging folder."""
        self._scene.remove(self._intent)
        self._scene.drop_staging(self._label)

    def _clear(self) -> None:
        self._scene.remove(commit_name(self._stage.name, self._unit))
        for prefix in () if self._stage.keeps else self._writes:
            self._scene.remove(prefix)
        remove_refusal(self._scene, self._stage.name, self._unit)  # after the evidence, which it guards
