"""What code a stage is: its module, every module of the package that this one imports, directly or not, and the data beside them.

A change anywhere in that closure makes the stage new work; a change elsewhere leaves what it did as it is. Imports are read from the
source, those inside of functions too. A module that is loaded by its name (a skill) counts where that name stands as text. What the rows
of a table name as ``module:attribute`` (the writer of a format) counts for those that load it: they import both the table and
:func:`blueprint_pipeline.rows.load_code`. A stage whose request chooses one of the rows says which others it leaves out.
"""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from modulefinder import ModuleFinder
from pathlib import Path
from types import CodeType
from typing import Any

import blueprint_pipeline

PACKAGE = blueprint_pipeline.__name__
FOLDER = Path(blueprint_pipeline.__file__).parent
_NAMES_ALONE = frozenset({f"{PACKAGE}.stage.flow"})
"""Modules that name others and leave it to their callers to import them: every stage stands in the rows of the flow."""
_SOURCES = ("scene/samples",)
"""Folders of the package that are taken in as a scene: their bytes are inputs, not code."""
_LOADER = f"{PACKAGE}.rows.load_code"
_DOTTED = re.compile(rf"{PACKAGE}(\.\w+)+")
_PLACE = re.compile(rf"{_DOTTED.pattern}:\w+")
_HASH_DIGITS = 16
_READER = ModuleFinder()


@dataclass(frozen=True)
class _Source:
    """What is known of one file: its digest, and for a module the names in it that may be modules of the package."""

    sha256: str
    names: tuple[str, ...]

    @property
    def followed(self) -> set[str]:
        """Dotted names, which count wherever they stand."""
        return {name for name in self.names if ":" not in name}

    @property
    def places(self) -> set[str]:
        """What stands as ``module:attribute``, which counts for those that load it."""
        return {name for name in self.names if ":" in name}


class CodeIndex:
    """Digests of the package's files and the imports between them, kept on disk: a new process parses only what changed.

    Args:
        cache: File to keep what was read in.
        folder: The package's folder.
    """

    def __init__(self, cache: Path, folder: Path = FOLDER) -> None:
        self._cache, self._folder = cache, folder
        self._known: dict[str, tuple[list[int], str, list[str]]] = _load(cache)
        self._is_changed = False
        self._files: dict[str, Path | None] = {}

    def version_of(self, module: str, left_out: Sequence[str] = ()) -> str:
        """``<version>+<hash>`` of the code of a stage that this module holds; the hash covers its closure (:meth:`closure`)."""
        digest = hashlib.sha256()
        for path in self.closure(module, left_out):
            digest.update(self._label(path).encode() + b"\0" + self._read(path).sha256.encode() + b"\0")
        self._save()
        return f"{blueprint_pipeline.__version__}+{digest.hexdigest()[:_HASH_DIGITS]}"

    def closure(self, module: str, left_out: Sequence[str] = ()) -> list[Path]:
        """Files of the closure of a module, sorted: modules, and data files beside them.

        Args:
            module: Its dotted name.
            left_out: Places (``module:attribute``) of rows that will not be loaded.
        """
        modules: set[Path] = set()
        names: set[str] = set()
        waiting = list(self._files_of(module)) or [_file_of(module)]
        while waiting:
            path = waiting.pop()
            if path in modules:
                continue
            modules.add(path)
            new = self._names_in(path, left_out) - names
            names |= new
            waiting += [file for name in new for file in self._files_of(name)]
        return sorted(modules | self._data_beside(modules))

    def _names_in(self, path: Path, left_out: Sequence[str]) -> set[str]:
        """Names that a module imports, and those of the rows that it loads from the tables that it imports."""
        names = self._read(path).followed
        if _LOADER not in names:
            return names
        tables = {path, *(file for name in names for file in self._files_of(name))}
        places = set().union(*(self._read(table).places for table in tables)) - set(left_out)
        return names | {place.partition(":")[0] for place in places}

    def _files_of(self, name: str) -> Iterator[Path]:
        """Files that an import of a dotted name runs: the module, and the packages that it lies in."""
        parts = name.split(".")[1:] if name.split(".", maxsplit=1)[0] == PACKAGE else []
        for depth in range(len(parts) + 1 if parts else 0):
            below = "/".join(parts[:depth])
            if below not in self._files:
                self._files[below] = self._file_of_part(below)
            file = self._files[below]
            if file is not None:
                yield file

    def _file_of_part(self, below: str) -> Path | None:
        """File of a module or package, by its path below the folder; ``None`` of a name within a module."""
        path = self._folder / below
        candidates = (path / "__init__.py", path.with_suffix(".py"))
        return next((file for file in candidates if file.is_file()), None)

    def _data_beside(self, modules: set[Path]) -> set[Path]:
        """Files that are no modules, in the folders of the modules and in folders below them that hold none."""
        folders = {path.parent for path in modules if self._folder in path.parent.parents}
        return {file for folder in folders for file in self._data_files(folder)}

    def _data_files(self, folder: Path) -> Iterator[Path]:
        for entry in sorted(folder.iterdir()):
            if entry.is_file() and entry.suffix not in {".py", ".pyi", ".pyc"}:
                yield entry
            elif entry.is_dir() and entry.name != "__pycache__" and self._label(entry) not in _SOURCES and not any(entry.rglob("*.py")):
                yield from self._data_files(entry)

    def _label(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix() if path.is_relative_to(self._folder) else path.name

    def _read(self, path: Path) -> _Source:
        stat = path.stat()
        identity = [stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino]
        known = self._known.get(str(path))
        if known is None or known[0] != identity:
            data = path.read_bytes()
            names = sorted(set(_names(data, path, self._label(path)))) if path.suffix == ".py" else []
            known = self._known[str(path)] = (identity, hashlib.sha256(data).hexdigest(), names)
            self._is_changed = True
        return _Source(known[1], tuple(known[2]))

    def _save(self) -> None:
        if not self._is_changed:
            return
        self._cache.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=self._cache.parent, prefix=f".{self._cache.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump({"reader": _reader_digest(), "files": self._known}, stream)
        Path(beside).replace(self._cache)
        self._is_changed = False


def _compiled(data: bytes, path: Path) -> Iterator[CodeType]:
    """Code of a module, then that of each function and class in it.

    Not its tree: CPython before 3.13 counts the depth of all threads' trees in one place, and who formats a traceback in another thread
    makes one. Source: python/cpython#106905 (``SystemError: AST constructor recursion depth mismatch``).
    """
    waiting = [compile(data, str(path), "exec", dont_inherit=True)]
    while waiting:
        code = waiting.pop()
        yield code
        waiting += [inner for inner in code.co_consts if isinstance(inner, CodeType)]


@cache
def _reader_digest() -> str:
    """Of this module: another one may find other names in the same file."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


def _load(cache: Path) -> dict[str, tuple[list[int], str, list[str]]]:
    """What an earlier process read; nothing where the file is not there, damaged, or of another reader."""
    try:
        found = json.loads(cache.read_bytes())
        files: dict[str, tuple[list[int], str, list[str]]] = found["files"] if found["reader"] == _reader_digest() else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return files


def _file_of(module: str) -> Path:
    """File of a module outside of the package."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(module, name=module)
    return Path(spec.origin)


def _names(data: bytes, path: Path, label: str) -> Iterator[str]:
    """Dotted names in a module that may be modules of the package."""
    own = f"{PACKAGE}.{label.removesuffix('.py').replace('/', '.')}"
    follows_text = own not in _NAMES_ALONE
    for code in _compiled(data, path):
        for kind, found in _READER.scan_opcodes(code):
            if kind in {"absolute_import", "relative_import"}:
                yield from _imported(own, found)
        if follows_text:
            yield from (text for text in _texts(code.co_consts) if _DOTTED.fullmatch(text) or _PLACE.fullmatch(text))


def _imported(own: str, found: tuple[Any, ...]) -> Iterator[str]:
    """What an import of a module of the package may be about.

    Args:
        own: The dotted name of the module that imports (``a.b.__init__`` of a package).
        found: The names and the module of an absolute import; of a relative one its level, the names and the rest of the module's name.
    """
    *level, names, rest = found
    module = rest if not level else ".".join(filter(None, (*own.split(".")[: -level[0]], rest)))
    if module.split(".")[0] == PACKAGE:
        yield from (module, *(f"{module}.{name}" for name in names or ()))


def _texts(constants: Iterable[object]) -> Iterator[str]:
    for constant in constants:
        if isinstance(constant, str):
            yield constant
        elif isinstance(constant, tuple | frozenset):
            yield from _texts(constant)
