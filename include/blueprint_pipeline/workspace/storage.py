"""The workspace: one folder a scene, on a local disk or in a bucket; whole files only are ever visible."""

import contextlib
import json
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ValidationError
from upath import UPath

from blueprint_pipeline.errors import ConfigurationError, InputError, TransientError
from blueprint_pipeline.settings import WorkspaceSettings
from blueprint_pipeline.workspace.checksums import FileDigest, digest_file, list_files, move_file
from blueprint_pipeline.workspace.errors import FileMissing
from blueprint_pipeline.workspace.full_disk import name_full_disk
from blueprint_pipeline.workspace.parts import is_part, part_of, remove_left_parts, write_whole
from blueprint_pipeline.workspace.store_calls import LOCAL_PROTOCOLS, StoreCalls, look_up

_LOCAL_THREADS = 2
_REMOTE_THREADS = 8
Result = TypeVar("Result")
Document = TypeVar("Document", bound=BaseModel)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


class StorageRefused(ConfigurationError):
    """The workspace's object store refuses the call, and would refuse it again."""

    code = "workspace.storage_refused"
    template = (
        "{location} cannot be used: {reason}. Expected a bucket that is there, and rights to list, read, write and "
        "delete in it: check BPP__WORKSPACE__URL and the roles of this process's service account."
    )

    location: str
    reason: str


class StorageUnreachable(TransientError):
    """The workspace's object store did not answer, after retries."""

    code = "workspace.storage_unreachable"
    template = "{location} could not be read or written after retries: {reason}. Finished units are kept; run the stage again."

    location: str
    reason: str


class InvalidId(InputError):
    """An id would not be safe as a folder name."""

    code = "workspace.invalid_id"
    template = (
        "{value!r:.140} is not a valid id: expected 1 to 128 letters, digits, '_', '.', '-', the first a letter or digit, "
        "and no two dots together."
    )

    value: str


def validate_id(value: str) -> str:
    """Return ``value`` if it may name a folder.

    Raises:
        InvalidId: It could leave its folder, or is too long.
    """
    if not _ID.fullmatch(value) or ".." in value:
        raise InvalidId(value)
    return value


def _validate_field(value: str) -> str:
    """As :func:`validate_id`, in the way in which a model tells the field's name with what is wrong."""
    try:
        return validate_id(value)
    except InvalidId as error:
        raise ValueError(error.message) from error


Id = Annotated[str, AfterValidator(_validate_field)]
"""A field that may name a folder."""


class SceneFolder:
    """The files of one scene: ``scenes/{scene_id}/`` of the workspace.

    Names are relative to that folder, with ``/``. Readers see whole files only: a local write goes beside and is
    renamed, an object store shows an object when its upload has ended. Calls to an object store are tried again while that
    can help.

    Raises:
        StorageUnreachable: The object store does not answer, after retries.
        StorageRefused: It has no such bucket or object, or does not let this process in.
    """

    def __init__(self, root: UPath, scene_id: str, cache_dir: Path) -> None:
        self.root = root
        self.scene_id = scene_id
        self._cache_dir = cache_dir
        self._calls = StoreCalls(root.protocol, unreachable=StorageUnreachable, refused=StorageRefused)
        self._read_back: dict[str, FileDigest] = {}
        """Files that this object published to a store."""

    @property
    def is_local(self) -> bool:
        """Whether files can be read in place."""
        return self.root.protocol in LOCAL_PROTOCOLS

    def exists(self, name: str) -> bool:
        path = self.root / name
        return bool(path.exists()) if self.is_local else self._find(name, lambda found: found.stat()) is not None

    def files_under(self, name: str) -> list[str]:
        """All files that ``name`` stands for: itself if it is a file, else everything below it, sorted.

        A ``*`` stands for one folder or file name, or part of one (``assets/*/physics.json``). What a killed process left
        beside a file that it was writing is no file of the scene.
        """
        if "*" in name:
            folder = name[: name.index("*")].rpartition("/")[0]
            below = self.files_under(folder) if folder else self._list("")
            return [found for found in below if _matches(found, name)]
        below = [f"{name.rstrip('/')}/{found}" for found in self._list(name) if not is_part(found)]
        return below or ([name] if self._is_file(name) else [])

    def digest(self, name: str) -> FileDigest:
        """sha256 and size of a file.

        Raises:
            FileMissing: It is not there.
        """
        return self._found(name, digest_file)

    def digests(self, names: Iterable[str]) -> dict[str, FileDigest]:
        """sha256 and size of files, in the order given."""
        return self._each(list(names), self.digest)

    def read_bytes(self, name: str) -> bytes:
        """Content of a file.

        Raises:
            FileMissing: It is not there.
        """
        return self._found(name, _read)

    def find_bytes(self, name: str) -> bytes | None:
        """Content of a file; ``None`` where it is not there, or went away meanwhile."""
        return self._find(name, _read)

    def find_document(self, name: str, kind: type[Document]) -> Document | None:
        """A file as a record of its kind; ``None`` where it is not there, or damaged: a machine that lost power may leave a name alone."""
        data = self.find_bytes(name)
        try:
            return None if data is None else kind.model_validate_json(data)
        except ValidationError:
            return None

    def read_json(self, name: str) -> object:
        return json.loads(self.read_bytes(name))

    def local(self, name: str) -> Path:
        """A local path to read ``name`` (a file or a folder) from.

        Remote files are copied to the cache first, block by block; no others stay there.

        Raises:
            DiskFull: The cache has no room for them.
            FileMissing: One went away meanwhile.
        """
        if self.is_local:
            return Path((self.root / name).path)
        remote_dir = self._cache_dir / "remote"  # may be a volume of its own, which a served simulator reads, too
        target, parts = remote_dir / self.scene_id, remote_dir / ".parts"
        parts.mkdir(parents=True, exist_ok=True)
        remove_left_parts(parts)
        remote = self.files_under(name)

        def copy(found: str) -> None:
            path = target / found
            path.parent.mkdir(parents=True, exist_ok=True)
            part = part_of(path, parts)
            try:
                self._found(found, lambda source: _fetch(source, part))
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)

        self._each(remote, copy)
        folder = target / name
        for left in set(list_files(folder) if folder.is_dir() else []) - {found[len(name) + 1 :] for found in remote}:
            (folder / left).unlink(missing_ok=True)  # of a former run
        if not remote and folder.is_file():
            folder.unlink()
        elif not remote:
            shutil.rmtree(folder, ignore_errors=True)
        return folder

    def publish_file(self, source: Path, name: str) -> None:
        """Make a finished local file visible as ``name``; the source may be moved away."""
        target = self.root / name
        if self.is_local:
            destination = Path(target.path)
            destination.parent.mkdir(parents=True, exist_ok=True)
            move_file(source, destination)
            return

        digest = digest_file(source)

        def put() -> None:
            target.fs.put_file(str(source), target.path)  # in blocks: a video need not fit into memory
            target.fs.invalidate_cache()
            if digest_file(target) != digest:
                raise OSError(f"{target} was read back with other bytes than were written")

        self._call(name, put)
        self._read_back[name] = digest

    def published_digests(self, names: Iterable[str]) -> dict[str, FileDigest]:
        """As :meth:`digests`, for who holds the scene's lease: what this object published to a store was read back then, and not again."""
        ordered = list(names)
        others = self.digests(name for name in ordered if name not in self._read_back)
        return {name: others.get(name) or self._read_back[name] for name in ordered}

    def write_bytes(self, name: str, data: bytes) -> None:
        self._read_back.pop(name, None)
        target = self.root / name
        if self.is_local:
            Path(target.path).parent.mkdir(parents=True, exist_ok=True)
            write_whole(Path(target.path), data)
        else:
            self._call(name, lambda: target.write_bytes(data))

    def remove(self, name: str) -> None:
        """Remove a file, a folder with all below it, or all files that a pattern with ``*`` matches; nothing there is no error."""
        if "*" in name:
            for found in self.files_under(name):
                self.remove(found)
            return
        path = self.root / name
        self._read_back = {found: digest for found, digest in self._read_back.items() if found != name and not found.startswith(f"{name}/")}

        def clear() -> None:
            path.fs.invalidate_cache()
            if path.fs.find(path.path):
                path.fs.rm(path.path, recursive=True)

        if not self.is_local:
            self._call(name, clear)
        elif path.is_dir():
            path.fs.rm(path.path, recursive=True)
        elif path.exists():
            path.unlink()

    def remove_if_empty(self) -> None:
        """Remove the scene's folder if no file is left in it; in an object store it is gone with its last file."""
        if self.is_local and self.root.exists() and not list_files(self.root):
            self.root.fs.rm(self.root.path, recursive=True)

    def staging(self, key: str) -> Path:
        """A local folder for work in progress; it outlives a killed process, so that a new one can resume."""
        base = Path((self.root / ".staging").path) if self.is_local else self._cache_dir / "staging" / self.scene_id
        folder = base / key
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def drop_stagings(self, prefix: str, *, but: str) -> None:
        """Remove the staging folders ``{prefix}.{16 hex digits}`` that killed processes left for work that nobody wants any more."""
        for folder in self.staging(but).parent.iterdir():
            if folder.name != but and re.fullmatch(rf"{re.escape(prefix)}\.[0-9a-f]{{16}}", folder.name):
                shutil.rmtree(folder)

    def drop_staging(self, key: str) -> None:
        """Remove a staging folder, and the folder of all staging if it was the last."""
        folder = self.staging(key)
        shutil.rmtree(folder)
        with contextlib.suppress(OSError):
            folder.parent.rmdir()

    def _each(self, names: Sequence[str], work: Callable[[str], Result]) -> dict[str, Result]:
        """What ``work`` makes of each file, some at a time."""
        with ThreadPoolExecutor(max_workers=_LOCAL_THREADS if self.is_local else _REMOTE_THREADS) as pool:
            return dict(zip(names, pool.map(work, names), strict=True))

    def _list(self, name: str) -> list[str]:
        """Names of all files below a folder, relative to it."""
        path = self.root / name if name else self.root
        if self.is_local:
            return list_files(path) if path.is_dir() else []

        def listing() -> list[str]:
            path.fs.invalidate_cache()
            return list_files(path)

        return self._call(name, listing)

    def _is_file(self, name: str) -> bool:
        path = self.root / name
        if self.is_local:
            return bool(path.is_file())
        return bool(self._call(name, lambda: path.path in path.fs.find(path.path)))

    def _found(self, name: str, work: Callable[[UPath], Result]) -> Result:
        """What ``work`` makes of a file that must be there."""
        found = self._find(name, work)
        if found is None:
            raise FileMissing(self.scene_id, str(self.root / name))
        return found

    def _find(self, name: str, work: Callable[[UPath], Result]) -> Result | None:
        """What ``work`` makes of a file; ``None`` where it is not there."""
        path = self.root / name
        return self._call(name, lambda: look_up(path, work))

    def _call(self, name: str, work: Callable[[], Result]) -> Result:
        """A local disk is used as it is: another try would not help."""
        return work() if self.is_local else self._calls(str(self.root / name), work)


class Workspace:
    """All scenes of an installation."""

    def __init__(self, settings: WorkspaceSettings) -> None:
        url = settings.url if "://" in settings.url else str(Path(settings.url).absolute())
        self.root = UPath(url)
        self._cache_dir = settings.cache_dir.absolute()

    @property
    def cache_dir(self) -> Path:
        """Local folder for what can be made again."""
        return self._cache_dir

    def scene(self, scene_id: str) -> SceneFolder:
        return SceneFolder(self.root / "scenes" / validate_id(scene_id), scene_id, self._cache_dir)

    def scene_ids(self) -> list[str]:
        """Ids of all scenes that have a commit, sorted."""
        scenes = self.root / "scenes"
        if self.root.protocol in LOCAL_PROTOCOLS:
            return sorted(path.name for path in scenes.iterdir() if (path / "commits").is_dir()) if scenes.is_dir() else []
        calls = StoreCalls(self.root.protocol, unreachable=StorageUnreachable, refused=StorageRefused)

        def listing() -> list[str]:
            found = look_up(scenes, lambda folder: folder.fs.ls(folder.path, detail=False))
            return [path.rstrip("/").rpartition("/")[2] for path in found or []]

        names = calls(str(scenes), listing)
        return sorted(name for name in names if SceneFolder(scenes / name, name, self._cache_dir).exists("commits"))


def _read(path: UPath) -> bytes:
    return bytes(path.read_bytes())


def _matches(path: str, pattern: str) -> bool:
    names, patterns = path.split("/"), pattern.split("/")
    return len(names) == len(patterns) and all(fnmatchcase(name, part) for name, part in zip(names, patterns, strict=True))


def _fetch(source: UPath, target: Path) -> Path:
    """Copy a file of a store to a local one, block by block: videos have hundreds of MB, and several are on their way at once."""
    with name_full_disk():
        source.fs.get_file(source.path, str(target))
    return target
