"""The scene on which a simulator is checked: a block on a plinth, right between the robot's open fingers.

It is built around the robot's own default pose, so no planner is needed to grasp: closing the fingers and turning one
joint must lift the block.
"""

from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Pose, Vector3
from blueprint_pipeline.robot.arm import Arm
from blueprint_pipeline.robot.embodiment import Embodiment
from blueprint_pipeline.robot.layout import home_qpos
from blueprint_pipeline.robot.placement import RobotPlacement
from blueprint_pipeline.twin.binding import bind_robot
from blueprint_pipeline.twin.mount import mount

BLOCK = "block"
BLOCK_MASS_KG = 0.1
_HALF_M = 0.02
_PLINTH_HALF_M = 0.03
_CAMERA_M = 0.5
_FOVY_DEG = 60.0
_ALONG_X = 1e-3
"""Fingers with less of their line on the y axis close along x."""
_LIFTS_M_RAD = 0.2
"""How fast a joint that lifts raises the tool."""

_XML = """
<mujoco model="conformance">
  <compiler angle="radian"/>
  <option timestep="{timestep}" integrator="implicitfast" cone="elliptic" impratio="10" gravity="0 0 -9.81"/>
  <statistic extent="2" center="{x} {y} {z}"/>
  <visual><headlight ambient="0.4 0.4 0.4" diffuse="0.6 0.6 0.6"/></visual>
  <worldbody>
    <light pos="0 0 3" dir="0 0 -1" castshadow="false"/>
    <geom name="floor" type="plane" size="3 3 0.1" rgba="0.6 0.6 0.55 1" condim="4" friction="0.8 0.01 0.0001"/>
    <camera name="scene" pos="{camera_x} {y} {z}" xyaxes="0 1 0 0 0 1" fovy="{fovy}"/>
    <body name="plinth" pos="{x} {y} {plinth_z}">
      <geom name="plinth_collision_0" type="box" size="{plinth} {plinth} {plinth_half}" condim="4"
            friction="0.8 0.01 0.0001" rgba="0.3 0.4 0.3 1"/>
    </body>
    <body name="block" pos="{x} {y} {z}">
      <freejoint name="block"/>
      <inertial pos="0 0 0" mass="{mass}" diaginertia="3e-5 3e-5 3e-5"/>
      <geom name="block_collision_0" type="box" size="{half} {half} {half}" condim="4"
            friction="0.8 0.01 0.0001" rgba="0.8 0.2 0.1 1"/>
    </body>
  </worldbody>
</mujoco>
"""


@dataclass(frozen=True, kw_only=True)
class ConformanceScene:
    """Where the scene lies, and where its block stands."""

    folder: Path
    """The scene's folder, with ``mjcf/scene.xml`` and ``usd/scene.usda`` in it."""
    placement: RobotPlacement
    block_pose: Pose
    """Between the pads, and turned so that they meet two of its sides."""
    arm: str
    """Name of the arm whose fingers stand around the block."""
    lift_joint: int
    """Which of the arm's joints lifts the tool."""
    lift_sense: float
    """1: upwards as the joint's position grows; -1: as it falls."""


def write_conformance_scene(folder: Path, embodiment: Embodiment, timestep_s: float = 1 / 480) -> ConformanceScene:
    """Write the scene for a robot whose first arm points its gripper down in its default pose."""
    arm = embodiment.arms[0]
    base = Pose(position_m=(0.0, 0.0, float(embodiment.base_height_m or 0.0)), quat_wxyz=(1.0, 0.0, 0.0, 0.0))
    tool, yaw_rad, jacobian = _default_tool(embodiment, arm, base)
    lift_joint = int(np.argmax(np.abs(jacobian[2]) >= _LIFTS_M_RAD))
    x, y, z = (round(float(value), 5) for value in tool)
    plinth_top = z - _HALF_M
    text = _XML.format(
        timestep=repr(timestep_s),
        x=x,
        y=y,
        z=z,
        camera_x=x + _CAMERA_M,
        fovy=_FOVY_DEG,
        plinth=_PLINTH_HALF_M,
        plinth_z=plinth_top / 2,
        plinth_half=plinth_top / 2,
        half=_HALF_M,
        mass=BLOCK_MASS_KG,
    )
    path = folder / "mjcf" / "scene.xml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    _write_stage(folder / "usd" / "scene.usda", (x, y, z))
    return ConformanceScene(
        folder=folder,
        placement=RobotPlacement(embodiment=embodiment.name, base_pose=base),
        block_pose=Pose(position_m=(x, y, z), quat_wxyz=(float(np.cos(yaw_rad / 2)), 0.0, 0.0, float(np.sin(yaw_rad / 2)))),
        arm=arm.name,
        lift_joint=lift_joint,
        lift_sense=float(np.sign(jacobian[2, lift_joint])),
    )


def _write_stage(path: Path, block: Vector3) -> None:
    from blueprint_pipeline.simulation.conformance_stage import build_conformance_stage  # noqa: PLC0415 -- Isaac Sim has pxr once it runs

    x, y, z = block
    text = build_conformance_stage(
        block=block,
        block_half_m=_HALF_M,
        block_mass_kg=BLOCK_MASS_KG,
        plinth_half_m=_PLINTH_HALF_M,
        # As in the MJCF: right is +y, up is +z, so it looks along -x.
        camera=Pose(position_m=(x + _CAMERA_M, y, z), quat_wxyz=(0.5, 0.5, 0.5, 0.5)),
        fovy_deg=_FOVY_DEG,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _default_tool(embodiment: Embodiment, arm: Arm, base: Pose) -> tuple[FloatArray, float, FloatArray]:
    """The tool with the robot at home.

    Returns:
        Where it is (3,); the angle from the y axis to the line on which its fingers close, a quarter turn at most [rad]; and how it moves
        with each of the arm's joints (3, n).
    """
    spec = mujoco.MjSpec()
    mount(spec, embodiment, base)
    model = spec.compile()
    data = mujoco.MjData(model)
    robot = bind_robot(model, embodiment)
    robot.place(data, home_qpos(embodiment))
    mujoco.mj_forward(model, data)
    acting, jacobian = robot.arms[embodiment.arm_index(arm.name)], np.zeros((3, model.nv))
    mujoco.mj_jacSite(model, data, jacobian, None, acting.tool_site)
    closing = data.site_xmat[acting.tool_site].reshape(3, 3)[:, 1]
    yaw_rad = round(float(np.arctan(-closing[0] / closing[1])), 2) if abs(closing[1]) > _ALONG_X else np.pi / 2
    return data.site_xpos[acting.tool_site].copy(), yaw_rad, jacobian[:, acting.dofs]
