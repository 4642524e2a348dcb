"""Astronomer's ``airflow-blueprint`` and this distribution work in one environment: a team that has one can add the other.

``airflow-blueprint`` installs the module and the command ``blueprint``. Both wheels go into a scratch environment, without the
libraries that they share: those come from the environment of the tests.
"""

import csv
import importlib.metadata
import io
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import textwrap
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
THEIRS = "airflow-blueprint==0.5.0"
WHEEL_SOURCES = ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE")


def pip(*arguments, cwd):
    """Run pip of this environment, with the index that it is configured for."""
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, arguments)]
    ended = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def build_our_wheel(folder):
    """Our wheel, from a copy: the build writes the gRPC messages into the tree that it reads."""
    source = folder / "source"
    ignore = shutil.ignore_patterns("__pycache__", "*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py")
    shutil.copytree(ROOT / "include", source / "include", ignore=ignore)
    for name in WHEEL_SOURCES:
        shutil.copy(ROOT / name, source)
    pip("wheel", "--no-deps", "--wheel-dir", folder, source, cwd=folder)
    return next(folder.glob("blueprint_pipeline-*.whl"))


class Scratch:
    """An environment that holds both distributions, and nothing of the working tree."""

    def __init__(self, folder):
        self.folder = folder
        ours = build_our_wheel(folder)
        pip("download", "--no-deps", "--dest", folder, THEIRS, cwd=folder)
        theirs = next(folder.glob("airflow_blueprint-*.whl"))
        self.wheels = {"blueprint-pipeline": ours, "airflow-blueprint": theirs}
        self.venv = folder / "venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", self.venv], check=True)
        pip("--python", self.venv / "bin" / "python", "install", "--no-deps", ours, theirs, cwd=folder)
        (self.site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")

    @property
    def site(self):
        return next((self.venv / "lib").glob("python*/site-packages"))

    def run(self, *command, **variables):
        """Run a program of the scratch environment in an empty folder; returns what it printed."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "BPP__", "AIRFLOW"))}
        environment = {**kept, "AIRFLOW_HOME": str(self.folder / "airflow"), **variables}
        program = str(self.venv / "bin" / command[0])
        ended = subprocess.run([program, *command[1:]], cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def python(self, code, **variables):
        """Run code that prints one JSON value last; returns the value."""
        return json.loads(self.run("python", "-c", textwrap.dedent(code), **variables).splitlines()[-1])


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return Scratch(tmp_path_factory.mktemp("beside"))


def recorded_files(wheel):
    """Every path that a wheel installs, and the commands that its entry points make."""
    with zipfile.ZipFile(wheel) as archive:
        record = next(name for name in archive.namelist() if name.endswith(".dist-info/RECORD"))
        return {row[0] for row in csv.reader(io.StringIO(archive.read(record).decode()))}


def commands_of(scratch, name):
    distribution = next(iter(importlib.metadata.distributions(name=name, path=[str(scratch.site)])))
    return {entry.name for entry in distribution.entry_points if entry.group == "console_scripts"}


def test_no_file_and_no_command_of_one_replaces_one_of_the_other(scratch):
    ours, theirs = (recorded_files(wheel) for wheel in scratch.wheels.values())
    assert "blueprint_pipeline/__init__.py" in ours
    assert "blueprint/__init__.py" in theirs
    assert ours & theirs == set()
    assert commands_of(scratch, "blueprint-pipeline") == {"bpp", "blueprint-pipeline"}
    assert commands_of(scratch, "airflow-blueprint") == {"blueprint"}


def test_both_modules_are_imported_from_their_own_folders(scratch):
    found = scratch.python("""
        import json, blueprint, blueprint_pipeline
        print(json.dumps([blueprint.__file__, blueprint_pipeline.__file__]))
    """)
    assert [Path(path).parent for path in found] == [scratch.site / "blueprint", scratch.site / "blueprint_pipeline"]


def test_all_commands_run(scratch):
    assert THEIRS.partition("==")[2] in scratch.run("blueprint", "--version")
    assert "Reusable task templates" in scratch.run("blueprint", "--help")
    version = scratch.run("bpp", "--version")
    assert version.strip() == importlib.metadata.version("blueprint-pipeline")
    assert scratch.run("blueprint-pipeline", "--version") == version


def test_one_airflow_loads_our_plugin_and_dags_of_both(scratch):
    """Our plugin and macro, our DAG file, and a DAG that ``airflow-blueprint`` composes from YAML."""
    dags = scratch.folder / "airflow" / "dags"
    dags.mkdir(parents=True)
    (dags / "steps.py").write_text(
        textwrap.dedent("""
            from airflow.providers.standard.operators.empty import EmptyOperator
            from blueprint import BaseModel, Blueprint

            class NothingConfig(BaseModel):
                label: str = "nothing"

            class Nothing(Blueprint[NothingConfig]):
                '''A step that does nothing.'''

                def render(self, config):
                    return EmptyOperator(task_id=self.step_id)
        """)
    )
    (dags / "theirs.dag.yaml").write_text("dag_id: theirs\nsteps:\n  first:\n    blueprint: nothing\n")
    (dags / "loader.py").write_text("from airflow.sdk import DAG\nfrom blueprint import build_all\n\nbuild_all()\n")
    found = scratch.python(
        f"""
        import json
        from airflow.dag_processing.dagbag import DagBag
        from airflow.plugins_manager import _get_plugins
        plugins, errors = _get_plugins()
        bags = [DagBag(path) for path in ({str(dags)!r}, {str(ROOT / "dags" / "scene_to_dataset.py")!r})]
        print(json.dumps({{
            "plugins": [plugin.name for plugin in plugins],
            "errors": errors | {{k: v for bag in bags for k, v in bag.import_errors.items()}},
            "dags": sorted(dag_id for bag in bags for dag_id in bag.dags),
        }}))
        """,
        PYTHONPATH=str(ROOT),
        AIRFLOW__CORE__PLUGINS_FOLDER=str(ROOT / "plugins"),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
    )
    assert found["errors"] == {}
    assert found["dags"] == ["scene_to_dataset", "theirs"]
    assert found["plugins"].count("blueprint_pipeline") == 1
    assert len(set(found["plugins"])) == len(found["plugins"])


def test_a_variable_of_one_does_not_reach_the_other(scratch):
    """Our prefix is ``BPP__``; what begins with their name is neither read nor taken for a misspelt name of ours."""
    code = "import json; from blueprint_pipeline.settings import load_settings; print(json.dumps(load_settings().workspace.url))"
    assert scratch.python(code, BLUEPRINT__WORKSPACE__URL="/theirs", BLUEPRINT_PROFILE="staging") == ".bpp/workspace"
    assert scratch.python(code, BPP__WORKSPACE__URL="/ours") == "/ours"
    source = "\n".join(path.read_text() for path in (scratch.site / "blueprint").rglob("*.py"))
    assert set(re.findall(r"""(?:getenv|environ\.get)\(["'](\w+)""", source)) == {"AIRFLOW_HOME"}
