"""Run every benchmark and print its table: ``python -m benchmarks.run_all [--size small|full]`` (``make bench``).

Makes a workspace with the sample scene, planned and simulated, for those that need one. Ends with 1 if a benchmark failed; one whose
environment is not here is left out, and said to be.
"""

import argparse
import os
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.against_robosuite import PYTHON as ROBOSUITE
from benchmarks.kill_drill import SCENE, SOURCE, flow
from blueprint_pipeline.settings import RegistrySettings, Settings, WorkspaceSettings, environment_of_child, load_settings
from blueprint_pipeline.simulation.mujoco.renderers import choose_backend
from blueprint_pipeline.stage.runner import run_stage

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent
PREPARED_WITH = "simulate_shard"
"""The last stage that benchmarks build on."""

BESIDE = """
import runpy, site, sys
site.addsitedir(sys.argv.pop(1))
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""
"""Runs a module in another environment, which takes from this one what it lacks itself."""


@dataclass(frozen=True)
class Row:
    """One benchmark: its arguments by size; ``{workspace}`` stands for the prepared one."""

    name: str
    small: tuple[str, ...]
    full: tuple[str, ...]
    python: Path | None = None
    """Interpreter of another environment that runs it."""
    peer: Path | None = None
    """Interpreter of an environment in which it starts its peer."""
    environment: str = "certify-env"
    """The make target of that environment."""


def samples() -> list[Path]:
    """Folders of the scenes that come with the project."""
    return sorted(path.parent for path in SOURCE.parent.glob("*/scene_info.json"))


ROWS = (
    Row("simulation", ("{workspace}", SCENE, "1"), ("{workspace}", SCENE, "8")),
    Row("render", ("{workspace}", SCENE, "1"), ("{workspace}", SCENE, "4")),
    Row(
        "against_robosuite",
        ("{workspace}", SCENE, "--episodes", "1"),
        ("{workspace}", SCENE, "--episodes", "8"),
        peer=ROBOSUITE,
        environment="peer-env",
    ),
    Row("kept_rate", ("--skills", "pick_place", "--attempts", "2"), tuple(map(str, samples()))),
    Row("planted", ("{workspace}", SCENE, "--attempts", "4", "--each", "2", "--drawn", "1"), ("{workspace}", SCENE)),
    Row("package_bundle", ("--megabytes", "2", "--pairs", "1"), ("--megabytes", "128", "--pairs", "5")),
    Row("dataset_write", ("--episodes", "1", "--pairs", "1"), ("--episodes", "50", "--pairs", "5"), load_settings().dataset.certify_python),
    Row(
        "learn",
        ("{workspace}", SCENE, "--episodes", "12", "--attempts", "14", "--trials", "2", "--steps", "20"),
        ("{workspace}", SCENE),
    ),
    Row("kill_drill", ("--kills", "1", "--episodes", "1", "--shard-size", "1"), ("--kills", "10", "--episodes", "8")),
)


def prepare(folder: Path, episodes: int) -> None:
    """Take the sample scene to simulated episodes."""
    settings = Settings(
        workspace=WorkspaceSettings(url=str(folder), cache_dir=load_settings().workspace.cache_dir),
        registry=RegistrySettings(url=f"sqlite:///{folder}/registry.db"),
    )
    for stage, request in flow(episodes, episodes):
        run_stage(stage, {"scene_id": SCENE, **request}, settings)
        if stage == PREPARED_WITH:
            return


def run(row: Row, size: str, workspace: Path) -> bool:
    """Run one and print what it says; whether it ended well."""
    print(f"\n== {row.name}", flush=True)
    if missing := [python for python in (row.python, row.peer) if python is not None and not python.exists()]:
        print(f"left out: it needs {missing[0]} (make {row.environment})")
        return True
    arguments = [argument.format(workspace=workspace) for argument in getattr(row, size)]
    environment = environment_of_child(
        {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "include")]), "MUJOCO_GL": choose_backend("auto")}
    )
    module = f"benchmarks.{row.name}"
    start = ["-m", module] if row.python is None else ["-c", BESIDE, sysconfig.get_path("purelib"), module]
    command = [str(row.python or sys.executable), *start, *arguments]
    return subprocess.run(command, check=False, env=environment).returncode == 0


def main(arguments: list[str]) -> int:
    """Run all that were chosen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=("small", "full"), default="full")
    parser.add_argument("names", nargs="*", help="of benchmarks; all if none is given")
    chosen = parser.parse_args(arguments)
    rows = [row for row in ROWS if not chosen.names or row.name in chosen.names]
    with tempfile.TemporaryDirectory() as folder:
        if any("{workspace}" in row.small for row in rows):
            prepare(Path(folder), 2 if chosen.size == "small" else 9)
        failed = [row.name for row in rows if not run(row, chosen.size, Path(folder))]
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
