"""Robots as data: one record and one folder a robot, one or more arms, each with its gripper.

A record (``<name>/embodiment.yaml``) names joints, actuators, bodies and sites as they stand in the robot's own MJCF,
without the prefix that mounting adds. SI units.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import yaml
from pydantic import Field, model_validator

from blueprint_pipeline.errors import ConfigurationError, InputError
from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Vector3
from blueprint_pipeline.robot.arm import Arm
from blueprint_pipeline.robot.names import RECORD, RECORDS


class UnsupportedRobot(InputError):
    """The robot is known, but cannot act here."""

    code = "robot.unsupported"
    template = "The robot '{name}' is not supported: {reason}. {advice}"

    name: str
    reason: str
    stand_in: str | None
    supported: Sequence[str]

    @property
    def advice(self) -> str:
        """What can be asked for instead."""
        choice = f"Choose one of: {', '.join(self.supported)}."
        if self.stand_in is None:
            return choice
        return f"{choice} The closest available robot is {self.stand_in}; its data are labelled {self.stand_in}, not {self.name}."


class UnknownRobot(InputError):
    """No embodiment of that name or alias."""

    code = "robot.unknown"
    template = "There is no robot '{name}'. Known robots: {available}."

    name: str
    available: Sequence[str]


class UnknownArm(ConfigurationError):
    """The robot has no arm of that name."""

    code = "robot.unknown_arm"
    template = "{robot} has no arm '{arm}'. Its arms: {available}."

    robot: str
    arm: str
    available: Sequence[str]


class CameraHousing(FrozenModel):
    """The box behind a camera's lens: it collides, so a camera is never where no camera could be."""

    half_size_m: Vector3
    """Along the image's right and up, and along the line of sight."""
    mass_kg: float = Field(gt=0)


class WristCamera(FrozenModel):
    """A camera fixed to the hand."""

    name: str
    body: str
    position_m: Vector3
    xyaxes: tuple[float, float, float, float, float, float]
    """The image's right and up, in the body's frame (MuJoCo's ``xyaxes``)."""
    fovy_deg: float = Field(gt=0, lt=180)
    housing: CameraHousing

    @property
    def rotation(self) -> FloatArray:
        """The camera in the body's frame (3, 3): x to the right, y up, looking along -z."""
        right, up = np.array(self.xyaxes[:3]), np.array(self.xyaxes[3:])
        return np.column_stack([right, up, np.cross(right, up)])


class Licence(FrozenModel):
    """Under which terms the model, or a part of it, is shipped."""

    spdx: str
    """One licence by its SPDX id."""
    source: str
    attribution_file: str


class Support(FrozenModel):
    """Whether the robot can act here."""

    status: Literal["supported", "unsupported"]
    reason: str | None = None
    """Why it cannot act, as the end of a sentence."""
    stand_in: str | None = None
    """The supported robot that is nearest in build. It acts under its own name."""

    @model_validator(mode="after")
    def _refusal_has_a_reason(self) -> "Support":
        if self.status == "unsupported" and not self.reason:
            raise ValueError("an unsupported robot needs a reason")
        return self


class Embodiment(FrozenModel):
    """A robot: what it is made of, what it can do, and where its model comes from."""

    schema_version: Literal["1.0"] = "1.0"
    name: str
    title: str
    aliases: tuple[str, ...] = ()
    support: Support
    licences: tuple[Licence, ...] = ()
    """All of them hold at once."""
    mjcf: str | None = None
    """File of the model, in the robot's folder."""
    base_body: str | None = None
    base_height_m: float | None = None
    """How high the base is best mounted over the floor where nothing else decides (0: a robot with its own stand)."""
    pedestal_half_size_m: float | None = None
    """Half the side of the box that carries the base, ``None`` where the robot stands by itself."""
    support_heights_m: tuple[float, float] | None = None
    """The lowest and the highest support at which it can work, where a lift of its own carries the base; ``None``: any."""
    arms: tuple[Arm, ...] = ()
    wrist_cameras: tuple[WristCamera, ...] = ()
    sources: tuple[str, ...]
    """Where the numbers come from."""

    @model_validator(mode="after")
    def _supported_robots_are_complete(self) -> "Embodiment":
        if self.support.status == "supported" and not (self.arms and self.mjcf and self.base_body and self.licences):
            raise ValueError("a supported robot needs arms, a model, a base body and a licence")
        names = [arm.name for arm in self.arms]
        if len(set(names)) != len(names):
            raise ValueError(f"two arms have one name: {', '.join(names)}")
        return self

    def arm(self, name: str) -> Arm:
        """One of its arms, by name.

        Raises:
            UnknownArm: It has no arm of that name.
        """
        return self.arms[self.arm_index(name)]

    def arm_index(self, name: str) -> int:
        """Where an arm stands in vectors with one entry an arm.

        Raises:
            UnknownArm: It has no arm of that name.
        """
        names = [arm.name for arm in self.arms]
        if name not in names:
            raise UnknownArm(self.name, name, names)
        return names.index(name)

    @property
    def mjcf_path(self) -> Path:
        """The model's file."""
        return RECORDS / self.name / str(self.mjcf)


def list_embodiments() -> tuple[Embodiment, ...]:
    """Every robot that can act, by name."""
    return tuple(record for record in _records().values() if record.support.status == "supported")


def list_records() -> tuple[Embodiment, ...]:
    """Every robot on record, by name, whether it can act or not."""
    return tuple(_records().values())


def arms_by_robot() -> dict[str, int]:
    """How many arms every robot has that can act."""
    return {record.name: len(record.arms) for record in list_embodiments()}


def load_embodiment(name: str) -> Embodiment:
    """A robot that can act, by name or alias.

    Raises:
        UnknownRobot: No record has that name.
        UnsupportedRobot: The robot is on record, and has no usable model.
    """
    wanted = name.strip().lower().replace("-", "_")
    for embodiment in _records().values():
        if wanted == embodiment.name or wanted in embodiment.aliases:
            if embodiment.support.status != "supported":
                supported = [record.name for record in list_embodiments()]
                raise UnsupportedRobot(embodiment.name, str(embodiment.support.reason), embodiment.support.stand_in, supported)
            return embodiment
    raise UnknownRobot(name, list(_records()))


@cache
def _records() -> dict[str, Embodiment]:
    found = [Embodiment.model_validate(yaml.safe_load(path.read_text(encoding="utf-8"))) for path in sorted(RECORDS.glob(f"*/{RECORD}"))]
    return {embodiment.name: embodiment for embodiment in found}
