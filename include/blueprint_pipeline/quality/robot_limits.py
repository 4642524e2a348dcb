"""The robot's limits as gates need them, from its embodiment record."""

import numpy as np

from blueprint_pipeline.quality.gates.case import RobotLimits
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.layout import layout_of
from blueprint_pipeline.robot.names import ROBOT_PREFIX


def load_robot_limits(embodiment: str) -> RobotLimits:
    """Limits of a robot by its name; joints of all arms, in the embodiment's order.

    Raises:
        UnknownRobot: No record has that name.
        UnsupportedRobot: The robot is on record, and has no usable model.
    """
    robot = load_embodiment(embodiment)
    joints = [joint for arm in robot.arms for joint in arm.joints]
    return RobotLimits(
        arms=tuple(arm.name for arm in robot.arms),
        joints=tuple(name for arm in layout_of(robot) for name in arm.joint_names),
        lower_rad=np.array([joint.lower_rad for joint in joints]),
        upper_rad=np.array([joint.upper_rad for joint in joints]),
        velocity_rad_s=np.array([joint.max_velocity_rad_s for joint in joints]),
        torque_nm=np.array([joint.max_torque_nm for joint in joints]),
        default_rad=np.array([value for arm in robot.arms for value in arm.default_qpos_rad]),
        inner=np.array([joint not in {arm.joints[0], arm.joints[-1]} for arm in robot.arms for joint in arm.joints]),
        finger_bodies=frozenset(f"{ROBOT_PREFIX}{body}" for arm in robot.arms for body in arm.gripper.finger_bodies),
    )
