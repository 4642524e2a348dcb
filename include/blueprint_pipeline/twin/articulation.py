"""The joints of a scene's own objects in a compiled model: drawers and doors, not those of a robot."""

from dataclasses import dataclass

import mujoco

from blueprint_pipeline.geometry.pose import Pose, vector3
from blueprint_pipeline.twin.body_names import is_part
from blueprint_pipeline.twin.joint_line import JointLine

_KINDS = (int(mujoco.mjtJoint.mjJNT_SLIDE), int(mujoco.mjtJoint.mjJNT_HINGE))


@dataclass(frozen=True, kw_only=True)
class PartJoint:
    """The joint of a part that moves, as the model has it."""

    name: str
    """``{object}/{joint}``."""
    part: str
    """The body that it moves: ``{object}/{part}``."""
    index: int
    qpos: int
    """Address in ``qpos``."""
    dof: int
    line: JointLine

    @property
    def column(self) -> str:
        """How its position is named, with its unit: ``cabinet/hinge.pos_rad``."""
        return f"{self.name}.pos_{self.line.unit}"


def find_joints(model: mujoco.MjModel) -> dict[str, PartJoint]:
    """The joint of every part that moves, by the part's name, in the model's order."""
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    found = {}
    for index in range(model.njnt):
        joint, body = model.joint(index), int(model.jnt_bodyid[index])
        part = model.body(body).name
        if int(model.jnt_type[index]) in _KINDS and is_part(part):
            low, high = (float(value) for value in model.jnt_range[index])
            found[part] = PartJoint(
                name=joint.name,
                part=part,
                index=index,
                qpos=int(model.jnt_qposadr[index]),
                dof=int(model.jnt_dofadr[index]),
                line=JointLine(
                    slides=int(model.jnt_type[index]) == mujoco.mjtJoint.mjJNT_SLIDE,
                    axis=vector3(data.xaxis[index]),
                    anchor_m=vector3(data.xanchor[index]),
                    limits=(low, high),
                    closed=Pose.of([*data.xpos[body], *data.xquat[body]]),
                ),
            )
    return found
