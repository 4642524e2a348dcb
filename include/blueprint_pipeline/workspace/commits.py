"""Commit records: what a stage read, wrote and used. A record exists only for work that is whole.

The key is a hash over canonical inputs (stage, request, inputs by sha256, code, and the packages that compute), never over
time. The record is written last, so a killed stage leaves none and runs again.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from blueprint_pipeline.errors import IntegrityError
from blueprint_pipeline.workspace.canonical import key_of
from blueprint_pipeline.workspace.checksums import FileDigest
from blueprint_pipeline.workspace.errors import FileChanged
from blueprint_pipeline.workspace.storage import SceneFolder

COMPUTING_PACKAGES = (
    "av",
    "daqp",
    "dracopy",
    "embreex",
    "fast-simplification",
    "h5py",
    "manifold3d",
    "mink",
    "mujoco",
    "numpy",
    "ompl",
    "pillow",
    "pyarrow",
    "pyyaml",
    "scipy",
    "toppra",
    "trimesh",
    "usd-core",
)
"""Distributions whose release decides what a stage computes or which bytes it writes."""


class CommitUnreadable(IntegrityError):
    """A commit record is damaged, or another version of this package wrote it."""

    code = "workspace.commit_unreadable"
    template = "The commit record {path} cannot be read: {reason}. Remove it: that stage then counts as not done, and is done again."

    path: str
    reason: str


class Usage(BaseModel):
    """What a stage used, measured on its process and all its children.

    Source: getrusage(2); ``psutil.Process.memory_info``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    wall_s: float
    cpu_s: float
    peak_memory_bytes: int
    """Largest resident set of a single process of the stage."""
    bytes_read: int | None
    """Through read(2); ``None`` where the system does not count it."""
    bytes_written: int | None


class UnitUsage(BaseModel):
    """What it took to make a folder that has a commit of its own: an episode's recording, an episode's pictures."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    machine: str
    """Machine profile of the price table."""
    finished_at: datetime
    usage: Usage
    """Of this folder alone: of folders that were made side by side, each held its part of the machine's time."""


class KeptUnit(UnitUsage):
    """A folder that a unit of a stage found made, and kept."""

    folder: str


class Commit(BaseModel):
    """The record of one finished unit of a stage: ``commits/{stage}.json`` or ``commits/{stage}.{unit}.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal["1.1", "1.2"] = "1.2"
    """1.1, which registries hold, had no ``kept``."""
    key: str
    stage: str
    unit: str
    scene_id: str
    request: dict[str, object]
    result: dict[str, object]
    inputs: dict[str, FileDigest]
    outputs: dict[str, FileDigest]
    code_version: str
    """``<version>+<hash>``; the hash covers the code of the stage: its module and all of the package that this one imports."""
    packages: dict[str, str]
    """Versions of the packages that compute, by name; empty where nobody knows them (records of before they were kept)."""
    image_digest: str | None
    machine: str
    """Machine profile of the price table that the work was done on."""
    started_at: datetime
    finished_at: datetime
    usage: Usage
    """Of this run of the unit; what it kept is not in it."""
    kept: tuple[KeptUnit, ...] = ()
    """Folders among the outputs that earlier runs, or a killed attempt, had made."""


@cache
def package_versions() -> dict[str, str]:
    """Installed versions of the packages that compute, by name: another MuJoCo never finds what this one did."""
    found = {}
    for name in COMPUTING_PACKAGES:
        with suppress(PackageNotFoundError):  # a simulator's own image lacks what its stages do not use
            found[name] = version(name)
    return found


def commit_name(stage: str, unit: str) -> str:
    """Where the record lies in the scene's folder."""
    return f"commits/{stage}.{unit}.json" if unit else f"commits/{stage}.json"


def commit_key(stage: str, unit: str, request: dict[str, object], inputs: dict[str, FileDigest], code_version: str) -> str:
    """The idempotency key of a unit of work; ``code_version`` is that of the stage."""
    return key_of(
        {
            "stage": stage,
            "unit": unit,
            "request": request,
            "inputs": {name: digest.sha256 for name, digest in sorted(inputs.items())},
            "code_version": code_version,
            "packages": package_versions(),
        }
    )


def load_commit(scene: SceneFolder, stage: str, unit: str = "") -> Commit | None:
    """The record of a unit, or ``None`` if that work was never finished.

    Raises:
        CommitUnreadable: It is damaged, or of another version.
    """
    return _read_commit(scene, commit_name(stage, unit))


def load_commits(scene: SceneFolder, is_read: Callable[[str, str], bool] = lambda _stage, _unit: True) -> list[Commit]:
    """Records of a scene, oldest first: all, or those of the stages and units that ``is_read`` wants.

    A record that goes away meanwhile belongs to a unit that is done anew at this moment: it is passed over.

    Raises:
        CommitUnreadable: One is damaged, or of another version.
    """
    found = [_read_commit(scene, name) for name in scene.files_under("commits") if is_read(*_split(name))]
    return sorted(filter(None, found), key=lambda commit: (commit.finished_at, commit.stage, commit.unit))


def _split(name: str) -> tuple[str, str]:
    stage, _, unit = name.removeprefix("commits/").removesuffix(".json").partition(".")
    return stage, unit


def _read_commit(scene: SceneFolder, name: str) -> Commit | None:
    data = scene.find_bytes(name)
    if data is None:
        return None
    try:
        return Commit.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "file"
        raise CommitUnreadable(str(scene.root / name), f"{where}: {first['msg']}") from error


def write_commit(scene: SceneFolder, commit: Commit) -> None:
    """Write the record: from now on the work counts as done."""
    scene.write_bytes(commit_name(commit.stage, commit.unit), commit.model_dump_json(indent=1).encode() + b"\n")


def validate_inputs(scene: SceneFolder, inputs: dict[str, FileDigest], commits: Iterable[Commit]) -> None:
    """Check what a stage is about to read against what the stages before it recorded.

    Raises:
        FileChanged: A file has other bytes than its stage recorded.
    """
    recorded = {name: digest for commit in commits for name, digest in commit.outputs.items()}
    for name, found in inputs.items():
        expected = recorded.get(name)
        if expected is not None and expected != found:
            raise FileChanged(str(scene.root / name), expected.sha256, found.sha256)
