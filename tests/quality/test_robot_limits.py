"""Gates take the robot's limits from its record."""

from blueprint_pipeline.quality.robot_limits import load_robot_limits


def test_the_panda_has_its_makers_limits_and_two_fingers():
    limits = load_robot_limits("franka_panda")
    assert limits.lower_rad.tolist() == [-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973]
    assert (limits.lower_rad < limits.upper_rad).all()
    assert limits.velocity_rad_s.max() == 2.61
    assert limits.torque_nm.min() == 12.0
    assert limits.finger_bodies == {"robot/left_finger", "robot/right_finger"}
