"""Manifest, layout and inventory: the formats that users know, with one convention each."""

import json

import numpy as np
import pytest

from blueprint_pipeline.scene.frames import rotation_error
from blueprint_pipeline.scene.ingest import SourceManifest, validate_source
from blueprint_pipeline.scene.manifest import MAX_MOVABLE_VOLUME_M3, SceneManifest, choose_sim_role, load_manifest
from blueprint_pipeline.scene.stages import INGEST_SCENE, IngestSceneRequest
from tests.scene.scene_files import SAMPLES, SCENES, Z_TO_Y_UP, make_context, seen_from


def ingested(source, tmp_path, scene_id="s"):
    context = make_context(tmp_path / scene_id, scene_id, tmp_path / "cache", source)
    INGEST_SCENE.run(IngestSceneRequest(scene_id=scene_id, source=str(source)), context)
    return context


@pytest.mark.parametrize(
    ("floor", "articulated", "volume", "role"),
    [
        (True, False, 0.001, "static"),
        (False, False, MAX_MOVABLE_VOLUME_M3, "static"),
        (False, False, MAX_MOVABLE_VOLUME_M3 * 0.99, "manipulable_object"),
        (True, True, 1.0, "articulated_furniture"),
        (False, True, 0.001, "articulated_appliance"),
    ],
)
def test_role_follows_the_rule(floor, articulated, volume, role):
    """Furniture and big things stay, small things move, things that open stay."""
    assert choose_sim_role(is_floor_contact=floor, is_articulated=articulated, volume_m3=volume) == role


def test_kitchen_is_in_the_world_frame(tmp_path):
    """From y up in centimetres: the counter's top is at 0.9 m, all six loose objects stand on it, joints are in metres."""
    manifest = load_manifest(ingested(SCENES / "kitchen_counter_yup", tmp_path).scene)
    assert {item.id for item in manifest.objects if item.is_movable} == {
        "bread_loaf",
        "cereal_bowl",
        "dinner_plate",
        "glass_bottle",
        "kettle",
        "red_ramekin",
    }
    for item in manifest.objects:
        if item.is_movable:
            assert item.transform.position.z == pytest.approx(0.9, abs=0.002)
        assert item.transform.scale.as_tuple() == (1, 1, 1)
    counter = manifest.object("counter")
    assert counter.dimensions_est.height == pytest.approx(0.9, abs=0.001)
    assert (counter.sim_role, manifest.object("microwave").sim_role) == ("articulated_furniture", "articulated_appliance")
    slide = next(joint for joint in counter.articulation.joints if joint.name == "drawer_left_slide")
    assert slide.limits == pytest.approx((0, 0.36))
    assert slide.axis == pytest.approx((0, -1, 0)), "towards the room: -y in the world"
    assert manifest.object("kettle").asset.licence == "Apache-2.0"
    assert manifest.background.licence == "CC0-1.0"


def test_formats_hold_the_fields_that_users_read(tmp_path):
    """Names and shapes of the three files."""
    context = ingested(SAMPLES / "tabletop_scanned", tmp_path)
    manifest = json.loads(context.scene.read_bytes("assets/scene_manifest.json"))
    assert {"version", "scene_id", "scene", "objects", "assets", "background", "metadata"} <= set(manifest)
    assert manifest["scene"]["room"]["bounds"].keys() == {"width", "depth", "height"}
    first = manifest["objects"][0]
    assert first["transform"]["rotation_quaternion"].keys() == {"w", "x", "y", "z"}
    assert first["semantics"]["class"] == "bowl"
    layout = json.loads(context.scene.read_bytes("layout/scene_layout_scaled.json"))
    for item in layout["objects"]:
        assert rotation_error(np.asarray(item["obb"]["R"])) < 1e-6, "R holds no scale"
        assert {"id", "class_name", "center3d", "obb", "bounds", "approx_location", "is_floor_contact"} <= set(item)
    assert len(layout["room_planes"]["walls"]) == 4
    inventory = json.loads(context.scene.read_bytes("seg/inventory.json"))
    assert inventory["total_objects"] == len(inventory["objects"]) == 8
    assert {"id", "category", "short_description", "sim_role", "articulation_hint", "material_type"} <= set(inventory["objects"][0])


def test_manifest_survives_the_round_trip(tmp_path):
    """What is written is what is read."""
    manifest = load_manifest(ingested(SCENES / "minimal_ok", tmp_path).scene)
    assert SceneManifest.model_validate_json(manifest.model_dump_json(by_alias=True)) == manifest


def test_the_same_scene_in_other_axes_is_the_same_scene(small, tmp_path):
    """Z up in metres and y up in millimetres give the same world."""
    first = load_manifest(ingested(small, tmp_path, "a").scene)
    seen_from(small, Z_TO_Y_UP, 1000.0, "y_up")
    second = load_manifest(ingested(small, tmp_path, "b").scene)
    for here, there in zip(first.objects, second.objects, strict=True):
        assert there.dimensions_est.height == pytest.approx(here.dimensions_est.height, abs=1e-6)
        assert there.pose.position_m == pytest.approx(here.pose.position_m, abs=1e-6)
    assert second.camera.pose.position_m == pytest.approx(first.camera.pose.position_m, abs=1e-6)
    turn = abs(np.dot(first.camera.pose.quat_wxyz, second.camera.pose.quat_wxyz))
    assert turn == pytest.approx(1, abs=1e-9)


def test_source_manifest_names_every_file_and_no_machine(tmp_path):
    """The verbatim copy is listed; a local source is named without its path."""
    context = ingested(SCENES / "minimal_ok", tmp_path)
    listed = SourceManifest.model_validate_json(context.scene.read_bytes("input/source_manifest.json"))
    assert listed.source == "minimal_ok"
    assert len(listed.files) == len([path for path in (SCENES / "minimal_ok").rglob("*") if path.is_file()])
    assert validate_source(context.scene) == listed
