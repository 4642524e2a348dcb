"""What a planner gives to a controller: setpoints at the control rate, and what they are for."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.task.outcome import Phase
from blueprint_pipeline.twin.binding import ArmBinding

WidthPlan = Callable[[int], FloatArray]
"""From a number of frames to the opening in each of them (T,)."""


@dataclass(frozen=True, kw_only=True)
class MotionPlan:
    """Setpoints (T, nu) in the model's actuator order, one a frame, and the phases that cover [0, T) without a gap."""

    setpoints: FloatArray
    phases: tuple[Phase, ...]


class SetpointBuilder:
    """Puts phases one after another: motions of one arm, and openings of its gripper that it ramps within its speed.

    Args:
        arm: The arm that moves.
        fps: Setpoints a second.
        start: Controls (nu,) to begin with; everything but this arm and its gripper keeps them.
    """

    def __init__(self, arm: ArmBinding, *, fps: int, start: FloatArray) -> None:
        self._binding = arm
        self._gripper = arm.arm.gripper
        self._fps = fps
        self._rest = start
        self._arm: FloatArray = start[arm.actuators]
        self._width = arm.command_m(start)
        self._rows: list[FloatArray] = []
        self._phases: list[Phase] = []

    def move(self, name: str, arm_setpoints: FloatArray, widths_m: FloatArray, *, hold_s: float = 0.0) -> None:
        """Move the arm (T, n) with commanded openings (T,); then hold still."""
        hold = round(hold_s * self._fps)
        last = arm_setpoints[-1] if len(arm_setpoints) else self._arm
        width = widths_m[-1] if len(widths_m) else self._width
        self._add(name, np.concatenate([arm_setpoints, np.tile(last, (hold, 1))]), np.concatenate([widths_m, np.full(hold, width)]))

    def grip(self, name: str, *, width_m: float, speed_m_s: float, hold_s: float) -> None:
        """Open or close with a still arm, then hold."""
        frames = int(np.ceil(abs(width_m - self._width) / speed_m_s * self._fps)) + round(hold_s * self._fps)
        self._add(name, np.tile(self._arm, (max(frames, 1), 1)), self._ramp(max(frames, 1), width_m, speed_m_s))

    def early(self, width_m: float) -> WidthPlan:
        """Openings of a motion that goes to ``width_m`` at once, as fast as the gripper can."""
        return lambda frames: self._ramp(frames, width_m, self._gripper.max_speed_m_s)

    def late(self, width_m: float) -> WidthPlan:
        """Openings of a motion that reaches ``width_m`` just at its end."""
        step, change = self._gripper.max_speed_m_s / self._fps, width_m - self._width
        return lambda frames: width_m - np.sign(change) * np.minimum(step * np.arange(frames - 1, -1, -1), abs(change))

    def build(self) -> tuple[FloatArray, tuple[Phase, ...]]:
        """All setpoints (T, nu) and their phases."""
        return np.concatenate(self._rows), tuple(self._phases)

    @property
    def arm_end(self) -> FloatArray:
        """Where the arm is after the last phase."""
        return self._arm

    def _ramp(self, frames: int, width_m: float, speed_m_s: float) -> FloatArray:
        change = width_m - self._width
        ramp: FloatArray = self._width + np.sign(change) * np.minimum(speed_m_s / self._fps * np.arange(1, frames + 1), abs(change))
        return ramp

    def _add(self, name: str, arm: FloatArray, widths_m: FloatArray) -> None:
        if len(arm) == 0:
            return
        rows = np.tile(self._rest, (len(arm), 1))
        rows[:, self._binding.actuators] = arm
        rows[:, self._binding.gripper_actuator] = self._gripper.ctrl_at(widths_m)
        start = self._phases[-1].end_frame if self._phases else 0
        self._rows.append(rows)
        self._phases.append(Phase(name=name, start_frame=start, end_frame=start + len(arm)))
        self._arm, self._width = arm[-1], float(widths_m[-1])
