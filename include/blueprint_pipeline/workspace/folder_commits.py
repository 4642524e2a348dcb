"""The commit of one folder: an episode's recording, an episode's pictures. By it a folder is found again whatever run wants it.

A stage's commit says that a unit of work is done; a folder's commit says the same of the smallest thing that is worth keeping. Its key
covers what the folder is made from and nothing else: not how many others were planned, and not who asked for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, TypeVar

from pydantic import ValidationError

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.workspace.checksums import FileDigest, digest_files, know_file, list_files, write_file
from blueprint_pipeline.workspace.storage import SceneFolder

COMMIT_NAME = "commit.json"
Summary = TypeVar("Summary")


class FolderCommit(FrozenModel):
    """``commit.json`` of a folder, published after all its other files."""

    schema_version: Literal["1.0"] = "1.0"
    key: str
    files: dict[str, FileDigest]
    """Every other file of the folder."""


@dataclass(frozen=True, kw_only=True)
class WrittenFolder(Generic[Summary]):
    """A folder that is whole and not published yet, as who wrote it tells of it."""

    summary: Summary
    files: dict[str, FileDigest]
    """See :func:`digest_folder`."""


def digest_folder(folder: Path) -> dict[str, FileDigest]:
    """Digests of all files of a folder that is not published yet, by whoever wrote them: that process need not read them again."""
    return digest_files(folder, [name for name in list_files(folder) if name != COMMIT_NAME])


def write_folder_commit(folder: Path, key: str, files: Mapping[str, FileDigest]) -> None:
    """Record a finished folder that is not published yet.

    Args:
        folder: The folder.
        key: Of what it is made from.
        files: What :func:`digest_folder` gave where the files were written, perhaps in another process.
    """
    for name, digest in files.items():
        know_file(folder / name, digest)
    commit = FolderCommit(key=key, files=dict(files))
    write_file(folder / COMMIT_NAME, f"{commit.model_dump_json(indent=1)}\n".encode())


def is_folder_done(scene: SceneFolder, name: str, key: str) -> bool:
    """Whether a folder of the scene was made by this very work, and is whole: nothing is missing, changed or added."""
    data = scene.find_bytes(f"{name}/{COMMIT_NAME}")
    try:
        commit = None if data is None else FolderCommit.model_validate_json(data)
    except ValidationError:
        return False
    if commit is None or commit.key != key:
        return False
    expected = {f"{name}/{file}": digest for file, digest in commit.files.items()}
    found = set(scene.files_under(name)) - {f"{name}/{COMMIT_NAME}"}
    return found == set(expected) and scene.digests(expected) == expected


def folders_under(scene: SceneFolder, name: str) -> set[str]:
    """Folders directly below a folder of the scene that hold a file."""
    depth = name.count("/") + 2
    return {"/".join(file.split("/")[:depth]) for file in scene.files_under(name) if file.count("/") >= depth}
