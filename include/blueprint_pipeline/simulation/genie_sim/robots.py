"""Which of our robots Genie Sim has, how their joints are called there, and how they stand.

What is particular to a robot lies in its folder, beside its record: ``genie_sim.yaml``.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.spatial.transform import Rotation

from blueprint_pipeline.config_file import ConfigFileInvalid, load_config
from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.geometry.pose import Pose, vector3
from blueprint_pipeline.robot.names import RECORDS
from blueprint_pipeline.robot.placement import RobotPlacement
from blueprint_pipeline.simulation.genie_sim.errors import RobotCannotStand, RobotUnknown

RECORD = "genie_sim.yaml"


class GenieRobotInvalid(ConfigFileInvalid):
    """What is said of a robot in Genie Sim cannot be used."""

    code = "simulation.genie_sim_robot_invalid"


class LowerBody(FrozenModel):
    """Ankle, knee and hip that carry the trunk, in one plane; the trunk keeps its lean."""

    joints: tuple[str, str, str]
    """Ankle, knee and hip, each about y."""
    foot_m: tuple[float, float]
    """Of the ankle in the robot's base, x and z [m]."""
    shin_m: float
    thigh_m: float
    lean_rad: float
    """Of the trunk, forward, in the twin."""
    trunk_below_base_m: float
    """How far the hip's joint lies below the twin's base."""
    ankle_lowest_rad: float
    knee_highest_rad: float
    hip_lowest_rad: float


class Fingers(FrozenModel):
    """A gripper as the server moves it: open or closed, by the speed of two finger joints."""

    is_right: bool
    outer: str
    inner: str
    """Turns as far as ``outer``, the other way."""
    open_rad: float
    """Of ``outer`` where the gripper is wide open; 0 where it is closed. In between the opening is taken to follow the angle in proportion,
    for the linkage that the two turn is not in the maker's table of joints."""


class GenieRobot(FrozenModel):
    """``genie_sim.yaml`` of a robot."""

    schema_version: Literal["1.0"]
    cfg_file: str
    """Of the server, in its folder ``config/robot_cfg``."""
    prim_path: str
    lower_body: LowerBody
    fingers: dict[str, Fingers]
    """By the name of the arm."""


def genie_robot_names() -> tuple[str, ...]:
    """Names of our robots that Genie Sim has, sorted."""
    return tuple(sorted(path.parent.name for path in RECORDS.glob(f"*/{RECORD}")))


def genie_robot(name: str) -> GenieRobot:
    """The server's robot for a record of ours.

    Raises:
        RobotUnknown: There is none.
        GenieRobotInvalid: Its file cannot be used.
    """
    if name not in genie_robot_names():
        raise RobotUnknown(name, genie_robot_names())
    return _load(RECORDS / name / RECORD)


@cache
def _load(path: Path) -> GenieRobot:
    return load_config(path, GenieRobot, GenieRobotInvalid)


@dataclass(frozen=True, kw_only=True)
class Stance:
    """Where the robot's base stands, and how its lower body is bent so that the trunk is where the twin has it."""

    base_pose: Pose
    joints_rad: Mapping[str, float]


def stance_of(robot: GenieRobot, placement: RobotPlacement) -> Stance:
    """Bend ankle, knee and hip so that the hip is where the plan has it.

    Raises:
        RobotCannotStand: It is too high or too low, or the robot would stand on something, or lean.
    """
    body, base = robot.lower_body, placement.base_pose
    turn = Rotation.from_quat(base.quat_wxyz, scalar_first=True)
    up = turn.apply([0.0, 0.0, 1.0])

    def refuse(problem: str) -> RobotCannotStand:
        return RobotCannotStand(placement.embodiment, base.position_m[2], placement.foot_m, problem)

    if placement.foot_m != 0.0:
        raise refuse("it stands on its wheels, on the floor")
    if not math.isclose(up[2], 1.0, abs_tol=1e-9):
        raise refuse("its base leans")
    ankle, knee, hip = _bend(body, base.position_m[2] - body.trunk_below_base_m - body.foot_m[1], refuse)
    ahead_m = body.foot_m[0] + body.shin_m * math.sin(ankle) + body.thigh_m * math.sin(ankle + knee)
    foot = np.array(base.position_m) - turn.apply([ahead_m, 0.0, 0.0])
    pose = Pose(position_m=vector3((foot[0], foot[1], 0.0)), quat_wxyz=base.quat_wxyz)
    return Stance(base_pose=pose, joints_rad=dict(zip(body.joints, (ankle, knee, hip), strict=True)))


def _bend(body: LowerBody, height_m: float, refuse: Callable[[str], RobotCannotStand]) -> tuple[float, float, float]:
    """Ankle, knee and hip [rad] that carry the hip so far above the ankle: over it, where the ankle's limit lets it be there.

    Source: law of cosines in the triangle of shin, thigh and the upright between ankle and hip.
    """
    shin, thigh = body.shin_m, body.thigh_m
    lean = (shin**2 + height_m**2 - thigh**2) / (2 * shin * height_m) if height_m > 0 else math.inf
    if lean > 1.0:
        raise refuse(f"its legs reach {shin + thigh:.3f} m, {height_m:.3f} m are wanted")
    ankle = max(-math.acos(lean), body.ankle_lowest_rad)
    upright = (height_m - shin * math.cos(ankle)) / thigh
    if abs(upright) > 1.0:
        raise refuse(f"its legs do not fold to {height_m:.3f} m")
    thigh_rad = math.acos(upright)
    knee, hip = thigh_rad - ankle, body.lean_rad - thigh_rad
    if knee > body.knee_highest_rad or hip < body.hip_lowest_rad:
        raise refuse(f"knee and hip would have to bend by {knee:.2f} and {hip:.2f} rad, beyond their limits")
    return ankle, knee, hip
