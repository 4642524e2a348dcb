"""Fixtures of the scene tests: a writable small scene, and one that went through all stages once."""

import pytest

from blueprint_pipeline.scene.stages import ASSEMBLE_SCENE, ESTIMATE_PHYSICS, INGEST_SCENE, PROCESS_MESHES, SETTLE_SCENE
from tests.scene.scene_files import SCENES, copy_scene, make_context


@pytest.fixture
def small(tmp_path):
    """A writable copy of a sound scene: a can and a ramekin on a small table that is part of the background."""
    return copy_scene("minimal_ok", tmp_path / "source")


@pytest.fixture(scope="session")
def mesh_cache(tmp_path_factory):
    """One cache of processed meshes for all tests."""
    return tmp_path_factory.mktemp("cache")


def run_all(root, source, cache_dir, scene_id="minimal_ok"):
    """All five stages on a source; returns the context and their results by name."""
    context = make_context(root, scene_id, cache_dir, source)
    results = {}
    for stage in (INGEST_SCENE, ESTIMATE_PHYSICS, PROCESS_MESHES, ASSEMBLE_SCENE, SETTLE_SCENE):
        fields = {"source": str(source)} if stage is INGEST_SCENE else {}
        results[stage.name] = stage.run(stage.request(scene_id=scene_id, **fields), context)
    return context, results


@pytest.fixture(scope="session")
def finished(tmp_path_factory, mesh_cache):
    """The small scene after all stages: its context and the stages' results. Tests must not change it."""
    return run_all(tmp_path_factory.mktemp("finished") / "minimal_ok", SCENES / "minimal_ok", mesh_cache)
