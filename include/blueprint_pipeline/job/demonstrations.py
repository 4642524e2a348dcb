"""The demonstrations of a job: a folder of JSON files, here or anywhere that fsspec reads."""

from collections.abc import Iterator

from pydantic import ValidationError
from upath import UPath

from blueprint_pipeline.errors import InputError
from blueprint_pipeline.task.demonstration import SourceDemonstration
from blueprint_pipeline.workspace.checksums import FileDigest, digest_bytes


class DemonstrationsUnreadable(InputError):
    """A folder has no demonstrations, or a file in it is none."""

    code = "task.demonstrations_unreadable"
    template = "{path}: {reason}. `bpp episode demonstrate SCENE --out FOLDER` writes demonstrations."

    path: str
    reason: str


def load_demonstrations(source: str) -> tuple[SourceDemonstration, ...]:
    """Every demonstration of a folder, by the names of their files; none of no folder.

    Raises:
        DemonstrationsUnreadable: The folder is not there or has none, a file is none, or two are the same.
    """
    found: dict[str, SourceDemonstration] = {}
    for path, data in _read_files(source):
        try:
            item = SourceDemonstration.model_validate_json(data)
        except ValidationError as error:
            first = error.errors()[0]
            reason = f"it is no demonstration: {'.'.join(map(str, first['loc']))}: {first['msg']}"
            raise DemonstrationsUnreadable(str(path), reason) from error
        if item.sha256 in found:
            raise DemonstrationsUnreadable(str(path), f"it is the same as that of {found[item.sha256].episode_id} before it")
        found[item.sha256] = item
    return tuple(found.values())


def digest_demonstrations(source: str) -> dict[str, FileDigest]:
    """sha256 of every file of such a folder, by its name.

    Raises:
        DemonstrationsUnreadable: The folder is not there or has none.
    """
    return {f"demonstrations/{path.name}": digest_bytes(data) for path, data in _read_files(source)}


def _read_files(source: str) -> Iterator[tuple[UPath, bytes]]:
    if not source:
        return
    folder = UPath(source)
    files = sorted(folder.glob("*.json"), key=lambda path: path.name) if folder.is_dir() else []
    if not files:
        raise DemonstrationsUnreadable(source, "there is no folder with *.json files")
    for path in files:
        yield path, path.read_bytes()
