"""What can stand in the way of giving a robot something to do in a scene."""

from collections.abc import Mapping

from blueprint_pipeline.config_file import ConfigFileInvalid
from blueprint_pipeline.errors import InputError


class NothingToDo(InputError):
    """No movable object of the scene can be picked up and set down somewhere else."""

    code = "task.nothing_to_do"

    def __init__(self, scene_id: str, reasons: Mapping[str, str]) -> None:
        told = "; ".join(f"{name}: {reason}" for name, reason in sorted(reasons.items())) or "the scene has no movable object"
        super().__init__(
            f"Scene {scene_id} offers no pick-and-place task ({told}). Add objects that the gripper can hold, with free space beside them.",
            scene_id=scene_id,
            reasons=[f"{name}: {reason}" for name, reason in sorted(reasons.items())],
        )


class NoRoomForRobot(InputError):
    """The robot finds no place beside the support."""

    code = "task.no_room_for_robot"

    def __init__(self, robot: str, support: str, tried: int, walled: int) -> None:
        super().__init__(
            f"{robot} finds no free place beside '{support}': {tried} places reach an object, {walled} of them have a wall or furniture "
            "behind them, and in the others the robot touches something. Make room beside the support, or choose a smaller robot.",
            robot=robot,
            support=support,
            tried=tried,
            walled=walled,
        )


class PoseMissing(InputError):
    """An object of the twin has no settled pose, or the other way round."""

    code = "task.pose_missing"

    def __init__(self, path: str, missing: list[str], unknown: list[str]) -> None:
        super().__init__(
            f"{path} and the twin do not list the same movable objects: without a settled pose {missing or 'none'}, "
            f"not in the twin {unknown or 'none'}. Run assemble_scene and settle_scene again.",
            path=path,
            missing=missing,
            unknown=unknown,
        )


class InvalidAffordances(ConfigFileInvalid):
    """The rules of affordances cannot be read."""

    code = "task.invalid_affordances"
    advice = "Compare it with the file in the repository."
