"""Where each arm lies in the vectors that describe a whole robot, and what their columns are called.

Vectors of joints (``robot_qpos``, ``robot_qvel``, ``robot_torque``, ``robot_command``) hold the joints of one arm after the
other, in the embodiment's order; vectors of grippers (``gripper_width_m``, ``gripper_command_m``) and of tools (``ee_pose``)
hold one entry an arm. A start configuration holds, arm after arm, the arm's joints and then its finger joints.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.robot.arm import Arm
from blueprint_pipeline.robot.embodiment import Embodiment


@dataclass(frozen=True, kw_only=True)
class ArmLayout:
    """One arm's share of the vectors."""

    arm: Arm
    index: int
    """In vectors with one entry an arm."""
    joints: slice
    """In vectors of joints."""
    start_joints: slice
    """Its joints in a start configuration."""
    start_fingers: slice
    """Its finger joints in a start configuration."""
    prefix: str
    """Stands before the names of its columns: ``left.`` on a robot with several arms, nothing on a robot with one."""

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names of its joints' columns, without unit."""
        return tuple(f"{self.prefix}{joint.name}" for joint in self.arm.joints)

    @property
    def gripper_name(self) -> str:
        """Name of its gripper's columns, without unit."""
        return f"{self.prefix}gripper"


def layout_of(embodiment: Embodiment) -> tuple[ArmLayout, ...]:
    """The layout of every arm, in the embodiment's order."""
    joints = [0, *accumulate(len(arm.joints) for arm in embodiment.arms)]
    starts = [0, *accumulate(len(arm.joints) + len(arm.gripper.fingers) for arm in embodiment.arms)]
    return tuple(
        ArmLayout(
            arm=arm,
            index=index,
            joints=slice(joints[index], joints[index + 1]),
            start_joints=slice(starts[index], starts[index] + len(arm.joints)),
            start_fingers=slice(starts[index] + len(arm.joints), starts[index + 1]),
            prefix=f"{arm.name}." if len(embodiment.arms) > 1 else "",
        )
        for index, arm in enumerate(embodiment.arms)
    )


def start_qpos(embodiment: Embodiment, joints_rad: FloatArray, widths_m: FloatArray | Sequence[float]) -> tuple[float, ...]:
    """A start configuration: the order of ``EpisodeSpec.robot_qpos``.

    Args:
        embodiment: The robot.
        joints_rad: All arms' joints (n_joints,).
        widths_m: Opening of every gripper (n_arms,).
    """
    values: list[float] = []
    for part, width_m in zip(layout_of(embodiment), widths_m, strict=True):
        values += [*joints_rad[part.joints].tolist(), *part.arm.gripper.joints_at(float(width_m)).tolist()]
    return tuple(values)


def home_joints(embodiment: Embodiment) -> FloatArray:
    """Where all arms' joints are while they have nothing to do, (n_joints,)."""
    return np.array([value for arm in embodiment.arms for value in arm.home_qpos_rad])


def open_widths(embodiment: Embodiment) -> FloatArray:
    """The widest opening of every gripper, (n_arms,)."""
    return np.array([arm.gripper.stroke_m for arm in embodiment.arms])


def home_qpos(embodiment: Embodiment) -> tuple[float, ...]:
    """The start configuration with every arm at rest and every gripper wide open."""
    return start_qpos(embodiment, home_joints(embodiment), open_widths(embodiment))
