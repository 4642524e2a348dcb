"""A small scene that went through all scene stages once, for every room that starts from one."""

import pytest


def run_all(root, source, cache_dir, scene_id="minimal_ok"):
    """All five stages on a source; returns the context and their results by name."""
    from blueprint_pipeline.scene.stages import ASSEMBLE_SCENE, ESTIMATE_PHYSICS, INGEST_SCENE, PROCESS_MESHES, SETTLE_SCENE
    from tests.scene.scene_files import make_context

    context = make_context(root, scene_id, cache_dir, source)
    results = {}
    for stage in (INGEST_SCENE, ESTIMATE_PHYSICS, PROCESS_MESHES, ASSEMBLE_SCENE, SETTLE_SCENE):
        fields = {"source": str(source)} if stage is INGEST_SCENE else {}
        results[stage.name] = stage.run(stage.request(scene_id=scene_id, **fields), context)
    return context, results


@pytest.fixture(scope="session")
def mesh_cache(tmp_path_factory):
    """One cache of processed meshes for all tests of a process."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def finished(tmp_path_factory, mesh_cache):
    """The small scene after all stages: its context and the stages' results. Tests must not change it."""
    from tests.scene.scene_files import SCENES

    return run_all(tmp_path_factory.mktemp("finished") / "minimal_ok", SCENES / "minimal_ok", mesh_cache)


@pytest.fixture(scope="session")
def cabinet(tmp_path_factory, mesh_cache):
    """Drawers and a door on a table, after all stages: the context. Tests must not change it."""
    from tests.scene.cabinet_scene import write_scene

    root = tmp_path_factory.mktemp("cabinet")
    return run_all(root / "cabinet_table", write_scene(root / "source"), mesh_cache, "cabinet_table")[0]


@pytest.fixture(scope="session")
def trays(tmp_path_factory, mesh_cache):
    """A tray with two handles on a table, after all stages: the context. Tests must not change it."""
    from tests.scene.tray_scene import write_scene

    root = tmp_path_factory.mktemp("trays")
    return run_all(root / "tray_table", write_scene(root / "source"), mesh_cache, "tray_table")[0]


@pytest.fixture(scope="session")
def pegs(tmp_path_factory, mesh_cache):
    """Pegs and a block with holes on a table, after all stages: the context. Tests must not change it."""
    from tests.scene.peg_scene import write_scene

    root = tmp_path_factory.mktemp("pegs")
    return run_all(root / "peg_table", write_scene(root / "source"), mesh_cache, "peg_table")[0]


@pytest.fixture(scope="session")
def panel(tmp_path_factory, mesh_cache):
    """Buttons and knobs on a table, after all stages: the context. Tests must not change it."""
    from tests.scene.panel_scene import write_scene

    root = tmp_path_factory.mktemp("panel")
    return run_all(root / "panel_table", write_scene(root / "source"), mesh_cache, "panel_table")[0]


@pytest.fixture(scope="session")
def handovers(tmp_path_factory, mesh_cache):
    """Two things that are long enough for two hands on a table, after all stages: the context. Tests must not change it."""
    from tests.scene.handover_scene import write_scene

    root = tmp_path_factory.mktemp("handovers")
    return run_all(root / "handover_table", write_scene(root / "source"), mesh_cache, "handover_table")[0]
