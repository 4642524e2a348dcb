"""The records of robots: what loads, what is refused, and that a record fits its model."""

import mujoco
import numpy as np
import pytest
from pydantic import ValidationError

from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.robot.embodiment import Embodiment, UnknownRobot, UnsupportedRobot, list_embodiments, list_records, load_embodiment
from blueprint_pipeline.robot.errors import BrokenEmbodiment
from blueprint_pipeline.robot.layout import home_qpos
from blueprint_pipeline.robot.names import ROBOT_PREFIX, robot_names
from blueprint_pipeline.simulation.mujoco.renderer import Renderer, camera_id
from blueprint_pipeline.simulation.mujoco.renderers import choose_backend
from blueprint_pipeline.twin.binding import bind_robot
from blueprint_pipeline.twin.mount import PEDESTAL, mount, validate_record

LARGEST_OWN_SHARE = 0.25
"""Of a wrist picture at home that may show the robot itself."""


def test_an_alias_gives_the_same_robot() -> None:
    """People say panda; the record is franka_panda."""
    assert load_embodiment("panda") == load_embodiment("franka_panda") == load_embodiment("Franka-Panda")


def test_an_unknown_robot_lists_what_exists() -> None:
    """The message names the wrong name and the right ones."""
    with pytest.raises(UnknownRobot, match=r"'r2d2'.*franka_panda") as caught:
        load_embodiment("r2d2")
    assert caught.value.code == "robot.unknown"


def test_an_unsupported_robot_is_refused_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record without a usable model says why."""
    record = Embodiment(name="r2d2", title="R2-D2", support={"status": "unsupported", "reason": "there is no public model"}, sources=())
    monkeypatch.setattr("blueprint_pipeline.robot.embodiment._records", lambda: {"r2d2": record})
    with pytest.raises(UnsupportedRobot, match="no public model"):
        load_embodiment("r2d2")


UNSUPPORTED = sorted(set(robot_names()) - {embodiment.name for embodiment in list_embodiments()})


def test_robots_that_people_ask_for_are_registered() -> None:
    assert UNSUPPORTED == ["figure_01", "unitree_h1"]


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_a_registered_robot_names_one_that_stands_in_and_keeps_its_name(name: str) -> None:
    """A person reads why, what to choose, and that the data are the other robot's."""
    with pytest.raises(UnsupportedRobot) as caught:
        load_embodiment(name)
    stand_in = load_embodiment(str(caught.value.stand_in)).name
    assert f"'{name}' is not supported: {caught.value.reason}. Choose one of: " in caught.value.message
    assert caught.value.message.endswith(f"The closest available robot is {stand_in}; its data are labelled {stand_in}, not {name}.")
    titles = {record.name: record.title for record in list_records()}
    assert titles[name] not in load_embodiment(stand_in).title


def test_a_supported_robot_needs_a_model() -> None:
    """A record cannot claim support with nothing to load."""
    panda = load_embodiment("panda").model_dump()
    with pytest.raises(ValidationError, match="needs arms, a model"):
        Embodiment.model_validate(panda | {"mjcf": None})


def test_the_record_agrees_with_the_model() -> None:
    """Limits of the record are those of the model: planning and physics speak of one robot."""
    for embodiment in list_embodiments():
        model = mujoco.MjModel.from_xml_path(str(embodiment.mjcf_path))
        for arm in embodiment.arms:
            for joint in arm.joints:
                np.testing.assert_allclose(model.joint(joint.name).range, [joint.lower_rad, joint.upper_rad])
                np.testing.assert_allclose(model.jnt_actfrcrange[model.joint(joint.name).id, 1], joint.max_torque_nm)
            gripper = model.actuator(arm.gripper.actuator)
            assert gripper.ctrlrange[0] <= min(arm.gripper.ctrl) < max(arm.gripper.ctrl) <= gripper.ctrlrange[1]
            order = [model.joint(joint.name).id for joint in arm.joints]
            assert order == sorted(order), "inverse kinematics takes the arm's joints in the model's order"


def test_a_record_that_names_a_missing_joint_is_refused() -> None:
    """A typing error in a record stops at mounting, with the names that exist."""
    panda = load_embodiment("panda")
    data = panda.model_dump()
    data["arms"][0]["joints"][0]["name"] = "joint_one"
    with pytest.raises(BrokenEmbodiment, match=r"joint 'joint_one'.*joint1"):
        validate_record(mujoco.MjSpec.from_file(str(panda.mjcf_path)), Embodiment.model_validate(data))


def test_mounting_adds_prefix_pedestal_and_camera() -> None:
    """The robot stands on its box where it was asked to, and looks down its wrist."""
    spec = mujoco.MjSpec()
    mount(spec, load_embodiment("panda"), Pose(position_m=(0.1, 0.2, 0.6), quat_wxyz=(1, 0, 0, 0)))
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    np.testing.assert_allclose(data.body(f"{ROBOT_PREFIX}link0").xpos, [0.1, 0.2, 0.6])
    np.testing.assert_allclose(model.geom(PEDESTAL).size[2], 0.3)
    assert model.camera(f"{ROBOT_PREFIX}wrist").bodyid == model.body(f"{ROBOT_PREFIX}hand").id
    hand, tcp = data.camera(f"{ROBOT_PREFIX}wrist"), data.site(f"{ROBOT_PREFIX}tcp").xpos
    line_of_sight = -hand.xmat.reshape(3, 3)[:, 2]
    to_tcp = (tcp - hand.xpos) / np.linalg.norm(tcp - hand.xpos)
    assert np.degrees(np.arccos(line_of_sight @ to_tcp)) < 37.5, "the fingertips lie in the picture"


@pytest.mark.parametrize("robot", [embodiment.name for embodiment in list_embodiments()])
def test_a_wrist_picture_at_home_shows_the_work_and_not_the_robot(robot: str) -> None:
    """Both fingers are in it, and the arm's own pixels are few: Panda 16 %, UR10e 19 %, G1 20 %, GR1T2 12 %."""
    embodiment, spec = load_embodiment(robot), mujoco.MjSpec()
    mount(spec, embodiment, Pose(position_m=(0.0, 0.0, 0.8), quat_wxyz=(1.0, 0.0, 0.0, 0.0)))
    model = spec.compile()
    data = mujoco.MjData(model)
    bind_robot(model, embodiment).place(data, home_qpos(embodiment))
    mujoco.mj_forward(model, data)
    for camera in embodiment.wrist_cameras:
        with Renderer(model, 160, 120, choose_backend("auto")) as renderer:
            renderer.look(data, camera_id(model, camera.name))
            bodies = renderer.draw_bodies().copy()
        seen = {model.body(int(body)).name.removeprefix(ROBOT_PREFIX) for body in np.unique(bodies) if body > 0}
        assert len(seen & set(embodiment.arms[0].gripper.finger_bodies)) >= 2
        assert (bodies > 0).mean() < LARGEST_OWN_SHARE


def test_pedestal_reaches_down_to_what_it_stands_on() -> None:
    """A table below it is not cut."""
    spec = mujoco.MjSpec()
    mount(spec, load_embodiment("panda"), Pose(position_m=(0, 0, 0.9), quat_wxyz=(1, 0, 0, 0)), foot_m=0.7)
    pedestal = spec.compile().geom(PEDESTAL)
    np.testing.assert_allclose([pedestal.pos[2], pedestal.size[2]], [0.8, 0.1])


def test_no_pedestal_under_a_robot_on_the_floor() -> None:
    """Nothing to fill, nothing added."""
    spec = mujoco.MjSpec()
    mount(spec, load_embodiment("panda"), Pose(position_m=(0, 0, 0), quat_wxyz=(1, 0, 0, 0)))
    assert PEDESTAL not in [geom.name for geom in spec.geoms]


@pytest.mark.parametrize(("width_m", "least_n"), [(0.003, 25.0), (0.02, 69.0)])
def test_the_gripper_presses_with_real_force(width_m: float, least_n: float) -> None:
    """Both fingers press on what lies between them with up to the Franka Hand's 70 N."""
    spec = mujoco.MjSpec.from_file(str(load_embodiment("panda").mjcf_path))
    spec.option.timestep = 1 / 480
    spec.option.gravity = [0, 0, 0]
    model = spec.compile()
    model.opt.timestep = 1 / 480
    data = mujoco.MjData(model)
    data.qpos[-2:] = width_m / 2
    data.ctrl[:] = 0
    mujoco.mj_forward(model, data)
    assert -data.actuator("actuator8").force[0] >= least_n
