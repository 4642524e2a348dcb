"""A robot with two arms before a table with a bar that both hands can hold."""

import mujoco
import numpy as np

from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.motion.scene import MotionScene, build_motion_scene
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.layout import home_qpos
from blueprint_pipeline.twin.binding import bind_robot
from blueprint_pipeline.twin.mount import mount

TABLE_M, FPS = 0.75, 30
BAR_M = (0.015, 0.2, 0.02)
"""Half its sides."""


def build_spec() -> mujoco.MjSpec:
    spec = mujoco.MjSpec()
    spec.option.timestep = 1 / (FPS * 16)
    spec.worldbody.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[3, 3, 0.1])
    table = spec.worldbody.add_body(name="table", pos=[0.7, 0, TABLE_M / 2])
    table.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.4, 0.7, TABLE_M / 2])
    bar = spec.worldbody.add_body(name="bar", pos=[0.45, 0.0, TABLE_M + BAR_M[2]])
    bar.add_freejoint(name="bar")
    bar.add_geom(name="bar_collision_0", type=mujoco.mjtGeom.mjGEOM_BOX, size=BAR_M, mass=0.4, group=3)
    mount(spec, load_embodiment("agibot_g2"), Pose(position_m=(0, 0, TABLE_M), quat_wxyz=(1, 0, 0, 0)))
    return spec


def build_scene(cache_dir) -> tuple[MotionScene, np.ndarray]:
    """The scene for both arms, and the whole state with everything where it was built."""
    model, robot = build_spec().compile(), load_embodiment("agibot_g2")
    data = mujoco.MjData(model)
    bind_robot(model, robot).place(data, home_qpos(robot))
    scene = build_motion_scene(model, robot, "left", fps=FPS, cache_dir=cache_dir).with_arms("left", "right")
    return scene, data.qpos.copy()
