"""What a lab does with cameras: it projects where an object is, and finds it in the picture, with the dataset's own files alone."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import av
import mujoco
import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.spatial.transform import Rotation

from blueprint_pipeline.dataset.cameras import PinholeCamera, build_cameras
from blueprint_pipeline.dataset.certify.camera_mounts import load_camera_mounts
from blueprint_pipeline.dataset.certify.certification import expected_episodes
from blueprint_pipeline.dataset.certify.in_expected import Refuted, check_columns, load_subtasks, parquet_columns
from blueprint_pipeline.dataset.contract import DatasetSpec
from blueprint_pipeline.dataset.errors import EpisodeUnusable
from blueprint_pipeline.dataset.features import VideoFeature
from blueprint_pipeline.dataset.frames import EpisodeFrames
from blueprint_pipeline.dataset.pixels import PixelWriter
from blueprint_pipeline.dataset.read import check_dataset
from blueprint_pipeline.dataset.stages import WRITE_DATASET, WriteDatasetRequest
from blueprint_pipeline.dataset.tables import Position
from blueprint_pipeline.episode.record import EpisodeRecord, recording_path, render_path
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.quality.verdicts import EpisodeVerdict
from blueprint_pipeline.render.render import RenderOptions, render_episode
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.layout import home_joints, open_widths
from blueprint_pipeline.robot.placement import RobotPlacement, View
from blueprint_pipeline.rollout.shard import simulate_shard
from blueprint_pipeline.scene.manifest import MANIFEST_PATH, Camera, load_manifest
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.simulation.mujoco.renderers import choose_backend, make_renderer
from blueprint_pipeline.twin.model import build_scene_model
from blueprint_pipeline.twin.robot_cameras import RobotCameras
from tests.quality.gate_reports import write_report
from tests.simulation.small_job import SCENE_ID, small_context, small_folder, write_job
from tests.simulation.small_manifest import small_manifest
from tests.simulation.small_scene import SCENE_XML

LEAST_PIXELS = 20
OBJECT_REACH_M = 0.12
"""No surface of an object is farther from its origin."""
SCENE_CAMERA = Camera(
    pose=Pose(position_m=(1.4, 0.0, 1.5), quat_wxyz=tuple(mujoco.MjModel.from_xml_string(SCENE_XML).camera("scene").quat.tolist())),
    fovy_rad=math.radians(50),
    width=320,
    height=240,
)


def project(camera: dict, pose_world_camera: np.ndarray, points_m: np.ndarray) -> np.ndarray:
    """Pixels (n, 2) of points of the world, as OpenCV's pinhole model says, written out."""
    turn = Rotation.from_quat(pose_world_camera[3:], scalar_first=True)
    x, y, z = turn.inv().apply(points_m - pose_world_camera[:3]).T
    assert (z > 0).all()
    return np.stack([camera["fx"] * x / z + camera["cx"], camera["fy"] * y / z + camera["cy"]], axis=1)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """One episode of a varied scene, simulated, drawn with labels for every pixel, and written as a dataset."""
    folder = tmp_path_factory.mktemp("job")
    plan = write_job(folder, 1, variation="wide")
    scene, episode_id = small_folder(folder), plan.episodes[0].episode_id
    manifest = small_manifest().model_copy(update={"camera": SCENE_CAMERA})
    scene.write_bytes(MANIFEST_PATH, manifest.model_dump_json(by_alias=True).encode())
    simulate_shard(0, small_context(folder))
    recording, renders = scene.local(recording_path(0, episode_id)), scene.local("mjcf").parent / render_path(0, episode_id)
    record = EpisodeRecord.model_validate_json((recording / "episode.json").read_bytes())
    simulator = MujocoSimulator()
    loaded = simulator.load(scene.local("mjcf").parent, plan.robot, plan.fps)
    options = RenderOptions(cameras=plan.cameras, width=plan.width, height=plan.height, depth=True, segmentation=True)
    certificate = render_episode(simulator, loaded, record, recording / "states.parquet", folder=renders, options=options)
    simulator.close()
    (renders / "certificate.json").write_text(certificate.model_dump_json())
    verdict = EpisodeVerdict(episode_id=episode_id, shard_index=0, verdict="kept", gates=(), metrics={})
    write_report(scene.write_bytes, "render_verdicts", [verdict], scene_id=SCENE_ID, job_id=plan.job_id)
    context = small_context(folder)
    WRITE_DATASET.run(WriteDatasetRequest(scene_id=SCENE_ID, more_formats=("depth_segmentation",)), context)
    expected = expected_episodes(small_context(folder), plan.robot.embodiment, plan.cameras)
    return SimpleNamespace(dataset=context.staging / "geniesim/lerobot", renders=renders, plan=plan, expected=expected)


@pytest.mark.parametrize("version", ["v3.0", "v2.1"])
@pytest.mark.parametrize("name", ["scene", "wrist"])
def test_an_object_is_found_in_the_picture_where_it_is_projected(job: SimpleNamespace, version: str, name: str) -> None:
    """In every frame the middle of an object falls on its own pixels, or on those of what hides it."""
    root = job.dataset / version
    table = pq.read_table(next((root / "data").glob("*/*.parquet")))
    camera = json.loads((root / "meta/blueprint_pipeline/episodes.jsonl").read_text())["cameras"][name]
    poses = np.array(table[camera["pose_column"]].to_pylist()) if camera["pose_column"] else [camera["pose_world_camera"]] * len(table)
    columns = json.loads((root / "meta/info.json").read_text())["features"]["observation.object_poses"]["names"]
    objects = np.array(table["observation.object_poses"].to_pylist()).reshape(len(table), -1, 7)
    labels = {label: int(value) for value, label in json.loads((job.renders / "labels.json").read_text()).items()}
    with av.open(str(job.renders / f"{name}.segmentation.mkv")) as container:
        pictures = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    assert len(pictures) == len(table)
    names = list(dict.fromkeys(column.split(".")[0] for column in columns))
    foreground = {labels[name] for name in (*names, "robot")}
    met = 0
    for index, name_of_object in enumerate(names):
        for frame, picture in enumerate(pictures):
            if (picture == labels[name_of_object]).sum() < LEAST_PIXELS:
                continue
            column, row = project(camera, np.asarray(poses[frame]), objects[frame, index : index + 1, :3])[0].round().astype(int)
            if 0 <= column < camera["width"] and 0 <= row < camera["height"]:
                assert picture[row, column] in foreground, (name_of_object, frame, column, row)
                met += picture[row, column] == labels[name_of_object]
    assert met > len(table) / 4


@pytest.mark.parametrize("name", ["scene", "wrist"])
def test_depth_and_labels_of_the_dataset_give_the_objects_in_the_world(job: SimpleNamespace, name: str) -> None:
    """Pixels that are labelled as an object, taken into the world with their depth, lie around that object's origin."""
    root = job.dataset / "depth_segmentation"
    index = json.loads((root / "pixels.json").read_text())
    camera = json.loads((root / "meta/blueprint_pipeline/episodes.jsonl").read_text())["cameras"][name]
    table = pq.read_table(next((job.dataset / "v3.0/data").glob("*/*.parquet")))
    poses = np.array(table[camera["pose_column"]].to_pylist()) if camera["pose_column"] else [camera["pose_world_camera"]] * len(table)
    columns = json.loads((job.dataset / "v3.0/meta/info.json").read_text())["features"]["observation.object_poses"]["names"]
    objects = np.array(table["observation.object_poses"].to_pylist()).reshape(len(table), -1, 7)
    depth, labels = (read_pictures(root / kind / name / "episode_000000.mkv") for kind in ("depth", "segmentation"))
    assert depth.dtype == np.uint16
    assert depth.shape == labels.shape == (len(table), index["height"], index["width"])
    seen = 0
    for place, target in enumerate(dict.fromkeys(column.split(".")[0] for column in columns)):
        for frame in range(0, len(table), 10):
            rows, pixels = np.nonzero(labels[frame] == index["labels"].index(target))
            if len(rows) < LEAST_PIXELS:
                continue
            z = depth[frame, rows, pixels] / 1000
            rays = np.stack([(pixels - camera["cx"]) / camera["fx"], (rows - camera["cy"]) / camera["fy"], np.ones_like(z)], axis=1)
            pose = np.asarray(poses[frame])
            points = Rotation.from_quat(pose[3:], scalar_first=True).apply(rays * z[:, None]) + pose[:3]
            assert np.linalg.norm(np.median(points, axis=0) - objects[frame, place, :3]) < OBJECT_REACH_M
            seen += 1
    assert seen > 3


def test_certification_expects_the_cameras_of_the_record(job: SimpleNamespace) -> None:
    """What it computes from tools and mounts is what the dataset has; where the robot alone has its camera, it is refuted."""
    (episode,) = job.expected
    columns = parquet_columns(next((job.dataset / "v3.0/data").glob("*/*.parquet")))
    subtasks = load_subtasks(job.dataset / "v3.0")
    check_columns(columns, episode, subtasks=subtasks, index=0, first=0, fps=job.plan.fps)
    as_built = episode.model_copy(update={"camera_mounts": load_camera_mounts(load_embodiment(job.plan.robot.embodiment))})
    with pytest.raises(Refuted, match=r"observation\.camera_pose\.wrist differs from the recording"):
        check_columns(columns, as_built, subtasks=subtasks, index=0, first=0, fps=job.plan.fps)


def read_pictures(path: Path) -> np.ndarray:
    """Every picture of a video, (T, height, width)."""
    with av.open(str(path)) as video:
        return np.stack([picture.to_ndarray() for picture in video.decode(video=0)])


def lose(folder: Path) -> None:
    (folder / "depth/wrist/episode_000000.mkv").unlink()


def add_one(folder: Path) -> None:
    shutil.copy(folder / "depth/wrist/episode_000000.mkv", folder / "depth/wrist/episode_000001.mkv")


def swap_kinds(folder: Path) -> None:
    shutil.copy(folder / "depth/wrist/episode_000000.mkv", folder / "segmentation/wrist/episode_000000.mkv")


def cut(folder: Path) -> None:
    path = folder / "segmentation/scene/episode_000000.mkv"
    path.write_bytes(path.read_bytes()[:3000])


def empty(folder: Path) -> None:
    (folder / "segmentation/scene/episode_000000.mkv").write_bytes(b"")


def forget_a_label(folder: Path) -> None:
    edit(folder, labels=json.loads((folder / "pixels.json").read_text())["labels"][:-1])


def count_wrongly(folder: Path) -> None:
    edit(folder, frames=[json.loads((folder / "pixels.json").read_text())["frames"][0] + 1])


def edit(folder: Path, **changes: object) -> None:
    path = folder / "pixels.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lose, "pixels.missing"),
        (add_one, "pixels.unknown"),
        (swap_kinds, "pixels.other_pictures"),
        (cut, "pixels.length"),
        (empty, "pixels.unreadable"),
        (forget_a_label, "pixels.label"),
        (count_wrongly, "pixels.length"),
    ],
)
def test_damaged_pixels_are_found(job: SimpleNamespace, tmp_path: Path, damage: Callable[[Path], None], code: str) -> None:
    """The folder is sound as it was written; each damage has its name."""
    folder = tmp_path / "pixels"
    shutil.copytree(job.dataset / "depth_segmentation", folder)
    assert check_dataset(folder) == []
    damage(folder)
    assert code in {finding.code for finding in check_dataset(folder)}


def test_pixels_that_were_not_drawn_are_not_written(job: SimpleNamespace) -> None:
    """A run that asks for the format, and draws colour alone, learns which episode lacks what."""
    writer = PixelWriter(job.dataset / "none", DatasetSpec(fps=30, robot_type="franka_panda", vectors=(), render_profile=None))
    frames = EpisodeFrames(episode_id="ep_7", task="t", vectors={}, phases=(), success=True)
    with pytest.raises(EpisodeUnusable, match=r"ep_7.*depth, segmentation"):
        writer.add(frames, Position(0, 0, 0, ()), {})


def test_phases_and_the_end_stand_in_the_rows(job: SimpleNamespace) -> None:
    """The names of phases come from the skill; the last frame, and no other, ends the episode with success."""
    subtasks = pq.read_table(job.dataset / "v3.0/meta/subtasks.parquet").to_pydict()["__index_level_0__"]
    assert subtasks == [json.loads(line)["subtask"] for line in (job.dataset / "v2.1/meta/subtasks.jsonl").read_text().splitlines()]
    table = pq.read_table(job.dataset / "v3.0/data/chunk-000/file-000.parquet")
    line = json.loads((job.dataset / "v3.0/meta/blueprint_pipeline/episodes.jsonl").read_text())
    for phase in line["phases"]:
        found = {subtasks[value] for value in table["subtask_index"].to_pylist()[phase["start_frame"] : phase["end_frame"]]}
        assert found == {phase["name"]}
    for column in ("next.done", "next.success"):
        assert table[column].to_pylist() == [False] * (len(table) - 1) + [True]


def test_fixed_objects_are_listed_with_their_pose(job: SimpleNamespace) -> None:
    """What does not move has no column, and stands in a file; what moves has one, and no pose there."""
    listed = {item["id"]: item for item in json.loads((job.dataset / "v2.1/meta/blueprint_pipeline/objects.json").read_text())}
    assert {name: item["pose_world_object"] is None for name, item in listed.items()} == {"table": False, "can": True, "box": True}


SPHERES = {"near": (0.3, 0.1, 0.0), "left": (0.0, 0.55, 0.2), "low": (-0.2, -0.3, -0.35)}


def test_intrinsics_are_right_to_a_part_of_a_pixel() -> None:
    """The middle of a small ball's pixels is where its middle is projected: half a pixel more or less would be found."""
    bodies = "".join(
        f'<body name="{name}" pos="{x} {y} {z}"><geom type="sphere" size="0.03"/></body>' for name, (x, y, z) in SPHERES.items()
    )
    camera_xml = '<camera name="scene" pos="1.5 0 0.3" xyaxes="0 1 0 -0.2 0 1" fovy="50"/>'
    model = mujoco.MjModel.from_xml_string(f"<mujoco><worldbody>{camera_xml}{bodies}</worldbody></mujoco>")
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    renderer = make_renderer(model, 320, 240, choose_backend("auto"))
    renderer.look(data, 0)
    found = renderer.draw_bodies()
    renderer.close()
    camera = Camera(
        pose=Pose(position_m=(1.5, 0, 0.3), quat_wxyz=tuple(model.cam_quat[0].tolist())), fovy_rad=math.radians(50), width=320, height=240
    )
    pinhole = _scene_camera(RobotPlacement(embodiment="franka_panda", base_pose=_origin()), camera)
    for name, position_m in SPHERES.items():
        rows, columns = np.nonzero(found == model.body(name).id)
        assert len(rows) > 40
        u, v = project(pinhole.model_dump(), np.array(pinhole.pose_world_camera), np.array([position_m]))[0]
        assert (columns.mean(), rows.mean()) == pytest.approx((u, v), abs=0.15)


def _origin() -> Pose:
    return Pose(position_m=(0.0, 0.0, 0.75), quat_wxyz=(1.0, 0.0, 0.0, 0.0))


def _video(name: str) -> dict[str, VideoFeature]:
    key = f"observation.images.{name}"
    return {key: VideoFeature(key, 320, 240, 30, "h264", "yuv420p", 2)}


def _scene_camera(robot: RobotPlacement, camera: Camera) -> PinholeCamera:
    return build_cameras(robot.view, camera, RobotCameras(robot).fovys_deg({}), _video("scene"))["scene"]


@pytest.mark.parametrize("view", [None, View(position_m=(1.2, -0.3, 1.4), quat_wxyz=(0.5, 0.5, 0.5, 0.5), fovy_deg=61.0)])
def test_cameras_are_those_of_the_compiled_scene(finished, view: View | None) -> None:
    """Pose and field of view in the dataset are those that the simulator draws with, turned towards the work or not."""
    context, _ = finished
    robot = RobotPlacement(embodiment="ur10e_2f85", base_pose=_origin(), view=view)
    scene = build_scene_model(context.scene.local("mjcf") / "scene.xml", robot, 30)
    data, embodiment = mujoco.MjData(scene.model), load_embodiment(robot.embodiment)
    joints, widths = home_joints(embodiment)[None], np.array(open_widths(embodiment))[None]
    data.qpos[:] = scene.qpos_of(joints[0], widths[0], np.array([data.qpos[start : start + 7] for start in scene.object_qpos]))
    mujoco.mj_forward(scene.model, data)
    moving = RobotCameras(robot)
    found = {"robot/wrist": moving.poses(joints, widths)["wrist"][0]}
    pinhole = _scene_camera(robot, load_manifest(context.scene).camera)
    found["scene"] = np.array(pinhole.pose_world_camera)
    for name, pose in found.items():
        camera = scene.model.camera(name).id
        np.testing.assert_allclose(pose[:3], data.cam_xpos[camera], atol=1e-9)
        axes = Rotation.from_quat(pose[3:], scalar_first=True).as_matrix()
        np.testing.assert_allclose(axes, data.cam_xmat[camera].reshape(3, 3) * [1, -1, -1], atol=1e-7)
    assert pinhole.fy == pytest.approx(120 / math.tan(math.radians(scene.model.cam_fovy[scene.model.camera("scene").id]) / 2))
