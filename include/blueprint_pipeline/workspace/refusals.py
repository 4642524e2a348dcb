"""What a stage that a gate ended left behind: evidence for people, which no stage takes for a result.

A refusal is recorded beside the evidence (``refusals/{stage}.json``, ``refusals/{stage}.{unit}.json``), and goes when its stage runs anew.
"""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

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


def write_refusal(scene: SceneFolder, stage: str, unit: str, error: BlueprintError, evidence: Mapping[str, FileDigest]) -> None:
    """Record that a unit ended with a gate's error, and which files it leaves for people."""
    refusal = Refusal(stage=stage, unit=unit, error_code=error.code, message=error.message, evidence=dict(evidence))
    scene.write_bytes(_name(stage, unit), refusal.model_dump_json(indent=1).encode() + b"\n")


def remove_refusal(scene: SceneFolder, stage: str, unit: str) -> None:
    """Forget what an earlier attempt refused."""
    scene.remove(_name(stage, unit))


def validate_not_refused(scene: SceneFolder, stage: str, inputs: Mapping[str, FileDigest]) -> None:
    """Check that nothing which a stage is about to read is the evidence of a refusal.

    Raises:
        InputRefused: A file is.
    """
    for name in scene.files_under(_FOLDER):
        refusal = scene.find_document(name, Refusal)
        found = sorted(inputs.keys() & refusal.evidence.keys()) if refusal else []
        if refusal and found:
            raise InputRefused(stage, str(scene.root / found[0]), refusal.stage, refusal.error_code, refusal.message)
