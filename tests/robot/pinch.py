"""What arms must do that mirror each other, and a hand that pinches with thumb and index finger."""

import mujoco
import numpy as np
import pytest

from blueprint_pipeline.geometry.arrays import FloatArray
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


def assert_mirrored(standing: Standing, signs: FloatArray) -> None:
    """Held to work, the second arm mirrors the first: its joints, what it reaches, its tool's place and approach; and nothing touches.

    Args:
        standing: The robot; its arms are moved.
        signs: Of the second arm's joints where both are held alike (n,).
    """
    model, data, robot = standing
    left, right = (arm.arm for arm in robot.arms)
    np.testing.assert_array_equal(right.default_qpos_rad, signs * left.default_qpos_rad)
    for ours, its in ((left.working_radius, right.working_radius), (left.radius_together, right.radius_together)):
        assert its == ours.model_copy(update={"center_m": (ours.center_m[0], -ours.center_m[1])})
    for arm in robot.arms:
        data.qpos[arm.qpos] = arm.arm.default_qpos_rad
    mujoco.mj_forward(model, data)
    assert data.ncon == 0
    (first, first_down), (second, second_down) = (
        (data.site_xpos[arm.tool_site], data.site_xmat[arm.tool_site].reshape(3, 3)[:, 2]) for arm in robot.arms
    )
    np.testing.assert_allclose(second, first * (1, -1, 1), atol=2e-4)
    np.testing.assert_allclose(second_down, first_down * (1, -1, 1), atol=2e-3)
    np.testing.assert_allclose(second_down, (0, 0, -1), atol=1e-2)


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
