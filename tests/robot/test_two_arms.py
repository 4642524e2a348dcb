"""State, commands, columns and limits of a robot with two arms and two different grippers."""

from pathlib import Path

import mujoco
import numpy as np
import pytest

from blueprint_pipeline.dataset.features import ACTION, EE_POSE, STATE, VELOCITY, build_vector_features
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.motion.plan import SetpointBuilder
from blueprint_pipeline.motion.scene import build_motion_scene
from blueprint_pipeline.quality.robot_limits import load_robot_limits
from blueprint_pipeline.robot.embodiment import Embodiment, UnknownArm
from blueprint_pipeline.robot.layout import home_qpos, layout_of, start_qpos
from blueprint_pipeline.twin.binding import RobotBinding, bind_robot
from blueprint_pipeline.twin.errors import WrongShape
from blueprint_pipeline.twin.mount import mount
from tests.robot.two_arms import build_two_arms

JOINTS = np.array([0.4, 0.1, -0.6, -0.1])
WIDTHS_M = np.array([0.04, 0.02])


@pytest.fixture
def robot(tmp_path: Path) -> Embodiment:
    return build_two_arms(tmp_path)


@pytest.fixture
def model(robot: Embodiment) -> mujoco.MjModel:
    spec = mujoco.MjSpec()
    spec.option.timestep = 1 / 480
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    mount(spec, robot, Pose(position_m=(0, 0, 0), quat_wxyz=(1, 0, 0, 0)))
    return spec.compile()


@pytest.fixture
def binding(model: mujoco.MjModel, robot: Embodiment) -> RobotBinding:
    return bind_robot(model, robot)


def test_each_arm_has_its_share_of_the_vectors(robot: Embodiment) -> None:
    """Arm after arm; in a start configuration each arm's joints are followed by its fingers'."""
    left, right = layout_of(robot)
    assert (left.joints, right.joints) == (slice(0, 2), slice(2, 4))
    assert (left.start_joints, left.start_fingers) == (slice(0, 2), slice(2, 4))
    assert (right.start_joints, right.start_fingers) == (slice(4, 6), slice(6, 7))
    assert start_qpos(robot, JOINTS, WIDTHS_M) == pytest.approx((0.4, 0.1, 0.02, -0.02, -0.6, -0.1, 0.6))


def test_columns_say_which_arm_they_are_of(robot: Embodiment) -> None:
    """Names with the arm before them, and each joint's own unit."""
    features = {feature.key: feature for feature in build_vector_features(layout_of(robot), (), (), ())}
    assert (
        features[STATE].names
        == features[ACTION].names
        == (
            "left.left_shoulder.pos_rad",
            "left.left_slide.pos_m",
            "left.gripper.width_m",
            "right.right_shoulder.pos_rad",
            "right.right_slide.pos_m",
            "right.gripper.width_m",
        )
    )
    assert features[VELOCITY].names[1] == "left.left_slide.vel_m_s"
    assert features[EE_POSE].size == 14
    assert features[STATE].parts == {
        "left_arm": slice(0, 2),
        "left_gripper": slice(2, 3),
        "right_arm": slice(3, 5),
        "right_gripper": slice(5, 6),
    }


def test_a_robot_is_placed_and_holds_itself(model: mujoco.MjModel, binding: RobotBinding, robot: Embodiment) -> None:
    """Positions, openings and commands of both arms are what was asked, and stay so."""
    data = mujoco.MjData(model)
    binding.place(data, start_qpos(robot, JOINTS, WIDTHS_M))
    assert data.qpos[binding.qpos] == pytest.approx(JOINTS)
    assert binding.joint_commands(data.ctrl) == pytest.approx(JOINTS)
    assert binding.widths_m(data.qpos) == pytest.approx(WIDTHS_M)
    assert binding.gripper_commands_m(data.ctrl) == pytest.approx(WIDTHS_M)
    model.opt.gravity[:] = 0
    mujoco.mj_step(model, data, nstep=240)
    assert data.qpos[binding.qpos] == pytest.approx(JOINTS, abs=1e-3)
    assert binding.widths_m(data.qpos) == pytest.approx(WIDTHS_M, abs=1e-3)
    tools = binding.tool_poses(data)
    assert tools.shape == (2, 7)
    assert tools[0, 1] > 0.2 > -0.2 > tools[1, 1], "the left arm stands on the left"


def test_a_start_of_one_arm_is_refused(model: mujoco.MjModel, binding: RobotBinding) -> None:
    with pytest.raises(WrongShape, match="2 arm joints and 2 finger joints, 2 arm joints and 1 finger joints"):
        binding.place(mujoco.MjData(model), (0.0,) * 4)


def test_a_plan_of_one_arm_holds_the_other(model: mujoco.MjModel, binding: RobotBinding, robot: Embodiment) -> None:
    """Every row has a command for every actuator; only those of the acting arm change."""
    data = mujoco.MjData(model)
    binding.place(data, start_qpos(robot, JOINTS, WIDTHS_M))
    right = binding.arms[1]
    builder = SetpointBuilder(right, fps=30, start=binding.ctrl_holding(data.qpos, model.nu))
    builder.move("approach", np.linspace(JOINTS[2:], (0.0, 0.0), 10), np.full(10, 0.02))
    builder.grip("close", width_m=0.0, speed_m_s=0.05, hold_s=0.1)
    setpoints, _ = builder.build()
    assert binding.joint_commands(setpoints[-1]) == pytest.approx([0.4, 0.1, 0.0, 0.0])
    assert binding.gripper_commands_m(setpoints[-1]) == pytest.approx([0.04, 0.0])
    still = [*binding.arms[0].actuators, binding.arms[0].gripper_actuator]
    np.testing.assert_array_equal(setpoints[:, still], np.tile(data.ctrl[still], (len(setpoints), 1)))


def test_a_planner_is_made_for_one_arm_by_name(model: mujoco.MjModel, robot: Embodiment, tmp_path: Path) -> None:
    """Its kinematics are those of that arm, seen from where it begins."""
    scene = build_motion_scene(model, robot, "right", fps=30, cache_dir=tmp_path)
    data = mujoco.MjData(model)
    scene.robot.place(data, home_qpos(robot))
    mujoco.mj_kinematics(model, data)
    tool = scene.kinematics.forward(np.array(robot.arm("right").default_qpos_rad))[:3, 3]
    assert tool == pytest.approx(scene.robot.tool_poses(data)[1, :3])
    assert scene.root_m[:2] == pytest.approx([0.0, -0.2])
    with pytest.raises(UnknownArm, match=r"no arm 'middle'.*left, right"):
        build_motion_scene(model, robot, "middle", fps=30, cache_dir=tmp_path)


def test_limits_are_those_of_all_arms(robot: Embodiment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blueprint_pipeline.robot.embodiment._records", lambda: {"two_arms": robot})
    limits = load_robot_limits("two_arms")
    assert limits.arms == ("left", "right")
    assert limits.joints == ("left.left_shoulder", "left.left_slide", "right.right_shoulder", "right.right_slide")
    assert limits.lower_rad.tolist() == [-2.5, -0.2, -2.5, -0.2]
    assert limits.finger_bodies == {"robot/left_finger_a", "robot/left_finger_b", "robot/right_finger"}
