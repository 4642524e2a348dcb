"""The record of a job: what became of each of its requests, and what the process that did it was on."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from blueprint_pipeline.compute.errors import JobRecordUnreadable
from blueprint_pipeline.compute.job import JobSpec, UnitDone
from blueprint_pipeline.workspace.storage import SceneFolder

_INSTANCE_LENGTH = 13
"""Characters of a pod's UID in the record's name: the first two groups."""


class UnitRecord(BaseModel):
    """One request of a job."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    request: dict[str, Any]
    state: Literal["waiting", "done", "failed"] = "waiting"
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    commit_key: str | None = None
    found_done: bool = False
    """The work had been done before: it was not repeated, and its cost is not this job's."""
    wall_s: float | None = None
    """Of the commit that this job made; ``None`` where it made none."""


class JobRecord(BaseModel):
    """``jobs/{name}.{instance}.json`` of the scene: rewritten whole after each request.

    Its writer may be of a newer version than its reader (a canary): fields that this version does not know are passed over.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: str = Field(default="1.0", pattern=r"^1\.\d+$")
    name: str
    key: str
    stage: str
    run_id: str
    attempt: int
    outcome: Literal["running", "done", "failed", "preempted", "crashed"] = "running"
    units: tuple[UnitRecord, ...]
    error: dict[str, Any] | None = None
    """What ended the job."""
    started_at: datetime
    """Of the process."""
    finished_at: datetime | None = None
    wall_s: float = 0.0
    """Since the process started [s]."""
    cpu_s: float = 0.0
    """Of the process and of children that ended [s]."""
    host: str
    pod_uid: str | None = None
    node: str | None = None
    machine: str
    """Price profile that the commits of this job were priced with."""
    gpu: str | None = None

    def done(self) -> list[UnitDone]:
        """What became of each request; call it where the outcome is ``done``."""
        return [UnitDone(result=unit.result or {}, found_done=unit.found_done) for unit in self.units]


def record_name(name: str, pod_uid: str | None) -> str:
    """Where the record of a job lies in the scene's folder: each pod has its own, so that two tries never mix."""
    return f"jobs/{name}.{pod_uid[:_INSTANCE_LENGTH] if pod_uid else 'process'}.json"


def usage_name(name: str, pod_uid: str) -> str:
    """Where lies what a pod of the job held."""
    return f"jobs/usage/{name}.{pod_uid[:_INSTANCE_LENGTH]}.json"


def write_record(scene: SceneFolder, record: JobRecord) -> None:
    """Write the record whole."""
    scene.write_bytes(record_name(record.name, record.pod_uid), record.model_dump_json(indent=1).encode() + b"\n")


def load_record(scene: SceneFolder, spec: JobSpec, pod_uid: str | None) -> JobRecord | None:
    """The record that a pod wrote of this very job; ``None`` where it wrote none.

    Raises:
        JobRecordUnreadable: It is damaged, or of another format; see :func:`move_record_aside`.
    """
    name = record_name(spec.name, pod_uid)
    data = scene.find_bytes(name)
    if data is None:
        return None
    try:
        record = JobRecord.model_validate_json(data)
    except ValidationError as error:
        raise JobRecordUnreadable(spec.name, str(scene.root / name), describe_first(error)) from error
    return record if (record.key, record.pod_uid) == (spec.key, pod_uid) else None


def move_record_aside(scene: SceneFolder, spec: JobSpec, pod_uid: str | None) -> None:
    """Keep a record that cannot be read for people, as ``….json.unreadable``, where no job finds it."""
    name = record_name(spec.name, pod_uid)
    data = scene.find_bytes(name)
    if data is not None:
        scene.write_bytes(f"{name}.unreadable", data)
        scene.remove(name)


def describe_first(error: ValidationError) -> str:
    """Where a record is wrong first, and how."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'file'}: {first['msg']}"
