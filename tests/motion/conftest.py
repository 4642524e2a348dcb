"""A small scene with a robot: a table, a can, a box, a bowl-like cup of walls, and a goal."""

from pathlib import Path

import mujoco
import numpy as np
import pytest

from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.motion.scene import MotionScene, build_motion_scene
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.twin.mount import mount

TABLE_M = 0.7
FPS = 30
SUBSTEPS = 16


def build_table_spec() -> mujoco.MjSpec:
    """A table of 0.7 m with a can, a box and a ball on it, and the Panda at its edge, heading along +x."""
    spec = mujoco.MjSpec()
    spec.option.timestep = 1 / (FPS * SUBSTEPS)
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 10
    spec.worldbody.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[3, 3, 0.1])
    table = spec.worldbody.add_body(name="table", pos=[0.55, 0, TABLE_M / 2])
    table.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.35, 0.6, TABLE_M / 2])
    _add_object(spec, "can", mujoco.mjtGeom.mjGEOM_CYLINDER, (0.03, 0.05, 0), (0.45, 0.0, TABLE_M + 0.05))
    _add_object(spec, "box", mujoco.mjtGeom.mjGEOM_BOX, (0.02, 0.04, 0.06), (0.5, 0.2, TABLE_M + 0.06))
    _add_object(spec, "crate", mujoco.mjtGeom.mjGEOM_BOX, (0.1, 0.1, 0.05), (0.6, -0.3, TABLE_M + 0.05))
    mount(spec, load_embodiment("franka_panda"), Pose(position_m=(0, 0, TABLE_M), quat_wxyz=(1, 0, 0, 0)))
    return spec


def _add_object(spec: mujoco.MjSpec, name: str, kind: mujoco.mjtGeom, size: tuple[float, ...], position_m: tuple[float, ...]) -> None:
    body = spec.worldbody.add_body(name=name, pos=position_m)
    body.add_freejoint(name=name)
    body.add_geom(name=f"{name}_collision_0", type=kind, size=size, mass=0.2, condim=4, friction=[0.6, 0.005, 0.0001], group=3)


@pytest.fixture(scope="session")
def table_model() -> mujoco.MjModel:
    return build_table_spec().compile()


@pytest.fixture(scope="session")
def grasp_cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("grasps")


@pytest.fixture
def table_scene(table_model: mujoco.MjModel, grasp_cache_dir: Path) -> MotionScene:
    return build_motion_scene(table_model, load_embodiment("franka_panda"), "arm", fps=FPS, cache_dir=grasp_cache_dir)


@pytest.fixture
def start_qpos(table_model: mujoco.MjModel) -> np.ndarray:
    """Everything where it was built, the arm at its default, fingers open."""
    data = mujoco.MjData(table_model)
    for joint, value in zip(load_embodiment("panda").arms[0].joints, load_embodiment("panda").arms[0].default_qpos_rad, strict=True):
        data.joint(f"robot/{joint.name}").qpos[0] = value
    data.joint("robot/finger_joint1").qpos[0] = data.joint("robot/finger_joint2").qpos[0] = 0.04
    return data.qpos.copy()
