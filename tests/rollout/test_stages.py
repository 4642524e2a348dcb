"""Tests of the stages as the runner runs them: planned, simulated, found again."""

import pytest

from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.job.plan_tasks import PoseMissing
from blueprint_pipeline.origin import Origin
from blueprint_pipeline.robot.embodiment import UnknownRobot, UnsupportedRobot
from blueprint_pipeline.scene.joint_test import JointTests
from blueprint_pipeline.scene.process_meshes import CollisionReport, MeshReport, VisualReport
from blueprint_pipeline.scene.set_aside import SET_ASIDE_PATH, SetAside
from blueprint_pipeline.scene.settle import SettledScene, SettleLimits
from blueprint_pipeline.settings import Settings
from blueprint_pipeline.stage.runner import run_stage
from tests.job.test_exports import physics_of
from tests.simulation.small_job import SCENE_ID, small_folder, small_settings
from tests.simulation.small_manifest import settled_poses, small_manifest
from tests.simulation.small_scene import write_scene

pytestmark = pytest.mark.slow

REQUEST: dict[str, object] = {"scene_id": SCENE_ID, "episodes": 2, "shard_size": 1, "width": 160, "height": 120}


def meshes_of(object_id: str, overfill: float) -> MeshReport:
    visual = VisualReport(triangles_before=12, triangles_after=12, surfaces=1, textures_px=())
    collision = CollisionReport(method="pieces", hulls=1, overfill=overfill, clearance_m=0.004, gap_m=0.0, solid_share=1.0)
    return MeshReport(object_id=object_id, visual=visual, collision=collision)


def prepare(folder, poses: dict[str, Pose], *, closed: str = "") -> Settings:
    """A workspace as it is after settle_scene."""
    write_scene(folder / "workspace" / "scenes" / SCENE_ID)
    scene, manifest = small_folder(folder), small_manifest()
    scene.write_bytes("assets/scene_manifest.json", manifest.model_dump_json(by_alias=True).encode())
    for item in manifest.objects:
        scene.write_bytes(f"assets/{item.id}/physics.json", physics_of(item.id).model_dump_json().encode())
        overfill = 0.12 if item.id == closed else 0.0
        scene.write_bytes(f"assets/{item.id}/meshes.json", meshes_of(item.id, overfill).model_dump_json().encode())
    settled = SettledScene(
        scene_id=SCENE_ID,
        simulator="mujoco",
        duration_s=1.0,
        limits=SettleLimits(),
        origin=Origin.SIMULATED,
        stable=True,
        max_drift_m=0.0,
        max_tilt_rad=0.0,
        max_penetration_m=0.0,
        max_speed_m_s=0.0,
        poses=poses,
        objects=(),
    )
    scene.write_bytes("layout/settled.json", settled.model_dump_json().encode())
    scene.write_bytes("layout/joints.json", JointTests(scene_id="small", simulator="test", joints=()).model_dump_json().encode())
    scene.write_bytes(SET_ASIDE_PATH, SetAside(scene_id=SCENE_ID, watched_s=2.0, reasons={}).model_dump_json().encode())
    return small_settings(folder).model_copy(
        update={"registry": small_settings(folder).registry.model_copy(update={"url": f"sqlite:///{folder}/registry.db"})}
    )


def test_job_is_planned_and_its_shards_simulated(tmp_path) -> None:
    """All documents are written; both shards succeed; a second run of each finds the work done."""
    settings = prepare(tmp_path, settled_poses())
    planned = run_stage("plan_tasks", REQUEST, settings)
    assert (planned.shards, planned.targets, planned.left_out) == ((0, 1), ("box", "can"), {"pick_place": {}})
    names = {name.removeprefix("geniesim/") for name in small_folder(tmp_path).files_under("geniesim")}
    shards = {"plan/shard_0000.json", "plan/shard_0001.json"}
    assert names == shards | {"plan.json", "scene_graph.json", "asset_index.json", "task_config.json", "export_manifest.json"}
    for shard_index in planned.shards:
        request = {"scene_id": SCENE_ID, "shard_index": shard_index}
        simulated = run_stage("simulate_shard", request, settings)
        assert (simulated.attempted, simulated.succeeded, simulated.failures) == (1, 1, {})
        assert run_stage("simulate_shard", request, settings) == simulated
    assert run_stage("plan_tasks", REQUEST, settings) == planned


@pytest.mark.parametrize(("robot", "error"), [("figure_01", UnsupportedRobot), ("r2d2", UnknownRobot)])
def test_a_robot_that_cannot_act_takes_no_plan_away(tmp_path, robot, error) -> None:
    """It is refused at the door; what was planned before is found as it was."""
    settings = prepare(tmp_path, settled_poses())
    planned = run_stage("plan_tasks", REQUEST, settings)
    before = {name: small_folder(tmp_path).read_bytes(name) for name in small_folder(tmp_path).files_under("geniesim")}
    with pytest.raises(error):
        run_stage("plan_tasks", {**REQUEST, "robot": robot}, settings)
    assert {name: small_folder(tmp_path).read_bytes(name) for name in small_folder(tmp_path).files_under("geniesim")} == before
    assert run_stage("plan_tasks", REQUEST, settings) == planned


def test_what_a_smaller_plan_has_no_shard_for_is_taken_away(tmp_path) -> None:
    """Recordings of episodes that are no longer planned must not slip into a dataset."""
    settings = prepare(tmp_path, settled_poses())
    run_stage("plan_tasks", REQUEST, settings)
    run_stage("simulate_shard", {"scene_id": SCENE_ID, "shard_index": 1}, settings)
    assert small_folder(tmp_path).files_under("geniesim/recordings")
    run_stage("plan_tasks", {**REQUEST, "seed": 1, "episodes": 1}, settings)
    run_stage("simulate_shard", {"scene_id": SCENE_ID, "shard_index": 0}, settings)
    assert not [name for name in small_folder(tmp_path).files_under("geniesim") if "shard_0001" in name]
    assert small_folder(tmp_path).files_under("geniesim/recordings")


def written(folder) -> dict[str, int]:
    """When each published file of the episodes was written."""
    root = small_folder(folder)
    return {name: root.local(name).stat().st_mtime_ns for name in root.files_under("geniesim/recordings")}


def test_a_grown_plan_keeps_what_is_recorded(tmp_path) -> None:
    """One episode, then two in the same shard, then another shard: each is simulated once."""
    settings = prepare(tmp_path, settled_poses())
    found: dict[str, int] = {}
    for episodes, shards in ((1, 1), (2, 1), (3, 2)):
        run_stage("plan_tasks", {**REQUEST, "shard_size": 2, "episodes": episodes}, settings)
        for shard_index in range(shards):
            request = {"scene_id": SCENE_ID, "shard_index": shard_index}
            assert run_stage("simulate_shard", request, settings).attempted == min(2, episodes - 2 * shard_index)
        before, found = found, written(tmp_path)
        assert len({name.rpartition("/")[0] for name in found}) == episodes
        assert before.items() <= found.items()


def test_settled_poses_of_other_objects_are_refused(tmp_path) -> None:
    """Twin and settled poses must agree on what can move."""
    poses = settled_poses()
    settings = prepare(tmp_path, {"can": poses["can"], "mug": poses["box"]})
    with pytest.raises(PoseMissing, match=r"box.*mug"):
        run_stage("plan_tasks", REQUEST, settings)


def test_what_its_collision_pieces_close_is_left_out(tmp_path) -> None:
    """The measure of meshes.json counts, and the job says so."""
    planned = run_stage("plan_tasks", REQUEST, prepare(tmp_path, settled_poses(), closed="can"))
    assert planned.targets == ("box",)
    assert "12.0%" in planned.left_out["pick_place"]["can"]
