"""The collision checker fires when it must, and not when it must not."""

import copy

import mujoco
import numpy as np
import pytest

from blueprint_pipeline.geometry.transforms import build_pose, invert, pose_from_quat
from blueprint_pipeline.motion.candidates import ik_seeds
from blueprint_pipeline.motion.collision import Allowance, CollisionChecker, relative_pose
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.motion.segments import describe_contact
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.twin.binding import bind_robot

DOWN = pose_from_quat(np.zeros(3), np.array([0.0, 1.0, 0.0, 0.0]))


def over(point_m: tuple[float, float, float]) -> np.ndarray:
    pose = DOWN.copy()
    pose[:3, 3] = point_m
    return pose


def reach(scene: MotionScene, point_m: tuple[float, float, float]) -> np.ndarray:
    solution = scene.solve_ik(over(point_m), ik_seeds(scene, over(point_m)))
    assert solution is not None
    return solution


def test_free_air_is_free(table_scene: MotionScene, start_qpos: np.ndarray) -> None:
    """Home touches nothing, though objects rest on the table and the base on its pedestal."""
    table_scene.checker.place_objects(start_qpos)
    assert table_scene.checker.is_free(table_scene.arm_qpos(start_qpos), 0.08)


@pytest.mark.parametrize(
    ("point_m", "touched"),
    [((0.45, 0.35, 0.7), "table"), ((0.45, 0.0, 0.775), None), ((0.48, 0.0, 0.76), "can"), ((0.6, -0.3, 0.78), "crate")],
)
def test_it_fires(table_scene: MotionScene, start_qpos: np.ndarray, point_m: tuple[float, float, float], touched: str | None) -> None:
    """In the table, and with a finger in an object; astride the can, it is silent."""
    checker = table_scene.checker
    checker.place_objects(start_qpos)
    free = checker.is_free(reach(table_scene, point_m), 0.08)
    assert free == (touched is None)
    if touched is not None:
        assert any(touched in pair[:2] for pair in checker.collisions())


def test_it_fires_on_the_robot_itself(table_scene: MotionScene, start_qpos: np.ndarray) -> None:
    """An arm folded into its own base."""
    table_scene.checker.place_objects(start_qpos)
    assert not table_scene.checker.is_free(np.array([0.0, -1.7, 0.0, -3.0, 0.0, 0.1, 0.0]), 0.08)


def test_an_allowance_has_a_depth(table_scene: MotionScene, start_qpos: np.ndarray) -> None:
    """A finger that grazes its target passes, one that stands in it does not."""
    checker = table_scene.checker
    checker.place_objects(start_qpos)
    checker.set_clearance("can", 0.0)
    checker.allow(Allowance(checker.finger_bodies, checker.bodies_of("can"), 0.002))
    grazing, deep = reach(table_scene, (0.45, 0.0105, 0.775)), reach(table_scene, (0.45, 0.018, 0.775))
    assert checker.is_free(grazing, 0.08)
    assert not checker.is_free(deep, 0.08)
    checker.allow()
    assert not checker.is_free(grazing, 0.08)


def test_a_collision_is_told_and_not_what_is_allowed(table_scene: MotionScene, start_qpos: np.ndarray) -> None:
    """A finger that grazes its target as it may, while the hand is too near to another thing: the other thing is named."""
    checker = table_scene.checker
    checker.place_objects(start_qpos)
    checker.allow(Allowance(checker.finger_bodies, checker.bodies_of("can"), 0.002))
    grazing = reach(table_scene, (0.45, 0.0105, 0.775))
    checker.put("box", build_pose(checker.tcp_pose(grazing)[:3, 3] + np.array([0.0, 0.0, 0.12]), np.eye(3)))
    assert not checker.is_free(grazing, 0.08)
    assert "can" not in describe_contact(table_scene)
    assert "box" in describe_contact(table_scene)


def test_the_object_in_hand_collides_for_the_hand(table_scene: MotionScene, start_qpos: np.ndarray) -> None:
    """A held can is no obstacle for the fingers, and a reason to stop at the crate."""
    checker = table_scene.checker
    checker.place_objects(start_qpos)
    astride = reach(table_scene, (0.45, 0.0, 0.775))
    checker.hold("can", relative_pose(checker.tcp_pose(astride), checker.pose_of("can")))
    high, low = reach(table_scene, (0.6, -0.3, 0.95)), reach(table_scene, (0.6, -0.3, 0.85))
    assert checker.is_free(high, 0.06)
    assert not checker.is_free(low, 0.06)
    assert any({"can", "crate"} == set(pair[:2]) for pair in checker.collisions())
    checker.release()
    checker.put("can", pose_from_quat(np.array([0.2, 0.5, 0.75]), np.array([1.0, 0, 0, 0])))
    assert checker.is_free(low, 0.06)


def test_clearance_is_kept_from_everything_but_the_target(table_scene: MotionScene, start_qpos: np.ndarray) -> None:
    """Two millimetres beside the can is too near, unless the can is the target."""
    checker = table_scene.checker
    checker.place_objects(start_qpos)
    near = reach(table_scene, (0.45, 0.0085, 0.775))
    assert not checker.is_free(near, 0.08)
    checker.set_clearance("can", 0.0)
    assert checker.is_free(near, 0.08)


def test_it_agrees_with_the_real_model(table_scene: MotionScene, table_model: mujoco.MjModel, start_qpos: np.ndarray) -> None:
    """For random configurations: where the untouched model has a contact of the robot, so has the copy."""
    rng = np.random.default_rng(0)
    checker, data = table_scene.checker, mujoco.MjData(table_model)
    checker.place_objects(start_qpos)
    lower, upper = table_scene.kinematics.lower, table_scene.kinematics.upper
    columns = [table_model.joint(f"robot/{joint.name}").qposadr[0] for joint in table_scene.arm.joints]
    names = [table_model.body(body).name for body in range(table_model.nbody)]
    hits = 0
    for _ in range(300):
        arm = rng.uniform(lower, upper)
        data.qpos[:] = start_qpos
        data.qpos[columns] = arm
        mujoco.mj_kinematics(table_model, data)
        mujoco.mj_collision(table_model, data)
        bodies = table_model.geom_bodyid[data.contact.geom]
        real = any(names[first].startswith("robot/") or names[second].startswith("robot/") for first, second in bodies)
        hits += real
        if real:
            assert not checker.is_free(arm, 0.08)
    assert hits > 30


def test_a_model_whose_bodies_sleep_is_checked_awake(table_model: mujoco.MjModel) -> None:
    """A simulator may let resting bodies sleep, which hides their contacts; the checker's copy never does."""
    sleepy = copy.copy(table_model)
    sleepy.opt.enableflags |= mujoco.mjtEnableBit.mjENBL_SLEEP.value
    checker = CollisionChecker(sleepy, bind_robot(sleepy, load_embodiment("panda")).arms[0])
    assert not checker.model.opt.enableflags & mujoco.mjtEnableBit.mjENBL_SLEEP.value
    assert sleepy.opt.enableflags & mujoco.mjtEnableBit.mjENBL_SLEEP.value, "the simulator's own model is left as it was"


def test_poses_invert() -> None:
    """A transform and its inverse are the identity."""
    pose = pose_from_quat(np.array([0.1, -0.2, 0.3]), np.array([0.5, 0.5, -0.5, 0.5]))
    np.testing.assert_allclose(pose @ invert(pose), np.eye(4), atol=1e-12)
