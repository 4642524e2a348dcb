"""Every gripper on record presses with a sane force, and what it holds survives being shaken."""

from pathlib import Path

import mujoco
import numpy as np
import pytest

from blueprint_pipeline.robot.embodiment import list_embodiments, load_embodiment
from blueprint_pipeline.robot.gripper import Gripper
from blueprint_pipeline.robot.layout import home_qpos
from blueprint_pipeline.simulation.conformance import check_simulator
from blueprint_pipeline.simulation.conformance_scene import BLOCK, write_conformance_scene
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.simulation.protocol import BodyContact, SimulationState

ROBOTS = [embodiment.name for embodiment in list_embodiments()]
FPS = 30
BLOCK_M = 0.04
LET_GO_M = 0.006
SHAKE_RAD = 0.12
SHAKE_HZ = 2.0
SAFETY, HEAVY_KG, PAD_FRICTION, GRAVITY_M_S2 = 3.0, 2.0, 0.9, 9.81


def least_force_n(payload_kg: float) -> float:
    """Of each side: three times what two pads need to carry the arm's payload, or 2 kg of it, at 1 g."""
    return SAFETY * min(payload_kg, HEAVY_KG) * GRAVITY_M_S2 / (2 * PAD_FRICTION)


def squeezed_n(contacts: tuple[BodyContact, ...], finger_bodies: tuple[str, ...]) -> float:
    """Force of the fingers on the block, a side."""
    pairs = {"|".join(sorted((BLOCK, f"robot/{body}"))) for body in finger_bodies}
    return sum(contact.force_n for contact in contacts if contact.bodies in pairs) / 2


def block_in_hand_m(state: SimulationState) -> float:
    """Distance from the tool centre point to the block's middle."""
    return float(np.linalg.norm(state.object_poses[0, :3] - state.ee_pose[0, :3]))


@pytest.mark.parametrize("name", ROBOTS)
def test_a_held_block_survives_shaking(name: str, tmp_path: Path) -> None:
    """Closed by the planner's squeeze, lifted, and shaken twice a second: it stays where it is held."""
    robot = load_embodiment(name)
    scene = write_conformance_scene(tmp_path, robot)
    simulator = MujocoSimulator()
    loaded = simulator.load(scene.folder, scene.placement, FPS)
    start = simulator.reset({BLOCK: scene.block_pose}, home_qpos(robot)).ctrl
    arm = robot.arm(scene.arm)
    moved = (arm.gripper.actuator, arm.joints[scene.lift_joint].actuator, arm.joints[-2].actuator)
    gripper, lift, wrist = (loaded.actuators.index(f"robot/{actuator}") for actuator in moved)
    rows = np.tile(start, (5 * FPS, 1))
    widths_m = np.interp(np.arange(5 * FPS), [0, FPS], [arm.gripper.stroke_m, BLOCK_M - arm.gripper.squeeze_m])
    rows[:, gripper] = arm.gripper.ctrl_at(widths_m)
    rows[:, lift] += np.interp(np.arange(5 * FPS), [FPS + 10, 2 * FPS + 10], [0.0, 0.2 * scene.lift_sense])
    shaking = np.arange(2 * FPS) / FPS
    rows[3 * FPS :, wrist] += SHAKE_RAD * np.sin(2 * np.pi * SHAKE_HZ * shaking)
    track = simulator.track(rows)
    force_n = squeezed_n(track.contacts[FPS + 8], arm.gripper.finger_bodies)
    assert least_force_n(arm.max_payload_kg) < force_n <= arm.gripper.continuous_force_n * 1.05
    before, after = track.states[3 * FPS - 1], track.states[-1]
    assert before.object_poses[0, 2] > scene.block_pose.position_m[2] + 0.03, "it was lifted"
    assert after.gripper_width_m[0] == pytest.approx(BLOCK_M, abs=0.004), "the opening is that of the block"
    assert block_in_hand_m(after) == pytest.approx(block_in_hand_m(before), abs=0.002)


ROUND = {
    "upright can": 'type="cylinder" size="{radius} 0.03"',
    "lying can": 'type="cylinder" size="{radius} 0.025" euler="0 1.5707963 0"',
    "ball": 'type="sphere" size="{radius}"',
}


RADII_M = (0.012, 0.02, 0.03)


def fits(name: str, radius_m: float) -> bool:
    """Whether a thing is narrow enough for a gripper to be let go again without touching it."""
    return 2 * radius_m + LET_GO_M <= load_embodiment(name).arms[0].gripper.stroke_m


@pytest.mark.parametrize(
    ("name", "shape", "radius_m"), [(name, shape, radius) for name in ROBOTS for shape in ROUND for radius in RADII_M if fits(name, radius)]
)
def test_a_round_thing_is_pressed_between_the_pads_and_let_go(name: str, shape: str, radius_m: float, tmp_path: Path) -> None:
    """Pads press the way they close, with the gripper's force and no more, and let go at once.

    A pad with a groove lets a round thing sink in until its edges wedge it: it is pressed sideways, and clings to fingers that open.
    """
    robot = load_embodiment(name)
    scene = write_conformance_scene(tmp_path, robot)
    path = scene.folder / "mjcf" / "scene.xml"
    text = path.read_text().replace(' gravity="0 0 -9.81"', ' gravity="0 0 0"')
    drop_m = max((0.03 if shape == "upright can" else radius_m) - BLOCK_M / 2, 0.0)
    text = text.replace('name="plinth_collision_0"', f'name="plinth_collision_0" pos="0 0 {-drop_m}"')
    block = 'type="box" size="0.02 0.02 0.02"'
    assert block in text
    path.write_text(text.replace(block, ROUND[shape].format(radius=radius_m)))
    simulator = MujocoSimulator()
    loaded = simulator.load(scene.folder, scene.placement, FPS)
    start = simulator.reset({BLOCK: scene.block_pose}, home_qpos(robot)).ctrl
    gripper = robot.arm(scene.arm).gripper
    times, held_m = [0, FPS, 2 * FPS, 2 * FPS + 6], 2 * radius_m - gripper.squeeze_m
    widths_m = np.interp(np.arange(2 * FPS + 18), times, [gripper.stroke_m, held_m, held_m, 2 * radius_m + LET_GO_M])
    rows = np.tile(start, (len(widths_m), 1))
    rows[:, loaded.actuators.index(f"robot/{gripper.actuator}")] = gripper.ctrl_at(widths_m)
    held = simulator.track(rows[: 2 * FPS])
    assert max(squeezed_n(frame, gripper.finger_bodies) for frame in held.contacts[FPS + 8 :]) <= gripper.continuous_force_n * 1.05
    assert alignment(simulator, gripper) > 0.95
    after = simulator.track(rows[2 * FPS :]).contacts[-1]
    assert squeezed_n(after, gripper.finger_bodies) == 0.0


def alignment(simulator: MujocoSimulator, gripper: Gripper) -> float:
    """Share of the fingers' force on the block that lies along the line on which the pads close."""
    model, data = simulator.model, simulator.data
    fingers = {model.body(f"robot/{body}").id for body in gripper.finger_bodies}
    closing = data.body(f"robot/{gripper.hand_body}").xmat.reshape(3, 3)[:, 1]
    along = total = 0.0
    for index in range(data.ncon):
        contact = data.contact[index]
        bodies = {int(model.geom_bodyid[geom]) for geom in contact.geom}
        if model.body(BLOCK).id in bodies and bodies & fingers:
            force = np.zeros(6)
            mujoco.mj_contactForce(model, data, index, force)
            along += force[0] * abs(float(contact.frame[:3] @ closing))
            total += force[0]
    return along / total if total else 0.0


@pytest.mark.parametrize("embodiment", list_embodiments(), ids=lambda embodiment: embodiment.name)
def test_every_robot_passes_the_conformance_suite(embodiment) -> None:
    """A new robot's model loads, settles, closes, lifts, replays bit by bit and is drawn."""
    results = check_simulator(MujocoSimulator(), embodiment.name)
    assert [result.message for result in results if not result.passed] == []
