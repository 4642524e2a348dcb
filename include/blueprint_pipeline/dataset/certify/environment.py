"""Runs programs of the certifying environment: clean surroundings, no network through the Hub, one temporary home.

The environment holds the newest readers. The oldest that a format is for lie in a folder of it, :data:`OLDEST`, as a layer: what runs
with that folder on its path imports them, and takes all else (torch, decoders) from the environment below.
"""

import hashlib
import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import blueprint_pipeline
from blueprint_pipeline.workspace.checksums import FileDigest

PACKAGES = (
    "lerobot", "robomimic", "torch", "torchcodec", "datasets", "pyarrow",
    "rdq", "robovet", "lerobot-doctor", "adduct", "deepen-grade", "kalanos", "robot-data-audit",
)  # fmt: skip
OLDEST = "oldest-readers"
"""Folder of the environment with the oldest lerobot and ``datasets`` that the v2.1 twin is for."""
LIMIT_S = 3600.0
"""A program that takes longer is ended, and counts as not run."""
_LAST_CHARACTERS = 600
_VERSIONS = (
    "import json, sys; from importlib.metadata import PackageNotFoundError, version\n"
    "found = {}\n"
    "for name in sys.argv[1:]:\n"
    "    try:\n"
    "        found[name] = version(name)\n"
    "    except PackageNotFoundError:\n"
    "        pass\n"
    "print(json.dumps(found))"
)


@dataclass(frozen=True)
class Run:
    """How a program ended."""

    exit_code: int | None
    """``None``: it did not end within its time, or could not be started."""
    output: str
    errors: str

    @property
    def last_output(self) -> str:
        """The end of what it said, on one line."""
        return " ".join((self.errors or self.output)[-_LAST_CHARACTERS:].split())


def digest_environment(python: Path) -> dict[str, FileDigest]:
    """What certifies, as an input of a stage: another set of packages judges again. Empty where there is no environment."""
    if not python.is_file():
        return {}
    root = python.absolute().parents[1]
    folders = (*root.glob("lib/python*/site-packages"), root / OLDEST)
    packages = sorted(path.relative_to(root).as_posix() for folder in folders for path in folder.glob("*.dist-info"))
    names = "\n".join(packages).encode()
    return {"certify-environment": FileDigest(sha256=hashlib.sha256(names).hexdigest(), size_bytes=len(names))}


class CertifyEnvironment:
    """The environment that holds lerobot and the graders.

    Args:
        python: Its interpreter; it need not exist.
        home: An empty folder, for caches and for what programs want to write.
    """

    def __init__(self, python: Path, home: Path) -> None:
        self.python = python.absolute()
        self.home = home
        self._link = home / "path" / "blueprint_pipeline"
        self._link.parent.mkdir(exist_ok=True)
        self._link.symlink_to(Path(blueprint_pipeline.__file__).parent, target_is_directory=True)

    @property
    def exists(self) -> bool:
        return self.python.is_file()

    @property
    def oldest(self) -> Path:
        """Folder of the oldest readers; it need not exist."""
        return self.python.parents[1] / OLDEST

    @cached_property
    def versions(self) -> dict[str, str]:
        """Version of each of :data:`PACKAGES` that is installed."""
        return self._versions()

    @cached_property
    def oldest_versions(self) -> dict[str, str]:
        """The same with the oldest readers in front."""
        return self._versions(PYTHONPATH=str(self.oldest))

    def _versions(self, **variables: str) -> dict[str, str]:
        run = self.run([str(self.python), "-c", _VERSIONS, *PACKAGES], **variables)
        found: dict[str, str] = json.loads(run.output) if run.exit_code == 0 else {}
        return found

    def program(self, name: str) -> Path:
        """Where a console program of the environment is."""
        return self.python.parent / name

    def run_module(self, module: str, *arguments: str, oldest: bool = False) -> Run:
        """Run a module of this package there; a link makes our package visible, and nothing else of our environment."""
        path = [*([str(self.oldest)] if oldest else []), str(self._link.parent)]
        return self.run([str(self.python), "-m", module, *arguments], PYTHONPATH=os.pathsep.join(path))

    def run(self, command: Sequence[str], **variables: str) -> Run:
        """Run a program; secrets of our own process do not reach it."""
        home = str(self.home)
        surroundings = {
            "PATH": os.defpath,
            "HOME": home,
            "HF_HOME": f"{home}/huggingface",
            "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_OFFLINE": "1",
            "NO_COLOR": "1",
            "LANG": "C.UTF-8",
            "COLUMNS": "200",
            # As many programs run at a time as there are cores: threads of theirs would only wait for each other.
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "POLARS_MAX_THREADS": "1",
            **variables,
        }
        try:
            done = subprocess.run(
                list(command), env=surroundings, cwd=home, capture_output=True, text=True, errors="replace", timeout=LIMIT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return Run(None, "", f"did not end within {LIMIT_S:.0f} s")
        except OSError as error:
            return Run(None, "", f"could not be started: {error.strerror}")
        return Run(done.returncode, done.stdout, done.stderr)
