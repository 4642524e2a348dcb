"""Parts that open: found in a model, placed by their poses, and read back."""

import mujoco
import numpy as np
import pytest

from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.robot.placement import RobotPlacement
from blueprint_pipeline.twin.articulation import find_joints
from blueprint_pipeline.twin.footprint import bodies_of, movable_objects
from blueprint_pipeline.twin.model import build_scene_model

SCENE = """
<mujoco>
  <compiler angle="radian"/>
  <option timestep="0.0020833333333333333"/>
  <worldbody>
    <body name="chest" pos="1 0.2 0.5" quat="0.8 0 0 0.6">
      <geom name="chest" type="box" size="0.2 0.2 0.2"/>
      <body name="chest/drawer">
        <joint name="chest/slide" type="slide" axis="0 -1 0" range="0 0.3" frictionloss="1"/>
        <geom name="drawer" type="box" size="0.1 0.1 0.05" pos="0 -0.2 0" mass="1"/>
      </body>
      <body name="chest/door">
        <joint name="chest/hinge" type="hinge" axis="0 0 -1" pos="-0.2 -0.2 0" range="0 3.4" frictionloss="1"/>
        <geom name="door" type="box" size="0.2 0.01 0.1" pos="0 -0.2 0" mass="1"/>
      </body>
    </body>
    <body name="can" pos="0 0 0.5"><freejoint name="can"/><geom name="can" type="sphere" size="0.05"/></body>
    <camera name="scene" pos="0 -2 1"/>
  </worldbody>
</mujoco>
"""


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    path = tmp_path_factory.mktemp("twin") / "scene.xml"
    path.write_text(SCENE)
    base = Pose(position_m=(-1.0, 0.0, 0.0), quat_wxyz=(1.0, 0.0, 0.0, 0.0))
    return build_scene_model(path, RobotPlacement(embodiment="franka_panda", base_pose=base), fps=30)


def test_joints_of_objects_are_found_and_none_of_the_robot(scene):
    assert list(scene.parts) == ["chest/drawer", "chest/door"]
    assert scene.object_ids == ("can", "chest/drawer", "chest/door")
    assert [joint.column for joint in scene.parts.values()] == ["chest/slide.pos_m", "chest/hinge.pos_rad"]
    assert movable_objects(scene.model) == ("can",)


@pytest.mark.parametrize(("part", "position"), [("chest/drawer", 0.17), ("chest/door", 1.1), ("chest/door", 3.3), ("chest/door", 0.0)])
def test_a_part_stands_where_its_pose_says(scene, part, position):
    """Its pose is that of its body at that position, and gives the position back, beyond half a turn too."""
    joint, data = scene.parts[part], mujoco.MjData(scene.model)
    data.qpos[joint.qpos] = position
    mujoco.mj_kinematics(scene.model, data)
    pose = scene.poses(data)[scene.object_ids.index(part)]
    np.testing.assert_allclose(pose[:3], joint.line.pose_at(position).position_m, atol=1e-12)
    assert abs(pose[3:] @ joint.line.pose_at(position).quat_wxyz) == pytest.approx(1.0)
    assert joint.line.positions_of(pose[None])[0] == pytest.approx(position, abs=1e-12)
    placed = np.zeros(scene.model.nq)
    scene.place(placed, {part: pose})
    assert placed[joint.qpos] == pytest.approx(position, abs=1e-12)


def test_what_is_not_named_is_closed(scene):
    robot_qpos = (*(arm_joint for arm in scene.robot.arms for arm_joint in arm.arm.default_qpos_rad), 0.04, 0.04)
    qpos = scene.qpos_at({"can": Pose.of([0.3, 0, 1, 1, 0, 0, 0])}, robot_qpos)
    assert [qpos[joint.qpos] for joint in scene.parts.values()] == [0.0, 0.0]


def test_positions_of_many_rows(scene):
    """Objects come first, and have none."""
    drawer, door = (scene.parts[name].line for name in ("chest/drawer", "chest/door"))
    rows = [[np.eye(1, 7)[0], drawer.pose_at(out).as_tuple(), door.pose_at(0.4).as_tuple()] for out in (0.1, 0.2)]
    np.testing.assert_allclose(scene.joint_positions(np.array(rows)), [[0.1, 0.4], [0.2, 0.4]], atol=1e-12)


@pytest.mark.parametrize("part", ["chest/drawer", "chest/door"])
def test_travel_follows_a_point_of_the_part(scene, part):
    """As a hand that holds it does."""
    line = scene.parts[part].line
    start = np.eye(4)
    start[:3, 3] = (1.1, 0.1, 0.6)
    end = line.motion(0.05, 0.25) @ start
    assert line.travel(start, end) == pytest.approx(0.2)


def test_a_part_is_its_own_thing_and_its_object_has_all(scene):
    model = scene.model
    assert bodies_of(model, "chest/door").tolist() == [model.body("chest/door").id]
    assert {model.body(int(body)).name for body in bodies_of(model, "chest")} == {"chest", "chest/drawer", "chest/door"}


def test_shares_of_the_way_open(scene):
    door = find_joints(scene.model)["chest/door"].line
    assert door.position_at(0.5) == 1.7
    assert door.share_at(1.7) == 0.5
