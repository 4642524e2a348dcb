"""The five stages, one after the other: whole, the same bytes each time, and quick once meshes are cached."""

import numpy as np
import pytest

from blueprint_pipeline.scene.summary import OBJECT_COLUMNS, build_row, load_summary
from blueprint_pipeline.scene.surfaces import WHITE, Surface
from blueprint_pipeline.stage.flow import load_stage
from blueprint_pipeline.stage.runner import run_stage
from blueprint_pipeline.workspace.checksums import digest_files, list_files
from blueprint_pipeline.workspace.storage import Workspace
from tests.scene.finished_scene import run_all
from tests.scene.scene_files import SAMPLES, SCENES, Z_TO_Y_UP, seen_from, write_mesh

STAGES = ("ingest_scene", "estimate_physics", "process_meshes", "assemble_scene", "settle_scene")


def test_same_scene_gives_the_same_bytes(finished, mesh_cache, tmp_path):
    """All files of all stages, in another folder, from the cache or not."""
    context, results = finished
    again, same = run_all(tmp_path / "minimal_ok", SCENES / "minimal_ok", mesh_cache)
    names = list_files(context.scene.root)
    assert list_files(again.scene.root) == names
    assert digest_files(again.scene.root, names) == digest_files(context.scene.root, names)
    assert results == same


@pytest.mark.slow
def test_rerun_without_the_cache_gives_the_same_bytes(finished, tmp_path):
    """Decomposition, decimation and pictures are deterministic."""
    context, _ = finished
    again, _ = run_all(tmp_path / "minimal_ok", SCENES / "minimal_ok", tmp_path / "another_cache")
    names = context.scene.files_under("assets")
    assert digest_files(again.scene.root, names) == digest_files(context.scene.root, names)


def test_runner_takes_a_scene_through_all_stages(settings, sound_scene, mesh_cache, finished):
    """Declared reads and writes are the real ones; a second run does nothing."""
    workspace = settings.workspace.model_copy(update={"cache_dir": mesh_cache})
    settings = settings.model_copy(update={"workspace": workspace})
    for name in STAGES:
        request = {"scene_id": "s1", **({"source": str(sound_scene)} if name == "ingest_scene" else {})}
        result = run_stage(name, request, settings)
        assert run_stage(name, request, settings) == result
    scene = Workspace(settings.workspace).scene("s1")
    assert len(scene.files_under("commits")) == 5
    summary = {item.object_id: item for item in load_summary(scene)}
    assert summary["can"].mass_kg == pytest.approx(0.151, abs=0.002)
    assert summary["ramekin"].licence == "CC-BY-4.0"
    can = summary["can"]
    size = can.size_m
    row = dict(zip(OBJECT_COLUMNS, build_row(can), strict=True))
    assert row["size x, y, z [m]"] == f"{size.width:.3f}, {size.depth:.3f}, {size.height:.3f} (measured)"
    assert row["mass [kg]"] == f"{can.mass_kg:.4g} (estimated)"
    assert row["friction"] == f"{can.sliding_friction:.4g} (estimated)"


def test_broken_scene_leaves_nothing_in_the_workspace(settings):
    """The runner's part of it: no commit, no file."""
    with pytest.raises(Exception, match="can"):
        run_stage("ingest_scene", {"scene_id": "s1", "source": str(SCENES / "broken/nan_pose")}, settings)
    root = Workspace(settings.workspace).root
    assert not root.exists() or [path for path in root.rglob("*") if path.is_file()] == []


def test_flat_thing_goes_through_all_stages(small, mesh_cache, tmp_path):
    """A square that weighs as its sheet is a body to the simulator: its moments are those of a thin plate."""
    square = np.array([[-0.03, -0.03, 0], [0.03, -0.03, 0], [0.03, 0.03, 0], [-0.03, 0.03, 0]])
    write_mesh(small, "can", [Surface(square, np.array([[0, 1, 2], [0, 2, 3]]), None, WHITE)])
    _, results = run_all(tmp_path / "flat", small, mesh_cache)
    assert results["assemble_scene"].set_aside == {}


@pytest.mark.slow
def test_scene_in_other_axes_and_units_settles_too(small, mesh_cache, tmp_path):
    """A variant that nothing was tuned to."""
    seen_from(small, Z_TO_Y_UP, 100.0, "y_up")
    _, results = run_all(tmp_path / "variant", small, mesh_cache, "variant")
    assert results["settle_scene"].max_drift_m < 0.001


def _written(folder):
    """Every file with the time at which it was written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("source", [SAMPLES / "tabletop_scanned", SCENES / "kitchen_counter_yup"], ids=lambda path: path.name)
def test_real_scene_goes_through_all_stages(source, mesh_cache, tmp_path):
    """Eight objects: at rest, few triangles; a second time the cache has every mesh, and nothing is processed."""
    _, results = run_all(tmp_path / "cold", source, mesh_cache, source.name)
    assert results["process_meshes"].triangles <= 12_000
    assert results["settle_scene"].max_penetration_m < 0.0005
    cached = _written(mesh_cache)
    assert cached
    _, again = run_all(tmp_path / "warm", source, mesh_cache, source.name)
    assert again == results
    assert _written(mesh_cache) == cached


@pytest.mark.parametrize("name", STAGES)
def test_stage_is_found_by_name(name):
    """As the runner looks it up."""
    assert load_stage(name).name == name
