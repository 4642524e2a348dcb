"""A job on disk: four sound episodes in two shards, its plan, and a stage context around it."""

import pytest

from blueprint_pipeline.quality.tiers import load_tiers
from tests.quality import synthetic


@pytest.fixture
def config():
    """The limits that ship."""
    return load_tiers()


@pytest.fixture
def episode():
    """A sound episode, to be bent."""
    return synthetic.build_episode()


@pytest.fixture
def scene_root(tmp_path):
    """An empty scene folder."""
    root = tmp_path / "scene"
    root.mkdir()
    return root
