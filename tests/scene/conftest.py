"""A writable small scene."""

import pytest

from tests.scene.scene_files import copy_scene


@pytest.fixture
def small(tmp_path):
    """A writable copy of a sound scene: a can and a ramekin on a small table that is part of the background."""
    return copy_scene("minimal_ok", tmp_path / "source")
