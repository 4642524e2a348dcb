"""What a hand must do that pinches with thumb and index finger."""

import mujoco
import numpy as np
import pytest

from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.robot.embodiment import Embodiment
from blueprint_pipeline.robot.layout import home_qpos
from blueprint_pipeline.twin.binding import RobotBinding, bind_robot
from blueprint_pipeline.twin.mount import mount

Standing = tuple[mujoco.MjModel, mujoco.MjData, RobotBinding]


def stand(robot: Embodiment) -> Standing:
    """A robot as it is mounted before a support of 0.8 m, at home."""
    spec = mujoco.MjSpec()
    mount(spec, robot, Pose(position_m=(0, 0, 0.8), quat_wxyz=(1, 0, 0, 0)))
    model = spec.compile()
    data, binding = mujoco.MjData(model), bind_robot(model, robot)
    binding.place(data, home_qpos(robot))
    mujoco.mj_forward(model, data)
    return model, data, binding


def assert_pinch(standing: Standing, side: str, pads: list[str], *, thumb_faces: int, aside_m: float, lean_deg: float) -> None:
    """At every opening of the table the pads are as far apart as it says, to half a millimetre, and face each other.

    Args:
        standing: The robot; its fingers are moved.
        side: ``left`` or ``right``.
        pads: Geoms of thumb and index finger.
        thumb_faces: 1 where the second axis of the thumb's pad points along that of the tool, -1 where it points against it.
        aside_m: How far their middle may be from the axis of approach.
        lean_deg: By how much each may lean from facing the other.
    """
    model, data, robot = standing
    arm = robot.arms[("left", "right").index(side)]
    gripper, geoms = arm.arm.gripper, [model.geom(pad).id for pad in pads]
    for width_m in gripper.openings_m:
        data.qpos[arm.finger_qpos] = gripper.joints_at(width_m)
        mujoco.mj_kinematics(model, data)
        assert mujoco.mj_geomDistance(model, data, *geoms, 1.0, None) == pytest.approx(width_m, abs=5e-4)
        rotation = data.site_xmat[arm.tool_site].reshape(3, 3)
        middle_m = rotation.T @ (data.geom_xpos[geoms].mean(axis=0) - data.site_xpos[arm.tool_site])
        assert np.abs(middle_m[:2]).max() < aside_m
        assert middle_m[2] == pytest.approx(float(gripper.advance_at(width_m)), abs=5e-4)
        thumb, index = (data.geom_xmat[geom].reshape(3, 3)[:, 1] @ rotation[:, 1] for geom in geoms)
        assert min(thumb_faces * thumb, -thumb_faces * index) > np.cos(np.radians(lean_deg))
