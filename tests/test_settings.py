"""Settings come from the environment once, and a misspelt name stops the process."""

import pytest

from blueprint_pipeline.errors import ConfigurationError
from blueprint_pipeline.settings import load_settings


@pytest.fixture(autouse=True)
def _fresh():
    load_settings.cache_clear()
    yield
    load_settings.cache_clear()


def test_environment_sets_nested_fields(monkeypatch):
    """``BPP__GROUP__FIELD`` reaches its field."""
    monkeypatch.setenv("BPP__WORKSPACE__URL", "gs://bucket/x")
    assert load_settings().workspace.url == "gs://bucket/x"


@pytest.mark.parametrize("name", ["BPP__WORKSPCE__URL", "BPP__WORKSPACE__URI"])
def test_misspelt_variable_is_refused(monkeypatch, name):
    """A wrong group and a wrong field both fail loudly, with the name."""
    monkeypatch.setenv(name, "x")
    with pytest.raises(ConfigurationError, match=name):
        load_settings()


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"SIMULATOR": "gazebo"}, "There is no simulator 'gazebo'. Known: mujoco, isaac_sim"),
        ({"TOKEN_FILE": "/t"}, "give its address"),
        ({"ADDRESS": "h:1", "CERTIFICATE": "/c"}, "all of certificate, private_key and server_ca"),
    ],
)
def test_half_a_simulator_is_refused(monkeypatch, variables, said):
    for name, value in variables.items():
        monkeypatch.setenv(f"BPP__SIMULATION__{name}", value)
    with pytest.raises(ConfigurationError, match=said):
        load_settings()


def test_wrong_kind_of_value_names_the_variable(monkeypatch):
    """A value that cannot be read says where it stands."""
    monkeypatch.setenv("BPP__COMPUTE__WORKERS", "many")
    with pytest.raises(ConfigurationError, match="COMPUTE__WORKERS"):
        load_settings()
