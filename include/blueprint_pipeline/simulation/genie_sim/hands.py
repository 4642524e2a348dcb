"""Grippers as the server moves them: open or closed, and nothing in between.

Setpoints say an opening at every frame. A hand is closed where its opening narrows while its arm stands, as a grasp does, and opened where
it widens. An opening that narrows while the arm moves (fingers are set ready for what is to be grasped) cannot be had: the hand stays wide
open.
"""

from dataclasses import dataclass, field

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.simulation.genie_sim.session import Session
from blueprint_pipeline.twin.binding import ArmBinding

_STANDS_RAD = 1e-6
_NARROWER_M = 1e-5
_OPEN_M = 0.002
"""A start configuration with fingers so near to wide open has the hand open."""


@dataclass
class Hands:
    """What each hand was last told, and when a setpoint tells it otherwise."""

    session: Session
    closed: list[bool | None] = field(default_factory=list)
    """One an arm; ``None``: nobody knows."""

    def __post_init__(self) -> None:
        self.closed = [None] * len(self._arms)

    @property
    def _arms(self) -> tuple[ArmBinding, ...]:
        return self.session.view.twin.robot.arms

    def wanted(self, widths_m: FloatArray) -> list[bool]:
        """Whether each hand is closed in a start configuration with these openings."""
        return [width < arm.arm.gripper.stroke_m - _OPEN_M for arm, width in zip(self._arms, widths_m.tolist(), strict=True)]

    def tell(self, index: int, *, closed: bool) -> None:
        """Close or open a hand, and wait until its fingers stand. The steps that it takes are not counted: look at the clock."""
        if self.closed[index] != closed:
            fingers = self.session.robot.fingers[self._arms[index].arm.name]
            self.session.client.set_gripper(is_right=fingers.is_right, closed=closed)
            self.closed[index] = closed

    def switches(self, before: FloatArray, after: FloatArray) -> list[tuple[int, bool]]:
        """Which hands change from one control vector (nu,) to the next, and whether they close."""
        found = []
        for index, arm in enumerate(self._arms):
            narrower = arm.command_m(before) - arm.command_m(after)
            stands = bool(np.abs(after[arm.actuators] - before[arm.actuators]).max() < _STANDS_RAD)
            if narrower > _NARROWER_M and stands and self.closed[index] is not True:
                found.append((index, True))
            elif narrower < -_NARROWER_M and self.closed[index] is not False:
                found.append((index, False))
        return found

    def arms_stand(self, before: FloatArray, after: FloatArray) -> bool:
        """Whether no arm moves from one control vector to the next."""
        return all(np.abs(after[arm.actuators] - before[arm.actuators]).max() < _STANDS_RAD for arm in self._arms)
