"""Executes setpoints frame by frame on a server that runs by itself, and says what it saw at the end of each."""

from dataclasses import dataclass

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.simulation.genie_sim.errors import NotInStep
from blueprint_pipeline.simulation.genie_sim.hands import Hands
from blueprint_pipeline.simulation.genie_sim.reading import Reading
from blueprint_pipeline.simulation.genie_sim.session import Session
from blueprint_pipeline.simulation.isaac_sim.mapping import ramp

CALLS_BESIDE_OBJECTS = 3
"""In a frame, at least: one drive, joints, clock."""


@dataclass(frozen=True, kw_only=True)
class SeenFrame:
    """The end of one frame."""

    reading: Reading | None
    """``None``: nothing could be read then, for a hand was moving."""
    step: int
    """Of the clock, when joints were read; where nothing was, when they would have been."""
    late: int
    """Physics steps that the frame, and those before, took more than they should."""


@dataclass
class FrameRun:
    """One trajectory.

    Args:
        session: With the scene loaded.
        hands: Of the robot.
        substeps: Physics steps a frame.
        ctrl: The controls that hold now, (nu,).
    """

    session: Session
    hands: Hands
    substeps: int
    ctrl: FloatArray

    def execute(self, setpoints: FloatArray) -> list[SeenFrame]:
        """Execute setpoints (T, nu).

        Raises:
            NotInStep: The server made more steps than was asked of it, by half a frame.
        """
        self.session.look_at_clock()
        seen: list[SeenFrame] = []
        starts_at, objects = self.session.next_call, len(self.session.stage.object_paths)
        while len(seen) < len(setpoints):
            if self._move_hands(setpoints[len(seen)]):
                unseen = self._unseen(setpoints[len(seen) :], starts_at)
                starts_at += self.substeps * len(unseen)
                seen += unseen
                if len(seen) == len(setpoints):
                    break
                if starts_at + self.substeps - self.session.next_call < objects + CALLS_BESIDE_OBJECTS:
                    starts_at = self.session.next_call
            seen.append(self._frame(setpoints[len(seen)], starts_at))
            starts_at += self.substeps
        return seen

    def _move_hands(self, setpoint: FloatArray) -> bool:
        switches = self.hands.switches(self.ctrl, setpoint)
        for index, closed in switches:
            self.hands.tell(index, closed=closed)
        if switches:
            self.session.look_at_clock()
        return bool(switches)

    def _unseen(self, setpoints: FloatArray, starts_at: int) -> list[SeenFrame]:
        """The frames that went by while a hand moved: those in which the arms stand anyway."""
        found: list[SeenFrame] = []
        for setpoint in setpoints:
            end = starts_at + self.substeps * (len(found) + 1)
            if end >= self.session.next_call or not self.hands.arms_stand(self.ctrl, setpoint):
                break
            found.append(SeenFrame(reading=None, step=end, late=0))
            self.ctrl = setpoint.copy()
        return found

    def _frame(self, setpoint: FloatArray, starts_at: int) -> SeenFrame:
        """Drive on the way to a setpoint until the frame's last step, then look.

        A call that is worked on after step s acts on step s + 1: the last drive before the end holds the setpoint itself.
        """
        session, ends_at = self.session, starts_at + self.substeps
        way = ramp(self.ctrl, setpoint, self.substeps)
        while True:
            session.drive(way[min(max(session.next_call - starts_at, 0), self.substeps - 1)])
            if session.next_call >= ends_at:
                break
        self.ctrl = setpoint.copy()
        joints = session.joints()
        session.look_at_clock()
        step = session.next_call - 2
        late = step - ends_at
        if late > self.substeps // 2:
            raise NotInStep(late, self.substeps)
        reading = session.view.reading(joints, session.objects())
        return SeenFrame(reading=reading, step=step, late=late)
