"""A gripper as data: how its fingers, its actuator and the opening between its pads belong together.

A gripper of any build (sliding fingers, mirrored joints, a linkage behind one motor) is described by one table over its
openings: for each, the actuator's command and the position of every finger joint. All that converts between the three
reads that table.
"""

import numpy as np
from pydantic import Field, model_validator

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.kit.table import is_monotone, look_up

_FEWEST_ROWS = 2


class FingerPad(FrozenModel):
    """The flat part of a finger that holds things, in the frame of the tool centre point (approach along +z, closing along y)."""

    width_m: float = Field(gt=0)
    """Along x."""
    height_m: float = Field(gt=0)
    """Along z."""
    tip_below_pad_m: float = Field(gt=0)
    """How far the finger reaches beyond the pad's middle."""
    finger_thickness_m: float = Field(gt=0)
    """Of a finger along y at its tip: what must fit beside the object."""
    advance_m: tuple[float, ...]
    """At each opening of the gripper's table, how far the pad's middle lies beyond the tool centre point, along z."""


class Palm(FrozenModel):
    """A box around what follows behind the fingers, in the frame of the tool centre point, centred on its z axis."""

    half_x_m: float = Field(gt=0)
    half_y_m: float = Field(gt=0)
    depth_m: float = Field(gt=0)
    """Along z."""
    clear_above_tcp_m: float = Field(gt=0)
    """From the tool centre point back to the box: an object that reaches higher between the fingers hits it."""

    @property
    def radius_m(self) -> float:
        """Of the circle about the box, seen along z."""
        return float(np.hypot(self.half_x_m, self.half_y_m))


class FingerJoint(FrozenModel):
    """One joint of the fingers."""

    name: str
    positions: tuple[float, ...]
    """At each opening of the gripper's table [rad, m]."""
    measures: bool = True
    """Whether its position tells the opening; ``False``: a linkage moves it along, and it gives way."""


class Gripper(FrozenModel):
    """A gripper that closes two pads on what lies between them."""

    actuator: str
    openings_m: tuple[float, ...]
    """The table's openings between the pads, from closed to wide open, strictly rising."""
    ctrl: tuple[float, ...]
    """The actuator's command for each opening, strictly rising or falling."""
    fingers: tuple[FingerJoint, ...]
    squeeze_m: float = Field(gt=0)
    """How much narrower than the object an opening is commanded to hold it; the servo makes a force of it."""
    continuous_force_n: float = Field(gt=0)
    """With which each pad may press for any length of time."""
    max_force_n: float = Field(gt=0)
    max_speed_m_s: float = Field(gt=0)
    """Of the opening (both fingers together)."""
    finger_bodies: tuple[str, ...]
    """Bodies that may touch what is grasped."""
    hand_body: str
    """Body that carries the tool centre point."""
    hand_bodies: tuple[str, ...]
    """All bodies of the end effector, fingers and palm."""
    pad: FingerPad
    palm: Palm

    @model_validator(mode="after")
    def _table_is_whole(self) -> "Gripper":
        rows = len(self.openings_m)
        columns = {"ctrl": self.ctrl, "pad.advance_m": self.pad.advance_m} | {joint.name: joint.positions for joint in self.fingers}
        for name, values in columns.items():
            if len(values) != rows:
                raise ValueError(f"{name} has {len(values)} values for {rows} openings")
        if rows < _FEWEST_ROWS or self.openings_m[0] < 0 or self.openings_m[0] >= self.openings_m[-1]:
            raise ValueError("openings_m needs at least two openings, from closed to wide open")
        measuring = {joint.name: joint.positions for joint in self.fingers if joint.measures}
        for name, values in ({"openings_m": self.openings_m, "ctrl": self.ctrl} | measuring).items():
            if not is_monotone(values):
                raise ValueError(f"{name} neither strictly rises nor strictly falls, so it does not tell the opening")
        if not measuring:
            raise ValueError("no finger joint tells the opening")
        return self

    @property
    def stroke_m(self) -> float:
        """Largest opening."""
        return self.openings_m[-1]

    @property
    def joints(self) -> tuple[str, ...]:
        """Names of the finger joints, in the order of all vectors of finger joints."""
        return tuple(joint.name for joint in self.fingers)

    def ctrl_at(self, width_m: FloatArray | float) -> FloatArray:
        """The actuator's command for openings of any shape."""
        return look_up(width_m, self.openings_m, self.ctrl)

    def joints_at(self, width_m: FloatArray | float) -> FloatArray:
        """Positions of the finger joints at openings of any shape, (..., n_fingers)."""
        return np.stack([look_up(width_m, self.openings_m, joint.positions) for joint in self.fingers], axis=-1)

    def advance_at(self, width_m: FloatArray | float) -> FloatArray:
        """How far the pads' middle lies beyond the tool centre point at openings of any shape."""
        return look_up(width_m, self.openings_m, self.pad.advance_m)

    def width_from_ctrl(self, ctrl: FloatArray | float) -> FloatArray:
        """The opening that commands of any shape ask for."""
        return look_up(ctrl, self.ctrl, self.openings_m)

    def width_from_joints(self, positions: FloatArray) -> FloatArray:
        """The opening at positions of the finger joints (..., n_fingers): the mean of what each measuring joint tells."""
        told = [
            look_up(positions[..., index], joint.positions, self.openings_m) for index, joint in enumerate(self.fingers) if joint.measures
        ]
        mean: FloatArray = np.mean(told, axis=0)
        return mean
