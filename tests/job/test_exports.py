"""Tests of the documents about a job."""

import json
from hashlib import sha256

import pytest

from blueprint_pipeline.job.exports import build_asset_index, build_export_manifest, build_scene_graph, build_task_config, dump_json
from blueprint_pipeline.job.planning import TaskScene, plan_job
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.scene.physics import Friction, Geometry, Mass, Physics, Restitution
from blueprint_pipeline.task.plan import JobPlan
from tests.simulation.small_job import small_options, task_scene


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> TaskScene:
    return task_scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="module")
def job(scene) -> JobPlan:
    return plan_job(scene, small_options(5))


def physics_of(name: str) -> Physics:
    return Physics(
        object_id=name,
        category=name,
        material="steel",
        material_origin="estimated",
        mass=Mass(
            mass_kg=0.2,
            com_m=(0, 0, 0),
            diagonal_inertia_kg_m2=(1e-4, 1e-4, 1e-4),
            principal_axes_quat_wxyz=(1, 0, 0, 0),
            origin="estimated",
            method="test",
        ),
        friction=Friction(sliding=0.6, torsional_m=0.01, rolling_m=0.0001, origin="estimated", method="test"),
        restitution=Restitution(coefficient=0.1, origin="estimated", method="test"),
        geometry=Geometry(volume_m3=1e-4, area_m2=0.01, open_length=0.0, is_watertight=True, origin="measured"),
    )


def test_scene_graph_tells_what_stands_on_what(scene, job) -> None:
    """Every object is a node; can and box stand on the table."""
    graph = build_scene_graph(scene.manifest, scene.poses, {"can": "table", "box": "table"}, job, scene.affordances)
    assert [node["asset_id"] for node in graph["nodes"]] == ["table", "can", "box"]
    on = {(edge["source"], edge["target"]) for edge in graph["edges"] if edge["relation"] == "on"}
    assert on == {("can", "table"), ("box", "table")}
    assert {node["asset_id"]: node["task_tag"] for node in graph["nodes"]}["can"] == ["pick_place"]


def test_objects_side_by_side_are_adjacent_and_one_in_a_bowl_is_in_it(scene, job) -> None:
    """Nearer than 15 cm, the confidence falls with the gap."""
    near = {**scene.poses, "can": scene.poses["can"].model_copy(update={"position_m": (0.05, 0.05, 0.76)})}
    supports = {"can": "table", "box": "table"}
    graph = build_scene_graph(scene.manifest, near, supports, job, scene.affordances)
    adjacent = [edge for edge in graph["edges"] if edge["relation"] == "adjacent"]
    assert [(edge["source"], edge["target"]) for edge in adjacent] == [("box", "can")]
    assert 0 < adjacent[0]["confidence"] < 1
    far = build_scene_graph(scene.manifest, scene.poses, supports, job, scene.affordances)
    assert not [edge for edge in far["edges"] if edge["relation"] == "adjacent"]
    inside = {**scene.poses, "can": scene.poses["box"]}
    graph = build_scene_graph(scene.manifest, inside, {"can": "box", "box": "table"}, job, scene.affordances)
    assert {(edge["source"], edge["relation"]) for edge in graph["edges"]} == {("can", "in"), ("box", "on")}


def test_task_config_counts_episodes_and_gives_reasons(scene, job) -> None:
    """The task with most episodes comes first, and what was left out says why."""
    left_out = job.model_copy(update={"left_out": {"pick_place": {"vase": "the gripper has no grasp of it"}}})
    config = build_task_config(scene.manifest, left_out, load_embodiment("franka_panda"))
    suggested = config["suggested_tasks"]
    assert [task["priority"] for task in suggested] == [1, 2]
    assert sum(task["constraints"]["episodes"] for task in suggested) == 5
    assert suggested[0]["constraints"]["episodes"] == 3
    assert config["metadata"]["left_out"] == {"pick_place": {"vase": "the gripper has no grasp of it"}}
    assert config["robot_config"]["base_position"] == list(job.robot.base_pose.position_m)


def test_asset_index_knows_what_may_be_sold(scene) -> None:
    """A known licence that allows it is sold, an unknown one never."""
    physics = {item.id: physics_of(item.id) for item in scene.manifest.objects}
    index = build_asset_index(scene.manifest, physics, scene.affordances)
    assert [asset["commercial_ok"] for asset in index["assets"]] == [True, True, True]
    assert {asset["asset_id"]: asset["mass"] for asset in index["assets"]} == {"table": None, "can": 0.2, "box": 0.2}
    objects = [item.model_copy(update={"asset": item.asset.model_copy(update={"licence": "unknown"})}) for item in scene.manifest.objects]
    unknown = build_asset_index(scene.manifest.model_copy(update={"objects": tuple(objects)}), physics, scene.affordances)
    assert [asset["commercial_ok"] for asset in unknown["assets"]] == [False, False, False]


def test_export_manifest_sums_every_file_and_no_time(scene, job) -> None:
    """The same files give the same bytes."""
    files = {"scene_graph.json": b"{}\n", "plan.json": b"[]\n"}
    manifest = build_export_manifest(job, files)
    assert manifest["checksums"]["files"]["plan.json"] == {"sha256": sha256(b"[]\n").hexdigest(), "size_bytes": 3}
    assert dump_json(manifest) == dump_json(build_export_manifest(job, dict(reversed(files.items()))))
    assert "timestamp" not in json.dumps(manifest)
