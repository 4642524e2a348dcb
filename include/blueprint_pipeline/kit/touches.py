"""Who touches whom in a frame: pairs of names of bodies (``"bodyA|bodyB"``)."""

from collections.abc import Collection


def is_touched(frame: Collection[str], target: str, robot_prefix: str) -> bool:
    """Whether a body of the robot touches the target."""
    for pair in frame:
        first, second = pair.split("|")
        if (first == target and second.startswith(robot_prefix)) or (second == target and first.startswith(robot_prefix)):
            return True
    return False
