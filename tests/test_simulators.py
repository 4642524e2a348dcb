"""A simulator is its own folder and one row: nothing else names it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from architecture.rooms import FOLDER, modules
from blueprint_pipeline.cli.app import app
from blueprint_pipeline.rows import UnknownRow
from blueprint_pipeline.settings import GenieSimSettings, Settings, SimulationSettings, load_settings
from blueprint_pipeline.simulation.engine import load_engine
from blueprint_pipeline.simulation.open_simulator import simulator_release
from blueprint_pipeline.simulators import SIMULATORS
from tests.simulation.isaac_sim.another_engine import ROW
from tests.temporary_rows import with_row

runner = CliRunner()


@pytest.mark.parametrize("name", ["isaac_sim", "genie_sim"])
def test_only_its_folder_and_its_row_name_a_simulator(name):
    """What a new simulator touches is what these have."""
    naming = [path.relative_to(FOLDER) for path in modules() if f'"{name}"' in path.read_text(encoding="utf-8")]
    assert {path.as_posix() for path in naming if name not in path.parts} == {"simulators.py"}


def test_no_row_imports_its_engine():
    """Settings name simulators on machines that cannot run them."""
    code = "import sys, blueprint_pipeline.settings; print([name for name in sys.modules if name in ('mujoco', 'pxr', 'numpy')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize("name", SIMULATORS)
def test_every_row_leads_to_an_engine(name):
    """Without opening it: no Isaac Sim is here."""
    assert load_engine(name).open


def test_a_new_row_is_known_to_settings_and_commands(monkeypatch):
    """``bpp simulator check`` runs its suite."""
    with pytest.raises(ValidationError, match="Known: mujoco, isaac_sim"):
        SimulationSettings(simulator="another")
    with with_row(SIMULATORS, ROW):
        monkeypatch.setenv("BPP__SIMULATION__SIMULATOR", "another")
        load_settings.cache_clear()
        assert load_settings().simulation.simulator == "another"
        load_settings.cache_clear()
        answer = runner.invoke(app, ["simulator", "check", "--simulator", "another", "--json"])
        assert answer.exit_code == 0, answer.output
        assert json.loads(answer.stdout)["simulator"] == "another"
    with pytest.raises(UnknownRow):
        load_engine("another")


def test_a_command_refuses_a_name_that_is_no_row():
    """And says which there are."""
    answer = runner.invoke(app, ["simulator", "serve", "--simulator", "gazebo"])
    assert answer.exit_code == 2
    assert "Known: mujoco, isaac_sim" in " ".join(answer.output.replace("│", " ").split())


def test_the_stated_release_of_a_server_is_part_of_the_key():
    """What another release made is another result; its protocol does not tell it."""
    first, second = (Settings(genie_sim=GenieSimSettings(version=version)) for version in ("3.1.0", "3.2.0"))
    assert simulator_release("genie_sim", first) == {"release of genie_sim": "3.1.0"} != simulator_release("genie_sim", second)


def test_the_row_of_the_tests_lies_beside_its_engine():
    """One folder: the module that is its engine holds all that is its own."""
    assert Path(sys.modules[ROW.engine.partition(":")[0]].__file__).name == "another_engine.py"
