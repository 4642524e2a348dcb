"""What a planner gives to a controller: setpoints at the control rate, and what they are for."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.task.mishap import Provoked
from blueprint_pipeline.task.outcome import AGAIN, Phase
from blueprint_pipeline.twin.binding import ArmBinding

Widths = float | FloatArray
"""Openings at one moment: of one gripper, or of each (k,)."""
WidthPlan = Callable[[int], FloatArray]
"""From a number of frames to the opening in each of them: (T,) of one gripper, (T, k) of several."""


@dataclass(frozen=True, kw_only=True)
class MotionPlan:
    """Setpoints (T, nu) in the model's actuator order, one a frame, and the phases that cover [0, T) without a gap."""

    setpoints: FloatArray
    phases: tuple[Phase, ...]
    begins_try: bool = False
    """Whether a try begins with it: at taking an object, at a push, at a pull."""
    failed: str | None = None
    """What was seen to have failed before it, in words: with it the robot lets go and backs off, or tries again."""
    provoked: Provoked | None = None
    """What goes wrong in it on purpose; its frame counts from this plan's first."""

    def part(self, first: int, last: int | None = None) -> "MotionPlan":
        """Some successive phases of it, as a plan of its own."""
        phases = self.phases[first:last]
        start, end = phases[0].start_frame, phases[-1].end_frame
        moved = (Phase(name=phase.name, start_frame=phase.start_frame - start, end_frame=phase.end_frame - start) for phase in phases)
        return MotionPlan(setpoints=self.setpoints[start:end], phases=tuple(moved))

    def again(self) -> tuple[Phase, ...]:
        """Its phases by the names that they have in another try."""
        return tuple(phase.model_copy(update={"name": phase.name + AGAIN}) for phase in self.phases)


class SetpointBuilder:
    """Puts phases one after another: motions of arms, and openings of their grippers that it ramps within their speed.

    Args:
        arms: The arms that move: configurations hold the joints of one after the other, openings one entry an arm.
        fps: Setpoints a second.
        start: Controls (nu,) to begin with; everything but these arms and their grippers keeps them.
    """

    def __init__(self, *arms: ArmBinding, fps: int, start: FloatArray) -> None:
        self._arms = arms
        self._actuators = np.concatenate([arm.actuators for arm in arms])
        self._speeds_m_s = np.array([arm.arm.gripper.max_speed_m_s for arm in arms])
        self._fps = fps
        self._rest = start
        self._arm: FloatArray = start[self._actuators]
        self._widths = np.array([arm.command_m(start) for arm in arms])
        self._rows: list[FloatArray] = []
        self._phases: list[Phase] = []

    def move(self, name: str, arm_setpoints: FloatArray, widths_m: FloatArray, *, hold_s: float = 0.0) -> None:
        """Move the arms (T, n) with commanded openings (T,) or (T, k); then hold still."""
        hold = round(hold_s * self._fps)
        last = arm_setpoints[-1] if len(arm_setpoints) else self._arm
        openings = widths_m.reshape(len(widths_m), len(self._arms))
        held = openings[-1] if len(openings) else self._widths
        self._add(name, *(np.concatenate([rows, np.tile(end, (hold, 1))]) for rows, end in ((arm_setpoints, last), (openings, held))))

    def grip(self, name: str, *, width_m: Widths, speed_m_s: float, hold_s: float) -> None:
        """Open or close with still arms, then hold."""
        way_m = float(np.abs(width_m - self._widths).max())
        frames = max(1, int(np.ceil(way_m / speed_m_s * self._fps)) + round(hold_s * self._fps))
        self._add(name, np.tile(self._arm, (frames, 1)), self._ramp(frames, width_m, np.full(len(self._arms), speed_m_s)))

    def early(self, width_m: Widths) -> WidthPlan:
        """Openings of a motion that goes to ``width_m`` at once, as fast as the grippers can."""
        return lambda frames: self._ramp(frames, width_m, self._speeds_m_s).reshape(frames, *np.shape(width_m))

    def late(self, width_m: Widths) -> WidthPlan:
        """Openings of a motion that reaches ``width_m`` just at its end."""
        step, change = self._speeds_m_s / self._fps, width_m - self._widths

        def openings(frames: int) -> FloatArray:
            left = np.minimum(step * np.arange(frames - 1, -1, -1)[:, None], np.abs(change))
            return (width_m - np.sign(change) * left).reshape(frames, *np.shape(width_m))

        return openings

    def build(self) -> tuple[FloatArray, tuple[Phase, ...]]:
        """All setpoints (T, nu) and their phases."""
        return np.concatenate(self._rows), tuple(self._phases)

    @property
    def arm_end(self) -> FloatArray:
        """Where the arms are after the last phase, (n,)."""
        return self._arm

    def _ramp(self, frames: int, width_m: Widths, speeds_m_s: FloatArray) -> FloatArray:
        """Openings (frames, k) that go from the present ones to others as fast as these speeds allow."""
        change = width_m - self._widths
        gone = np.minimum(speeds_m_s / self._fps * np.arange(1, frames + 1)[:, None], np.abs(change))
        ramp: FloatArray = self._widths + np.sign(change) * gone
        return ramp

    def _add(self, name: str, arms: FloatArray, widths_m: FloatArray) -> None:
        """Add rows: configurations (T, n) and openings (T, k)."""
        if len(arms) == 0:
            return
        rows = np.tile(self._rest, (len(arms), 1))
        rows[:, self._actuators] = arms
        for arm, openings in zip(self._arms, widths_m.T, strict=True):
            rows[:, arm.gripper_actuator] = arm.arm.gripper.ctrl_at(openings)
        start = self._phases[-1].end_frame if self._phases else 0
        self._rows.append(rows)
        self._phases.append(Phase(name=name, start_frame=start, end_frame=start + len(arms)))
        self._arm, self._widths = arms[-1], widths_m[-1]
