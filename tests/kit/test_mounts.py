"""Cameras on the robot that are mounted otherwise: the dataset's poses and lenses are those that drew."""

import math
from functools import partial

import mujoco
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from blueprint_pipeline.dataset.cameras import build_cameras
from blueprint_pipeline.dataset.features import VideoFeature, camera_pose_key, video_key
from blueprint_pipeline.dataset.frames import load_frames
from blueprint_pipeline.kit.painter import Painter
from blueprint_pipeline.kit.variation import check_variation
from blueprint_pipeline.kit.world import KitNotUsable, World
from blueprint_pipeline.policy.draw import KitDrawing
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.layout import layout_of
from blueprint_pipeline.robot.placement import MountOffset
from blueprint_pipeline.simulation.errors import UnknownName
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.simulation.mujoco.context import make_context
from blueprint_pipeline.simulation.mujoco.renderer import camera_id
from blueprint_pipeline.simulation.mujoco.renderers import choose_backend
from blueprint_pipeline.task.variation import PLAIN, VARIATIONS, Variation
from blueprint_pipeline.twin.robot_cameras import OPENCV_FROM_MUJOCO, load_robot_cameras
from tests.kit.test_variation import as_kit, bytes_of
from tests.simulation.small_manifest import small_manifest

TURN = tuple(Rotation.from_rotvec([0.03, -0.02, 0.01]).as_quat(scalar_first=True).tolist())
MOUNT = MountOffset(shift_m=(0.008, -0.005, -0.003), turn_quat_wxyz=TURN, widening=1.07)
WRIST = VideoFeature(key=video_key("wrist"), width=160, height=120, fps=30, codec="h264", pix_fmt="yuv420p", gop=30)
DRAWN = np.array([1, 1, 1, 0, 1, 1], dtype=np.uint8)
"""Groups of geoms, all but that of collision shapes."""
AS_BUILT = MountOffset(shift_m=(0.0, 0.0, 0.0), turn_quat_wxyz=(1.0, 0.0, 0.0, 0.0), widening=1.0)


@pytest.fixture
def act(small_kit):
    """An episode's record, and a simulator that stands at its start."""
    name, record = next(iter(small_kit.records.items()))
    simulator = MujocoSimulator()
    simulator.load(small_kit.mjcf.parent, record.robot, record.fps)
    simulator.reset(record.spec.object_poses, record.spec.robot_qpos)
    yield name, record, simulator
    simulator.close()


def mounted(variation, mount=MOUNT):
    return variation.model_copy(update={"mounts": {"wrist": mount}})


def test_the_dataset_has_the_pose_and_the_lens_that_drew(small_kit, act):
    """In every frame, against the camera of the simulator that draws it; as built it were millimetres and degrees away."""
    name, record, simulator = act
    arms, cameras = layout_of(load_embodiment(record.robot.embodiment)), load_robot_cameras(record.robot)
    varied = record.model_copy(update={"spec": record.spec.model_copy(update={"variation": mounted(record.spec.variation)})})
    poses = load_frames(small_kit.states(name), varied, arms, cameras).vectors[camera_pose_key("wrist")]
    simulator.vary(varied.spec.variation)
    model, camera = simulator.model, camera_id(simulator.model, "wrist")
    data = mujoco.MjData(model)
    data.qpos[:] = simulator.data.qpos
    mujoco.mj_forward(model, data)
    np.testing.assert_allclose(poses[0, :3], data.cam_xpos[camera], atol=1e-4)
    turned = Rotation.from_quat(poses[0, 3:], scalar_first=True).inv() * Rotation.from_matrix(
        data.cam_xmat[camera].reshape(3, 3) @ OPENCV_FROM_MUJOCO
    )
    assert turned.magnitude() < 1e-3
    built = load_frames(small_kit.states(name), record.model_copy(update={"spec": with_mounts(record, {})}), arms, cameras)
    assert np.linalg.norm(built.vectors[camera_pose_key("wrist")][0, :3] - poses[0, :3]) == pytest.approx(0.0099, abs=2e-4)
    lens = build_cameras(None, small_manifest().camera, cameras.fovys_deg(varied.spec.variation.mounts), {WRIST.key: WRIST})["wrist"]
    assert lens.fy == pytest.approx(60 / math.tan(math.radians(float(model.cam_fovy[camera])) / 2), rel=1e-6)
    assert model.cam_fovy[camera] == pytest.approx(1.07 * cameras.fovy_deg["wrist"])


def with_mounts(record, mounts):
    return record.spec.model_copy(update={"variation": record.spec.variation.model_copy(update={"mounts": mounts})})


def test_every_recorded_value_acts_on_that_camera_alone(act):
    _, record, simulator = act
    plain = record.spec.variation.model_copy(update={"mounts": {}})

    def seen(variation):
        simulator.vary(variation)
        return simulator.render("wrist", 160, 120), simulator.render("scene", 160, 120)

    built, scene = seen(plain)
    np.testing.assert_array_equal(seen(mounted(plain, AS_BUILT))[0], built)
    for name in MountOffset.model_fields:
        changed = AS_BUILT.model_copy(update={name: getattr(MOUNT, name)})
        wrist, still = seen(mounted(plain, changed))
        assert not np.array_equal(wrist, built), name
        np.testing.assert_array_equal(still, scene)
    np.testing.assert_array_equal(seen(plain)[0], built)


def test_whatever_draws_shows_the_same_and_leaves_nothing(small_kit, act, monkeypatch):
    monkeypatch.setattr(mujoco, "GLContext", partial(make_context, choose_backend("auto")))  # as MUJOCO_GL says before the import
    _, record, simulator = act
    worlds = [World(small_kit.folder), World(small_kit.folder)]
    drawing, painter = KitDrawing(worlds[0]), Painter(worlds[1].model, worlds[1].kit)
    qpos = simulator.data.qpos.copy()
    drawing.draw(qpos, "wrist", as_kit(PLAIN))
    before = [bytes_of(world.model) for world in worlds]
    for variation in (mounted(record.spec.variation), record.spec.variation, mounted(PLAIN)):
        simulator.vary(variation)
        expected = simulator.render("wrist", 160, 120)
        for other in (drawing, painter):
            np.testing.assert_array_equal(other.draw(qpos, "wrist", as_kit(variation)), expected)
    drawing.close()
    painter.close()
    assert [bytes_of(world.model) for world in worlds] == before


def test_a_camera_that_the_robot_does_not_have_is_refused(small_kit, act):
    """The scene's is none of the robot's: its place is its view."""
    _, _, simulator = act
    world = World(small_kit.folder)
    state = np.zeros(mujoco.mj_stateSize(world.model, mujoco.mjtState.mjSTATE_INTEGRATION.value))
    for name in ("ghost", "scene"):
        wrong = Variation(mounts={name: MOUNT})
        with pytest.raises(UnknownName, match=f"no camera on the robot '{name}'"):
            simulator.vary(wrong)
        with pytest.raises(KitNotUsable, match=f"mount of camera '{name}'"):
            world.restore(state, as_kit(wrong))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda mount: mount.update(widening=0.0), "no lens"),
        (lambda mount: mount.update(turn_quat_wxyz=[0.0, 0.0, 0.0, 0.0]), "no direction"),
        (lambda mount: mount.update(shift_m=[0.0, float("nan"), 0.0]), "no place"),
        (lambda mount: mount.update(shift_m=[0.0, 0.0]), "another form"),
        (lambda mount: mount.pop("widening"), "another form"),
    ],
)
def test_damaged_mounts_are_told(damage, told):
    data = as_kit(Variation(mounts={"wrist": MOUNT}))
    assert check_variation(data) is None
    damage(data["mounts"]["wrist"])
    assert told in (check_variation(data) or "")


def test_pixels_of_a_mounted_camera_are_where_the_dataset_says(small_kit, act):
    """A ray from the recorded pose through the recorded lens meets what that pixel shows, as far away; from the usual place it does not."""
    name, record, simulator = act
    arms, cameras = layout_of(load_embodiment(record.robot.embodiment)), load_robot_cameras(record.robot)
    simulator.vary(mounted(record.spec.variation))
    data = mujoco.MjData(simulator.model)
    data.qpos[:] = simulator.data.qpos
    mujoco.mj_forward(simulator.model, data)
    renderer = simulator.renderer(160, 120)
    renderer.look(data, camera_id(simulator.model, "wrist"))
    bodies, depth_m = renderer.draw_bodies(), renderer.draw_depth()
    shares = []
    for mounts in ({"wrist": MOUNT}, {}):
        varied = record.model_copy(update={"spec": with_mounts(record, mounts)})
        pose = load_frames(small_kit.states(name), varied, arms, cameras).vectors[camera_pose_key("wrist")][0]
        lens = build_cameras(None, small_manifest().camera, cameras.fovys_deg(mounts), {WRIST.key: WRIST})["wrist"]
        shares.append(share_met(data, lens, pose, bodies, depth_m))
    assert shares[0] > 0.95
    assert shares[1] < 0.6


def share_met(data, lens, pose, bodies, depth_m):
    """Of a grid of pixels: whose ray meets the same body within 2 mm of the same depth."""
    axes = Rotation.from_quat(pose[3:], scalar_first=True).as_matrix()
    hit, met, asked = np.zeros(1, dtype=np.int32), 0, 0
    for row in range(4, 120, 8):
        for column in range(4, 160, 8):
            ray = np.array([(column - lens.cx) / lens.fx, (row - lens.cy) / lens.fy, 1.0])
            far = mujoco.mj_ray(data.model, data, pose[:3].astype(float), axes @ ray, DRAWN, 1, -1, hit)
            body = data.model.geom_bodyid[hit[0]] if hit[0] >= 0 else -1
            met += body == bodies[row, column] and (body < 0 or abs(far - depth_m[row, column]) < 0.002)
            asked += 1
    return met / asked


@pytest.mark.parametrize("shift_m", [(0.008, 0.008, 0.0), (-0.008, -0.008, 0.0), (0.0, 0.0, -0.008), (0.0, 0.0, 0.008)])
def test_no_camera_that_is_drawn_sees_its_own_housing(act, shift_m):
    """As far to a side, ahead, and turned, as the widest ranges go; further back all of it would be dark where rays are traced."""
    _, record, simulator = act
    wide = VARIATIONS["wide"]
    turn = tuple(Rotation.from_rotvec([wide.mount_rad] * 3).as_quat(scalar_first=True).tolist())
    mount = MountOffset(shift_m=shift_m, turn_quat_wxyz=turn, widening=1 + wide.mount_zoom)
    assert np.abs(shift_m).max() == wide.mount_m
    simulator.vary(mounted(record.spec.variation, mount))
    model, data = simulator.model, mujoco.MjData(simulator.model)
    data.qpos[:] = simulator.data.qpos
    mujoco.mj_forward(model, data)
    camera = camera_id(model, "wrist")
    half = math.tan(math.radians(float(model.cam_fovy[camera])) / 2)
    across, up = (axis.ravel() for axis in np.meshgrid(np.linspace(-2 * half, 2 * half, 21), np.linspace(-half, half, 11)))
    rays = np.stack([across, up, -np.ones_like(up)], axis=1) @ data.cam_xmat[camera].reshape(3, 3).T
    hit, met = np.zeros(1, dtype=np.int32), set()
    for ray in rays:
        mujoco.mj_ray(model, data, data.cam_xpos[camera], ray, DRAWN, 1, -1, hit)
        met.add(model.body(model.geom_bodyid[hit[0]]).name if hit[0] >= 0 else None)
    assert ("robot/wrist_camera" in met) == (shift_m[2] > 0)
