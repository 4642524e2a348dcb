"""What conditions ask of hands: which bodies each has, and how they held the target."""

from collections.abc import Collection, Sequence

from blueprint_pipeline.kit.predicates import Condition
from blueprint_pipeline.robot.embodiment import Embodiment
from blueprint_pipeline.robot.names import ROBOT_PREFIX

IN_AIR_M = 0.02
"""From how far over its start an object is in the air: what still touches its support does not count as held."""
HELD_FRAMES = 6
"""For how long something is held at least (0.2 s at 30 Hz)."""
Hands = tuple[tuple[str, ...], ...]
"""The bodies of each hand."""


def hands_of(embodiment: Embodiment, arms: Sequence[str]) -> Hands:
    """Bodies of the hands of these arms, as contacts name them."""
    return tuple(tuple(f"{ROBOT_PREFIX}{body}" for body in embodiment.arm(name).gripper.hand_bodies) for name in arms)


def held_at_least(name: str, target: str, hands: Hands, held_by: Sequence[Collection[int]]) -> Condition:
    """Certain hands, and no other, held the target for :data:`HELD_FRAMES` in the air."""
    return _held(name, target, hands, held_by, float(HELD_FRAMES), at_least=True)


def held_never(name: str, target: str, hands: Hands, held_by: Sequence[Collection[int]]) -> Condition:
    """The target was in no frame in the air held by these hands alone; ``[]`` stands for no hand."""
    return _held(name, target, hands, held_by, 0.0, at_least=False)


def held_in_turn(name: str, target: str, hands: Hands, order: Sequence[Collection[int]]) -> Condition:
    """The target goes through the air from one set of hands to the next, each in its turn, and nobody else touches it at any time."""
    arguments = {"target": target, "hands": hands, "order": [list(turn) for turn in order], "above_m": IN_AIR_M}
    return Condition(name=name, measure="out_of_turn", arguments=arguments, limit=0.0, direction="at_most", unit="frames")


def _held(name: str, target: str, hands: Hands, held_by: Sequence[Collection[int]], limit: float, *, at_least: bool) -> Condition:
    arguments = {"target": target, "hands": hands, "held_by": [list(found) for found in held_by], "above_m": IN_AIR_M}
    return Condition(
        name=name,
        measure="frames_in_hands",
        arguments=arguments,
        limit=limit,
        direction="at_least" if at_least else "at_most",
        unit="frames",
    )


def undisturbed(target: str, support: str) -> Condition:
    """Neither the robot nor the target touches anything else, ever."""
    arguments = {"target": target, "support": support, "robot_prefix": ROBOT_PREFIX}
    return Condition(name="undisturbed", measure="other_touches", arguments=arguments, limit=0.0, direction="at_most", unit="frames")
