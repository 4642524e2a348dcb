"""The Unitree G1 against its maker's model, and its hand's pinch against the motors that move it."""

from pathlib import Path

import mujoco
import numpy as np
import pytest

from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.gripper import Gripper
from blueprint_pipeline.robot.layout import home_qpos
from blueprint_pipeline.robot.names import ROBOT_PREFIX
from blueprint_pipeline.simulation.conformance_scene import BLOCK, write_conformance_scene
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from tests.robot.pinch import Standing, assert_mirrored, assert_pinch, stand

G1 = load_embodiment("unitree_g1")
HAND: Gripper = G1.arms[0].gripper
PELVIS_M = (0.0, 0.0, 0.175)
MIRROR = np.array([1, -1, -1, 1, -1, 1, -1])
FINGERTIP_BEYOND_PELVIS = [
    ((0, 0, 0, 0, 0, 0, 0), (0.3502, 0.1204, -0.0386), (0.1528, -0.9855, -0.0739)),
    ((-0.3, 0.6, 0.4, -0.5, 0.8, -0.6, -0.7), (0.3701, 0.1292, 0.1197), (0.0392, 0.1981, -0.9794)),
    ((-1.2, 0.3, -0.5, 0.9, -1.1, 0.7, 0.4), (0.4983, 0.0515, -0.0545), (0.0839, -0.9962, -0.0238)),
]
"""Joints of the left arm; where the last link of the index finger, bent by 0.8 and 0.6 rad, is seen from the pelvis, and where it points.

Source: MuJoCo Menagerie, unitree_g1/g1_with_hands.xml as it is, its waist leaning forward by 0.45 rad.
"""
BENT_RAD = (0.8, 0.6)
MOTOR_NM = 1.4
"""Of a finger. Source: the same file, ``actuatorfrcrange``."""
FPS = 30


@pytest.fixture
def standing() -> Standing:
    """The robot at home."""
    return stand(G1)


@pytest.mark.parametrize(("left_rad", "tip_m", "along"), FINGERTIP_BEYOND_PELVIS)
def test_both_hands_are_where_the_maker_has_them(standing, left_rad, tip_m, along) -> None:
    model, data, robot = standing
    for arm, side, mirrored in zip(robot.arms, ("left", "right"), (1, -1), strict=True):
        data.qpos[arm.qpos] = np.array(left_rad) * (1 if mirrored > 0 else MIRROR)
        for number, bent_rad in enumerate(BENT_RAD):
            joint = model.joint(f"{ROBOT_PREFIX}{side}_hand_index_{number}_joint")
            data.qpos[joint.qposadr] = -mirrored * bent_rad
        mujoco.mj_kinematics(model, data)
        tip = data.body(f"{ROBOT_PREFIX}{side}_hand_index_1_link")
        np.testing.assert_allclose(tip.xpos - (0, 0, 0.8) - PELVIS_M, np.array(tip_m) * (1, mirrored, 1), atol=3e-4)
        np.testing.assert_allclose(tip.xmat.reshape(3, 3)[:, 0], np.array(along) * (1, mirrored, 1), atol=3e-3)


def test_at_home_it_touches_nothing_of_itself_and_the_acting_hand_points_down(standing) -> None:
    _, data, robot = standing
    assert data.ncon == 0
    np.testing.assert_allclose(data.site_xmat[robot.arms[0].tool_site].reshape(3, 3)[:, 2], (0, 0, -1), atol=1e-2)


def test_the_resting_arm_is_no_obstacle_to_the_acting_one(standing) -> None:
    """It keeps to its side and above what stands on the support."""
    _, data, robot = standing
    _, y, z = data.site_xpos[robot.arms[1].tool_site]
    assert y < -0.2
    assert z > 0.8 + 0.2


def test_to_work_the_right_arm_mirrors_the_left_one(standing) -> None:
    assert_mirrored(standing, MIRROR)


@pytest.mark.parametrize("side", ["left", "right"])
def test_thumb_and_index_finger_face_each_other_as_far_apart_as_the_record_says(standing, side) -> None:
    """At every opening of the table: half a millimetre, the tool centre point between them, and flats that lean by 20 degrees at most."""
    pads = [f"{ROBOT_PREFIX}{side}_hand_{finger}_pad" for finger in ("thumb", "index")]
    assert_pinch(standing, side, pads, thumb_faces=-1, aside_m=0.009, lean_deg=20.0)


@pytest.mark.parametrize("width_m", [0.012, 0.04, 0.056])
def test_no_finger_needs_more_than_its_motor_has(width_m: float, tmp_path: Path) -> None:
    """One servo moves all of them in the model; what each of the real hand's motors would have to hold, from the forces of contact."""
    scene = write_conformance_scene(tmp_path, G1)
    path = scene.folder / "mjcf" / "scene.xml"
    block = 'type="box" size="0.02 0.02 0.02"'
    assert block in path.read_text()
    path.write_text(path.read_text().replace(block, f'type="box" size="{max(width_m / 2, 0.02)} {width_m / 2} 0.02"'))
    simulator = MujocoSimulator()
    loaded = simulator.load(scene.folder, scene.placement, FPS)
    start = simulator.reset({BLOCK: scene.block_pose}, home_qpos(G1)).ctrl
    rows = np.tile(start, (2 * FPS, 1))
    rows[:, loaded.actuators.index(ROBOT_PREFIX + HAND.actuator)] = HAND.ctrl_at(
        np.interp(np.arange(2 * FPS), [0, FPS], [HAND.stroke_m, width_m - HAND.squeeze_m])
    )
    track = simulator.track(rows)
    assert track.states[-1].gripper_width_m[0] == pytest.approx(width_m, abs=0.004)
    held_nm = torques_of_contacts(simulator.model, simulator.data)
    torques_nm = [abs(held_nm[simulator.model.joint(ROBOT_PREFIX + name).dofadr[0]]) for name in HAND.joints]
    assert max(torques_nm) > 0.5, "it does press"
    assert max(torques_nm) < MOTOR_NM


def torques_of_contacts(model: mujoco.MjModel, data: mujoco.MjData) -> np.ndarray:
    """What the contacts ask of every degree of freedom, (nv,)."""
    torques, force, jacobian = np.zeros(model.nv), np.zeros(6), np.zeros((3, model.nv))
    for index in range(data.ncon):
        contact = data.contact[index]
        mujoco.mj_contactForce(model, data, index, force)
        in_world = contact.frame.reshape(3, 3).T @ force[:3]
        for geom, sign in zip(contact.geom, (-1.0, 1.0), strict=True):
            mujoco.mj_jac(model, data, jacobian, None, contact.pos, int(model.geom_bodyid[geom]))
            torques += sign * jacobian.T @ in_world
    return torques
