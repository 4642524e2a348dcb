"""What conditions measure of who holds an object: by which of a robot's hands it is touched, frame by frame, with NumPy alone.

Each takes an observed motion; :mod:`.predicates` names them.
"""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .predicates import ObservedMotion


def measure_frames_in_hands(
    motion: "ObservedMotion", target: str, hands: Sequence[Collection[str]], held_by: Sequence[Collection[int]], above_m: float
) -> float:
    """In how many frames the target is in the air and touched by certain hands, and by no other.

    Args:
        motion: What was observed.
        target: The object.
        hands: The bodies of each hand.
        held_by: Sets of hands by their index, any of which counts; ``[]`` is no hand at all.
        above_m: From how far over its start it is in the air.
    """
    wanted = [frozenset(found) for found in held_by]
    return float(sum(found in wanted for found in _hands_in_air(motion, target, hands, above_m) if found is not None))


def measure_out_of_turn(
    motion: "ObservedMotion", target: str, hands: Sequence[Collection[str]], order: Sequence[Collection[int]], above_m: float
) -> float:
    """In how many frames the target is not held by those whose turn it is.

    From when it is in the air for the first time until the last, it is in every frame in the air and held by the hands of one turn and no
    others, and no turn comes back. Before, none but the hands of the first turn touch it; afterwards none but those of the last.

    Args:
        motion: What was observed.
        target: The object.
        hands: The bodies of each hand.
        order: Sets of hands by their index, turn by turn.
        above_m: From how far over its start it is in the air.
    """
    turns = [frozenset(turn) for turn in order]
    in_air = _hands_in_air(motion, target, hands, above_m)
    flight = [row for row, holders in enumerate(in_air) if holders is not None]
    first, last = (flight[0], flight[-1]) if flight else (len(in_air), len(in_air))
    reached, missed = 0, 0
    for row, frame in enumerate(motion.contacts[:-1]):
        touching = _hands_on(frame, target, hands)
        if not first <= row <= last:
            missed += not touching <= turns[0 if row < first else -1]
        elif in_air[row] is None or touching not in turns[reached:]:
            missed += 1
        else:
            reached = turns.index(touching, reached)
    return float(missed)


def _hands_in_air(motion: "ObservedMotion", target: str, hands: Sequence[Collection[str]], above_m: float) -> list[frozenset[int] | None]:
    """Of each frame the indices of the hands that touch the target; ``None`` where it is not in the air at the frame's start and end."""
    height = motion.target_poses[:, 2] - motion.target_poses[0, 2]
    in_air = np.minimum(height[:-1], height[1:]) > above_m
    return [_hands_on(frame, target, hands) if flies else None for frame, flies in zip(motion.contacts[:-1], in_air, strict=True)]


def _hands_on(frame: Collection[str], target: str, hands: Sequence[Collection[str]]) -> frozenset[int]:
    """Indices of the hands that touch the target."""
    return frozenset(index for index, bodies in enumerate(hands) if _is_touched_by(frame, target, bodies))


def _is_touched_by(frame: Collection[str], target: str, bodies: Collection[str]) -> bool:
    return any("|".join(sorted((target, body))) in frame for body in bodies)
