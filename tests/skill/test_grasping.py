"""Where an object shall stand at the goal, however the hand turns it there."""

import numpy as np
import pytest

from blueprint_pipeline.geometry.transforms import apply, build_pose, turn_about_z
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.skill.grasping import RELEASE_HEIGHT_M, YAWS_RAD, GraspQuery, goal_pose

CENTER_M = np.array([0.06, -0.04, 0.03])


@pytest.mark.parametrize("yaw_rad", YAWS_RAD)
def test_an_object_with_its_origin_at_a_corner_keeps_its_middle_at_the_goal(
    table_scene: MotionScene, start_qpos: np.ndarray, yaw_rad: float
) -> None:
    """A scan's origin may lie anywhere: what turns about it would be set down beside the goal."""
    query = GraspQuery(
        scene=table_scene,
        qpos=start_qpos,
        target="can",
        support="table",
        goal_position_m=(0.5, -0.1, 0.7),
        center_object_m=tuple(CENTER_M.tolist()),
    )
    stands = build_pose(np.array([0.3, 0.2, 0.7]), turn_about_z(0.7)[:3, :3])
    expected = np.array([0.5, -0.1, 0.7 + RELEASE_HEIGHT_M]) + stands[:3, :3] @ CENTER_M
    assert apply(goal_pose(query, stands, yaw_rad), CENTER_M[None])[0] == pytest.approx(expected, abs=1e-9)
