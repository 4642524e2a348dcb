"""The rooms of the domain in one order, and the imports between them, read from the code."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "blueprint_pipeline"
ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "include" / PACKAGE

GROUND = (
    "public_url",
    "bounded_post",
    "errors",
    "rows",
    "origin",
    "frozen",
    "config_folder",
    "config_file",
    "simulators",
    "settings",
    "log",
)
"""Modules that everything may use, lowest first."""
ROOMS = (
    "geometry",
    "kit",
    "workspace",
    "registry",
    "price",
    "stage",
    "compute",
    "robot",
    "twin",
    "licence",
    "scene",
    "task",
    "simulation",
    "motion",
    "skill",
    "job",
    "episode",
    "rollout",
    "episode_import",
    "quality",
    "render",
    "proof",
    "dataset",
    "cost",
    "delivery",
    "policy",
)
"""Folders, lowest first: each imports itself and what stands before it."""
EPISODE_WAY = ("job", "rollout", "episode_import", "quality", "render", "dataset", "delivery")
"""Rooms that an episode passes, in this order: planned, simulated, imported, gated, rendered, written, delivered."""
FRONT = ("error_reference", "cli", "__main__")
"""What people call."""
ORDER = (*GROUND, *ROOMS, *FRONT)


@dataclass(frozen=True)
class Import:
    """One import of one module of ours by another."""

    importer: str
    """Path below the package, without suffix: ``scene/ingest``."""
    imported: str
    """Dotted name below the package: ``workspace.storage``."""

    @property
    def climbs(self) -> bool:
        """Whether it goes from a room to one that stands after it."""
        return ORDER.index(self.imported.split(".")[0]) > ORDER.index(self.importer.split("/")[0])


def purpose(room: str) -> str:
    """The first line of a room's docstring: what it is for."""
    docstring = ast.get_docstring(ast.parse((FOLDER / room / "__init__.py").read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


def modules() -> list[Path]:
    """Every module of the package, but its root and what protoc writes."""
    found = (path for path in sorted(FOLDER.rglob("*.py")) if "__pycache__" not in path.parts)
    return [path for path in found if not path.stem.endswith(("_pb2", "_pb2_grpc")) and path != FOLDER / "__init__.py"]


def imports() -> Iterator[Import]:
    """Every import between modules of the package, those inside of functions too."""
    for path in modules():
        importer = path.relative_to(FOLDER).with_suffix("").as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            yield from (Import(importer, name) for name in _imported(node))


def _imported(node: ast.AST) -> Iterator[str]:
    prefix = f"{PACKAGE}."
    if isinstance(node, ast.Import):
        yield from (alias.name.removeprefix(prefix) for alias in node.names if alias.name.startswith(prefix))
    elif isinstance(node, ast.ImportFrom) and node.module == PACKAGE:
        yield from (alias.name for alias in node.names if alias.name != "__version__")
    elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(prefix):
        yield node.module.removeprefix(prefix)
