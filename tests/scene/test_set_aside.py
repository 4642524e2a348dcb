"""An object that never comes to rest costs itself, not the scene: twin, stage and planner agree on what can move."""

from dataclasses import replace

import mujoco
import pytest
from pxr import Usd, UsdPhysics

from blueprint_pipeline.scene import assemble as assemble_module
from blueprint_pipeline.scene.assemble import load_assets, write_twin, write_usd
from blueprint_pipeline.scene.manifest import MANIFEST_PATH, Xyz
from blueprint_pipeline.scene.mjcf import build_twin
from blueprint_pipeline.scene.prim_paths import object_path
from blueprint_pipeline.scene.set_aside import SET_ASIDE_PATH, load_assembled_manifest, load_set_aside
from blueprint_pipeline.scene.settle import SceneNotStable, load_settled, settle, settle_patiently, validate_settled
from blueprint_pipeline.scene.stages import ASSEMBLE_SCENE, SETTLE_SCENE, AssembleSceneRequest, SceneRequest
from blueprint_pipeline.scene.summary import describe_role, load_summary
from blueprint_pipeline.twin.footprint import movable_objects
from tests.scene.scene_files import make_context


@pytest.fixture
def assets(finished):
    return load_assets(finished[0].scene)


@pytest.fixture
def context(finished, tmp_path):
    """A folder with the finished scene's assets, where it is assembled anew."""
    made = make_context(tmp_path / "again", "minimal_ok", tmp_path / "cache")
    made.scene.write_bytes(MANIFEST_PATH, finished[0].scene.read_bytes(MANIFEST_PATH))
    return made


def lifted(assets, *names):
    """The scene with objects in the air."""
    objects = []
    for item in assets.manifest.objects:
        at = item.transform.position
        higher = item.transform.model_copy(update={"position": Xyz(x=at.x, y=at.y, z=at.z + 0.2)})
        objects.append(item.model_copy(update={"transform": higher}) if item.id in names else item)
    return replace(assets, manifest=assets.manifest.model_copy(update={"objects": tuple(objects)}))


def test_scene_is_used_without_the_object_that_falls(assets, context):
    """It is fixed in both twins; the reason has figures; what is left rests."""
    twin = write_twin(lifted(assets, "can"), context, duration_s=2.0)
    assert movable_objects(twin.model) == ("ramekin",)
    assert set(twin.set_aside) == {"can"}
    assert "does not come to rest: it moved 2" in twin.set_aside["can"]
    validate_settled(settle_patiently(twin.model, "s", duration_s=2.0))
    write_usd(twin.assets, context)
    stage = Usd.Stage.Open(str(context.input("usd/scene.usda")))
    assert not stage.GetPrimAtPath(object_path("can")).HasAPI(UsdPhysics.RigidBodyAPI)
    assert stage.GetPrimAtPath(object_path("can")).GetAttribute("blueprint_pipeline:sim_role").Get() == "static"
    assert stage.GetPrimAtPath(object_path("ramekin")).HasAPI(UsdPhysics.RigidBodyAPI)


def test_one_file_says_what_was_set_aside(assets, context):
    """Who reads the scene afterwards sees the same objects move, and a person the reason."""
    write_twin(lifted(assets, "can"), context, duration_s=2.0)
    assert list(load_set_aside(context.scene).reasons) == ["can"]
    movable = {item.id for item in load_assembled_manifest(context.scene).objects if item.is_movable}
    assert movable == set(movable_objects(mujoco.MjModel.from_xml_path(str(context.input("mjcf/scene.xml")))))
    roles = {item.object_id: describe_role(item) for item in load_summary(context.scene)}
    assert roles["ramekin"] == "manipulable_object"
    assert roles["can"].startswith("manipulable_object, set aside: it does not come to rest: it moved")


def test_scene_of_which_nothing_is_left_is_refused(assets, context):
    """Everything falls."""
    with pytest.raises(SceneNotStable, match=r"object (can|ramekin) moved 2"):
        write_twin(lifted(assets, "can", "ramekin"), context, duration_s=2.0)


def test_scene_is_settled_for_as_long_as_it_was_watched(finished, context):
    """One figure for both stages: what settling would find, setting aside has found."""
    for name in finished[0].scene.files_under("assets"):
        context.scene.write_bytes(name, finished[0].scene.read_bytes(name))
    ASSEMBLE_SCENE.run(AssembleSceneRequest(scene_id="minimal_ok", duration_s=0.75), context)
    assert load_set_aside(context.scene).watched_s == 0.75
    SETTLE_SCENE.run(SceneRequest(scene_id="minimal_ok"), context)
    assert load_settled(context.scene).duration_s == 0.75


def test_files_are_written_once(assets, context, monkeypatch):
    """Whatever is set aside: trials need no looks, and leave nothing on the disk."""
    drawn = []

    def counting(*args, is_drawn=True):
        drawn.append(is_drawn)
        return build_twin(*args, is_drawn=is_drawn)

    monkeypatch.setattr(assemble_module, "build_twin", counting)
    write_twin(lifted(assets, "can"), context, duration_s=2.0)
    assert drawn.count(True) == 1
    assert len(drawn) > 3


def test_twin_without_looks_moves_the_same(assets, context):
    """Bit by bit: trials are made of it."""
    written = write_twin(assets, context, duration_s=0.5).model
    files = build_twin(assets, is_drawn=False)
    text = files.pop("scene.xml").decode()
    plain = mujoco.MjModel.from_xml_string(text, files)
    assert plain.ngeom < written.ngeom
    assert settle(plain, "s", duration_s=0.5) == settle(written, "s", duration_s=0.5)


def test_sound_scene_sets_nothing_aside(finished):
    """And says so."""
    context, results = finished
    assert results["assemble_scene"].set_aside == {}
    assert load_set_aside(context.scene).reasons == {}
    assert context.scene.exists(SET_ASIDE_PATH)
