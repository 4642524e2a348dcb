"""The servos of a robot's MJCF as drives of single joints, as a USD articulation has them.

Source: MuJoCo documentation, "Actuation model" (affine bias: kp, kv).
"""

import math
from dataclasses import dataclass

import mujoco

from blueprint_pipeline.robot.embodiment import Embodiment
from blueprint_pipeline.robot.errors import BrokenEmbodiment
from blueprint_pipeline.robot.gripper import FingerJoint, Gripper
from blueprint_pipeline.robot.names import ROBOT_PREFIX


@dataclass(frozen=True, kw_only=True)
class JointDrive:
    """How one joint is driven, SI: F = stiffness (target - q) - damping dq, at most ``max_force``."""

    stiffness: float
    """[N m/rad, N/m]."""
    damping: float
    """[N m s/rad, N s/m]."""
    max_force: float
    """[N m, N]."""


def drives_of(model: mujoco.MjModel, embodiment: Embodiment) -> dict[str, JointDrive]:
    """The drive of every joint that an actuator moves, by the joint's name without prefix.

    A gripper's one actuator becomes one drive a finger joint (:func:`_finger_drive`). The fingers are then not coupled, as they
    are in the twin.

    Raises:
        BrokenEmbodiment: An actuator is no position servo.
    """
    drives: dict[str, JointDrive] = {}
    for arm in embodiment.arms:
        for joint in arm.joints:
            drives[joint.name] = _drive(model, embodiment, joint.actuator, joint.name, share=1.0, scale=1.0)
        for finger in arm.gripper.fingers:
            drives[finger.name] = _finger_drive(model, embodiment, arm.gripper, finger)
    return drives


def _finger_drive(model: mujoco.MjModel, embodiment: Embodiment, gripper: Gripper, joint: FingerJoint) -> JointDrive:
    """What a gripper's actuator, which holds its own length s = sum(c_i q_i), does to one finger joint.

    With all joints off by the same share of their travel, the servo's error is the length's travel over the joint's, dq_s / dq, times the
    joint's own: the joint feels c kp (dq_s / dq). A joint that the actuator does not reach is carried by a linkage: it gets the drive of
    the hardest-driven joint, so that the fingers keep their shape.
    """
    coefficients = _transmission(model, gripper)
    travel = {item.name: item.positions[-1] - item.positions[0] for item in gripper.fingers}
    length = sum(coefficient * travel[name] for name, coefficient in coefficients.items())
    name = joint.name if joint.name in coefficients else max(coefficients, key=lambda key: abs(coefficients[key]))
    share = coefficients[name]
    return _drive(model, embodiment, gripper.actuator, joint.name, share=abs(share), scale=abs(length / travel[name]))


def _transmission(model: mujoco.MjModel, gripper: Gripper) -> dict[str, float]:
    """What each finger joint adds to the length that the gripper's actuator holds, by the joint's name without prefix."""
    row = model.actuator(ROBOT_PREFIX + gripper.actuator)
    target = int(row.trnid[0])
    if int(row.trntype[0]) == mujoco.mjtTrn.mjTRN_JOINT:
        return {model.joint(target).name.removeprefix(ROBOT_PREFIX): 1.0}
    wraps = range(int(model.tendon_adr[target]), int(model.tendon_adr[target] + model.tendon_num[target]))
    return {model.joint(int(model.wrap_objid[wrap])).name.removeprefix(ROBOT_PREFIX): float(model.wrap_prm[wrap]) for wrap in wraps}


def _drive(model: mujoco.MjModel, embodiment: Embodiment, actuator: str, joint: str, *, share: float, scale: float) -> JointDrive:
    """The servo at one joint: ``share`` of the actuator's force reaches it, ``scale`` is the actuator's travel over the joint's."""
    row = model.actuator(ROBOT_PREFIX + actuator)
    gain, bias = float(row.gainprm[0]), row.biasprm
    if not math.isclose(gain, -float(bias[1])) or gain <= 0.0:
        raise BrokenEmbodiment(embodiment.name, "position servo", actuator, [])
    passive = float(model.joint(ROBOT_PREFIX + joint).damping[0])
    factor = share * scale
    return JointDrive(stiffness=gain * factor, damping=-float(bias[2]) * factor + passive, max_force=float(row.forcerange[1]) * share)
