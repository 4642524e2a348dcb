"""What a stage that a gate ended left behind: evidence for people, which no stage takes for a result.

A refusal is recorded beside the evidence (``refusals/{stage}.json``, ``refusals/{stage}.{unit}.json``), and goes when its stage runs anew.
"""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from blueprint_pipeline.errors import BlueprintError, IntegrityError
from blueprint_pipeline.workspace.checksums import FileDigest
from blueprint_pipeline.workspace.storage import SceneFolder

_FOLDER = "refusals"


class InputRefused(IntegrityError):
    """A stage would read what the one before it left as evidence that it refused to go on."""

    code = "workspace.input_refused"
    template = (
        "Stage {stage} reads {path}, which stage {refused_by} left as evidence when it refused to go on: [{reason_code}] {reason} "
        "Correct the cause, and run {refused_by} again."
    )

    stage: str
    path: str
    refused_by: str
    reason_code: str
    reason: str


class RefusalUnreadable(IntegrityError):
    """Which files a gate refused is not known, so none is taken for a result."""

    code = "workspace.refusal_unreadable"
    template = (
        "Stage {stage} does not begin, for {path} is damaged: it tells which files stage {refused_by} left as evidence when it refused "
        "to go on. Run {refused_by} again; where it cannot run, remove what it wrote, and then this file."
    )

    stage: str
    path: str
    refused_by: str


class Refusal(BaseModel):
    """The record of a unit that a gate ended."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal["1.0"] = "1.0"
    stage: str
    unit: str
    error_code: str
    message: str
    evidence: dict[str, FileDigest]
    """Files that were made visible for people."""


def _name(stage: str, unit: str) -> str:
    return f"{_FOLDER}/{stage}.{unit}.json" if unit else f"{_FOLDER}/{stage}.json"


def _stage_of(name: str) -> str:
    return name.removeprefix(f"{_FOLDER}/").partition(".")[0]


def write_refusal(scene: SceneFolder, stage: str, unit: str, error: BlueprintError, evidence: Mapping[str, FileDigest]) -> None:
    """Record that a unit ended with a gate's error, and which files it leaves for people."""
    refusal = Refusal(stage=stage, unit=unit, error_code=error.code, message=error.message, evidence=dict(evidence))
    scene.write_bytes(_name(stage, unit), refusal.model_dump_json(indent=1).encode() + b"\n")


def remove_refusal(scene: SceneFolder, stage: str, unit: str) -> None:
    """Forget what an earlier attempt refused."""
    scene.remove(_name(stage, unit))


def validate_not_refused(scene: SceneFolder, stage: str, inputs: Mapping[str, FileDigest]) -> None:
    """Check that nothing which a stage is about to read is the evidence of a refusal.

    A damaged record of the stage's own does not keep it from running anew, which replaces it.

    Raises:
        InputRefused: A file is.
        RefusalUnreadable: It is not known, for another stage's record is damaged.
    """
    for name in scene.files_under(_FOLDER) if inputs else ():
        data, refused_by = scene.find_bytes(name), _stage_of(name)
        if data is None:  # its stage runs anew
            continue
        try:
            refusal = Refusal.model_validate_json(data)
        except ValidationError:
            if refused_by == stage:
                continue
            raise RefusalUnreadable(stage, str(scene.root / name), refused_by) from None
        found = sorted(inputs.keys() & refusal.evidence.keys())
        if found:
            raise InputRefused(stage, str(scene.root / found[0]), refusal.stage, refusal.error_code, refusal.message)
