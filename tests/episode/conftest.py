"""A sound episode, shared with the tests of the gates."""

from tests.quality.conftest import config, episode, scene_root

__all__ = ["config", "episode", "scene_root"]
