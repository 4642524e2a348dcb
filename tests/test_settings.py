"""Settings come from the environment once, and a misspelt name stops the process."""

import pytest

from blueprint.errors import ConfigurationError
from blueprint.settings import load_settings


@pytest.fixture(autouse=True)
def _fresh():
    load_settings.cache_clear()
    yield
    load_settings.cache_clear()


def test_environment_sets_nested_fields(monkeypatch):
    """``BLUEPRINT__GROUP__FIELD`` reaches its field."""
    monkeypatch.setenv("BLUEPRINT__WORKSPACE__URL", "gs://bucket/x")
    assert load_settings().workspace.url == "gs://bucket/x"


@pytest.mark.parametrize("name", ["BLUEPRINT__WORKSPCE__URL", "BLUEPRINT__WORKSPACE__URI"])
def test_misspelt_variable_is_refused(monkeypatch, name):
    """A wrong group and a wrong field both fail loudly, with the name."""
    monkeypatch.setenv(name, "x")
    with pytest.raises(ConfigurationError, match=name):
        load_settings()


def test_wrong_kind_of_value_names_the_variable(monkeypatch):
    """A value that cannot be read says where it stands."""
    monkeypatch.setenv("BLUEPRINT__COMPUTE__WORKERS", "many")
    with pytest.raises(ConfigurationError, match="COMPUTE__WORKERS"):
        load_settings()
