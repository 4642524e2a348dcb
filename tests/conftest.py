"""What all tests share: settings that point into a folder of the test's own."""

from pathlib import Path

import hypothesis
import pytest
import structlog

from blueprint_pipeline.settings import RegistrySettings, Settings, WorkspaceSettings

pytest_plugins = ("tests.airflow_home", "tests.cluster_api", "tests.postgres", "tests.scene.finished_scene")
"""Fixtures that several rooms share. The first one points Airflow at a home of this process before anything imports it."""

# A deadline in wall time says how busy the machine is, and nothing of the code. The same examples at every run: what new ones find is
# found with `--hypothesis-profile explore`, and not by the next person who changes something else.
hypothesis.settings.register_profile("repeat", deadline=None, derandomize=True)
hypothesis.settings.register_profile("explore", deadline=None)
hypothesis.settings.load_profile("repeat")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """A file's tests stay on one worker, where no larger group is named: what a module makes is made once."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.relative_to(Path(__file__).parent).with_suffix("").as_posix()))


@pytest.fixture
def settings(tmp_path):
    """Settings whose workspace, cache and registry lie in the test's folder."""
    return Settings(
        workspace=WorkspaceSettings(url=str(tmp_path / "workspace"), cache_dir=tmp_path / "cache"),
        registry=RegistrySettings(url=f"sqlite:///{tmp_path / 'registry.db'}"),
    )


@pytest.fixture
def sound_scene():
    """A small sound scene in the ``regen3d/`` layout: a can and a ramekin on a table."""
    return Path(__file__).parent / "resources" / "scenes" / "minimal_ok"


@pytest.fixture(autouse=True)
def _logging_stays_as_it_was():
    """Programs set up logging for their process; Airflow, in the same test process, has its own set-up of structlog."""
    before = structlog.get_config() if structlog.is_configured() else None
    yield
    if before is None:
        structlog.reset_defaults()
    else:
        structlog.configure(**before)


@pytest.fixture(scope="session")
def google_server():
    """Google Cloud Storage on loopback, behind a proxy that can fail on demand."""
    from tests.gcs import running_server  # gcsfs is slow to import

    with running_server() as server:
        yield server
