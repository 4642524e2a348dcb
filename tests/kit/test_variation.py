"""A variation acts on what it names, as it says, and on nothing else; and it leaves nothing behind."""

import mujoco
import numpy as np
import pytest

from blueprint_pipeline.episode.states import load_motion
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.kit.starts import load_starts
from blueprint_pipeline.kit.variation import VariedLooks, VariedPhysics
from blueprint_pipeline.kit.world import World
from blueprint_pipeline.robot.placement import View
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.simulation.mujoco.renderers import choose_backend, make_renderer
from blueprint_pipeline.task.variation import PLAIN, Variation
from blueprint_pipeline.twin.footprint import bodies_of
from blueprint_pipeline.twin.model import build_scene_model
from tests.simulation.small_scene import SCENE_XML

SIZE = (160, 120)
EVERYTHING = Variation(
    view=View(position_m=(1.3, 0.2, 1.4), quat_wxyz=(0.56, 0.43, 0.43, 0.56), fovy_deg=60),
    light_level=0.7,
    light_tint=(1.1, 1.0, 0.9),
    light_turn_rad=0.8,
    tints={"table": (0.5, 0.9, 0.7), "world": (0.9, 0.5, 0.8)},
    friction=1.2,
    masses={"can": 1.3, "box": 0.8},
)


def compiled(xml=SCENE_XML):
    return mujoco.MjModel.from_xml_string(xml)


def as_kit(variation):
    return variation.model_dump(mode="json")


def bytes_of(model):
    buffer = np.zeros(mujoco.mj_sizeModel(model), dtype=np.uint8)
    mujoco.mj_saveModel(model, None, buffer)
    return buffer.tobytes()


def picture(model, variation=PLAIN, camera="scene"):
    """Drawn by what draws for datasets."""
    VariedLooks(model).apply(as_kit(variation))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    renderer = make_renderer(model, *SIZE, choose_backend("auto"))
    try:
        renderer.look(data, model.camera(camera).id)
        return renderer.draw().astype(int), renderer.draw_bodies().copy()
    finally:
        renderer.close()


def test_nothing_is_left_behind():
    """Whatever was varied before, a plain scene is the compiled one, bit by bit."""
    model = compiled()
    before = bytes_of(model)
    physics, looks = VariedPhysics(model), VariedLooks(model)
    turned = Variation(light_turn_rad=1.0, masses={"can": 2.0}, view=View(position_m=(0, 1, 2), quat_wxyz=(1, 0, 0, 0), fovy_deg=40))
    for variation in (EVERYTHING, turned, Variation(friction=0.9), Variation(masses={"can": 2.0}), PLAIN):
        physics.apply(as_kit(variation))
        looks.apply(as_kit(variation))
        assert (bytes_of(model) == before) is (variation == PLAIN)


def test_the_order_of_episodes_changes_nothing():
    one, other = compiled(), compiled()
    turned = EVERYTHING.model_copy(update={"light_turn_rad": 2.0, "masses": {"box": 1.4}})
    for model, order in ((one, (turned, EVERYTHING)), (other, (EVERYTHING,))):
        varied = VariedPhysics(model), VariedLooks(model)
        for variation in order:
            for part in varied:
                part.apply(as_kit(variation))
    assert bytes_of(one) == bytes_of(other)


def test_masses_are_those_of_a_scene_that_was_compiled_with_them():
    """With all that MuJoCo derives from them."""
    heavier = SCENE_XML.replace('mass="0.2" diaginertia="0.0003 0.0003 0.0002"', 'mass="0.3" diaginertia="0.00045 0.00045 0.0003"')
    model, expected = compiled(), compiled(heavier)
    VariedPhysics(model).apply(as_kit(Variation(masses={"can": 1.5})))
    for name in ("body_mass", "body_inertia", "body_subtreemass", "body_invweight0", "dof_invweight0", "dof_M0"):
        np.testing.assert_allclose(getattr(model, name), getattr(expected, name), rtol=1e-12, err_msg=name)
    np.testing.assert_array_equal(model.stat.center, expected.stat.center)
    assert model.stat.extent == expected.stat.extent == 2


def slide_m(friction):
    """How far the box slides that is pushed off at 0.6 m/s."""
    model = compiled()
    VariedPhysics(model).apply(as_kit(Variation(friction=friction)))
    data = mujoco.MjData(model)
    address, dof = model.joint("box").qposadr[0], model.joint("box").dofadr[0]
    mujoco.mj_step(model, data, 200)
    start = data.qpos[address + 1]
    data.qvel[dof + 1] = -0.6
    mujoco.mj_step(model, data, 500)
    return float(start - data.qpos[address + 1])


def test_friction_acts():
    """v^2 / (2 mu g): twice the friction, half the way."""
    assert slide_m(0.5) == pytest.approx(slide_m(0.25) / 2, rel=0.1)


def test_only_what_is_tinted_changes_its_colour():
    plain, bodies = picture(compiled())
    tinted, _ = picture(compiled(), Variation(tints={"table": (0.5, 1.0, 1.0)}))
    table = np.isin(bodies, bodies_of(compiled(), "table"))
    assert 0.45 < tinted[table][:, 0].mean() / plain[table][:, 0].mean() < 0.6
    np.testing.assert_array_equal(tinted[table][:, 1:], plain[table][:, 1:])
    np.testing.assert_array_equal(tinted[~table], plain[~table])


def test_lights_are_as_bright_and_as_warm_as_is_said():
    plain, _ = picture(compiled())
    dim, _ = picture(compiled(), Variation(light_level=0.5))
    warm, _ = picture(compiled(), Variation(light_tint=(0.8, 1.0, 0.6)))
    lit = (plain > 20).all(axis=2) & (plain < 200).all(axis=2)
    assert dim[lit].mean() / plain[lit].mean() == pytest.approx(0.5, abs=0.05)
    assert [warm[lit][:, channel].mean() / plain[lit][:, channel].mean() for channel in range(3)] == pytest.approx([0.8, 1, 0.6], abs=0.05)


def test_lights_turn_about_the_vertical():
    lamp = '<light pos="1 0 3" dir="-0.5 0 -1" castshadow="false"/>'
    model = compiled(SCENE_XML.replace('<light pos="0 0 3" dir="0 0 -1" castshadow="false"/>', lamp))
    VariedLooks(model).apply(as_kit(Variation(light_turn_rad=np.pi / 2)))
    np.testing.assert_allclose(model.light_pos[0], [0, 1, 3], atol=1e-12)
    np.testing.assert_allclose(model.light_dir[0], np.array([0, -0.5, -1]) / np.hypot(0.5, 1), atol=1e-12)


def test_the_camera_stands_where_it_is_said():
    """Pixel by pixel what a scene shows that was compiled with its camera there."""
    view = EVERYTHING.view
    moved = SCENE_XML.replace(
        'pos="1.4 0 1.5" xyaxes="0 1 0 -0.5 0 0.85" fovy="50"', 'pos="1.3 0.2 1.4" quat="0.56 0.43 0.43 0.56" fovy="60"'
    )
    expected, _ = picture(compiled(moved))
    assert np.abs(expected - picture(compiled())[0]).max() > 20
    quat = np.array(view.quat_wxyz) / np.linalg.norm(view.quat_wxyz)
    found, _ = picture(compiled(), Variation(view=view.model_copy(update={"quat_wxyz": tuple(quat)})))
    assert np.abs(found - expected).max() <= 1


def test_a_kit_weighs_what_the_simulator_did(small_kit):
    """Of each delivered episode: its own friction and masses."""
    world = World(small_kit.folder)
    simulator = MujocoSimulator()
    simulator.load(small_kit.mjcf.parent, next(iter(small_kit.records.values())).robot, world.fps)
    masses = set()
    for name, start in load_starts(small_kit.folder).items():
        if not start.delivered:
            continue
        world.restore(start.integration_state, start.variation)
        record = small_kit.records[name]
        simulator.vary(record.spec.variation)
        simulator.restore_state(start.integration_state)
        np.testing.assert_array_equal(world.model.body_mass, simulator.model.body_mass)
        np.testing.assert_array_equal(world.model.geom_friction, simulator.model.geom_friction)
        masses.add(float(world.model.body_mass[world.model.body("can").id]))
    assert len(masses) == len(small_kit.records)


def test_a_simulator_without_its_bodies_refuses(tmp_path, small_kit):
    simulator = MujocoSimulator()
    record = next(iter(small_kit.records.values()))
    simulator.load(small_kit.mjcf.parent, record.robot, 30)
    with pytest.raises(Exception, match="no body 'ghost'"):
        simulator.vary(Variation(masses={"ghost": 2.0}))
    simulator.reset({"can": Pose(position_m=(0, 0, 1), quat_wxyz=(1, 0, 0, 0))}, record.spec.robot_qpos)


def contact_frictions(simulator):
    """Sliding friction of every contact now, by pair of bodies."""
    model, data, found = simulator.model, simulator.data, {}
    for contact in data.contact:
        names = tuple(sorted(model.body(int(model.geom_bodyid[geom])).name for geom in contact.geom))
        found.setdefault(names, set()).add(round(float(contact.friction[0]), 6))
    return found


def test_the_friction_of_a_grasp_is_varied_too(small_kit):
    """Of every contact in the middle of an episode: the fingers' and the table's."""
    name, record = next((name, record) for name, record in small_kit.records.items() if name.startswith("pick_place"))
    simulator = MujocoSimulator()
    simulator.load(small_kit.mjcf.parent, record.robot, record.fps)
    motion = load_motion(small_kit.states(name))
    found = {}
    for factor in (1.0, 0.8):
        simulator.vary(record.spec.variation.model_copy(update={"friction": factor}))
        simulator.restore_state(motion.integration_state)
        (carry,) = [phase for phase in record.phases if phase.name == "transfer"] or [record.phases[len(record.phases) // 2]]
        simulator.track(motion.ctrl[: (carry.start_frame + carry.end_frame) // 2])
        found[factor] = contact_frictions(simulator)
    grasped = [pair for pair in found[1.0] if record.spec.task.target_object in pair and any("finger" in body for body in pair)]
    assert grasped
    for pair in set(found[1.0]) & set(found[0.8]):
        assert sorted(found[0.8][pair]) == pytest.approx([0.8 * value for value in sorted(found[1.0][pair])])


def test_a_closed_simulator_leaves_the_compiled_scene(small_kit):
    """Whoever acts next on the same model takes what is there for the plain scene."""
    record = next(iter(small_kit.records.values()))
    twin = build_scene_model(small_kit.mjcf / "scene.xml", record.robot, record.fps)
    before = bytes_of(twin.model)
    simulator = MujocoSimulator()
    simulator.use(twin)
    simulator.vary(record.spec.variation)
    assert bytes_of(twin.model) != before
    simulator.close()
    assert bytes_of(twin.model) == before
