"""Robots as data: one record and one folder a robot, one or more arms, each with its gripper.

A record (``<name>/embodiment.yaml``) names joints, actuators, bodies and sites as they stand in the robot's own MJCF,
without the prefix that mounting adds. SI units; ``_rad`` fields hold metres where a joint slides.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, model_validator

from blueprint_pipeline.errors import ConfigurationError
from blueprint_pipeline.frozen import FrozenModel

ROBOT_PREFIX = "robot/"
"""Stands before every name of the robot once it is mounted in a scene."""

_RECORDS = Path(__file__).parent
_RECORD = "embodiment.yaml"
Vector3 = tuple[float, float, float]


class UnsupportedRobot(ConfigurationError):
    """The robot is known, and it cannot act here."""

    code = "robot.unsupported"
    template = "The robot '{name}' is not supported: {reason}. Choose one of: {supported}."

    name: str
    reason: str
    supported: Sequence[str]


class UnknownRobot(ConfigurationError):
    """No embodiment of that name or alias."""

    code = "robot.unknown"
    template = "There is no robot '{name}'. Known robots: {available}."

    name: str
    available: Sequence[str]


class Joint(FrozenModel):
    """One joint of an arm, its actuator and the maker's limits."""

    name: str
    actuator: str
    lower_rad: float
    upper_rad: float
    max_velocity_rad_s: float = Field(gt=0)
    max_acceleration_rad_s2: float = Field(gt=0)
    max_jerk_rad_s3: float = Field(gt=0)
    max_torque_nm: float = Field(gt=0)


class FingerPad(FrozenModel):
    """The flat part of a finger that holds things, in the hand's frame (approach along +z, closing along y)."""

    width_m: float = Field(gt=0)
    """Along x."""
    height_m: float = Field(gt=0)
    """Along z; the tool centre point lies in the middle."""
    tip_below_tcp_m: float = Field(gt=0)
    """How far the finger reaches beyond the tool centre point."""
    finger_thickness_m: float = Field(gt=0)
    """Of a finger along y at its tip: what must fit beside the object."""
    clear_above_tcp_m: float = Field(gt=0)
    """From the tool centre point back to the palm: an object reaching higher between the fingers hits the hand."""


class Gripper(FrozenModel):
    """A gripper with two parallel fingers. Its command is the opening: ``ctrl = ctrl_closed + ctrl_per_m * width_m``."""

    kind: Literal["parallel"]
    joints: tuple[str, ...]
    actuator: str
    stroke_m: float = Field(gt=0)
    """Largest opening."""
    joint_per_width: tuple[float, ...]
    """Position of each joint per metre of opening."""
    ctrl_closed: float
    ctrl_per_m: float
    stiffness_n_per_m: float = Field(gt=0)
    """Force per metre between commanded and actual opening."""
    continuous_force_n: float = Field(gt=0)
    max_force_n: float = Field(gt=0)
    max_speed_m_s: float = Field(gt=0)
    """Of the opening (both fingers together)."""
    finger_bodies: tuple[str, ...]
    """Bodies that may touch what is grasped."""
    hand_bodies: tuple[str, ...]
    """All bodies of the end effector, fingers and palm."""
    pad: FingerPad

    def ctrl_of(self, width_m: float) -> float:
        """Actuator command for an opening."""
        return self.ctrl_closed + self.ctrl_per_m * width_m

    def width_of(self, ctrl: float) -> float:
        """Opening that an actuator command asks for."""
        return (ctrl - self.ctrl_closed) / self.ctrl_per_m


class Arm(FrozenModel):
    """A serial arm with a gripper at its end."""

    name: str
    joints: tuple[Joint, ...]
    default_qpos_rad: tuple[float, ...]
    tcp_site: str
    """Tool centre point: +z is the approach direction, the fingers close along y."""
    gripper: Gripper
    reach_m: float = Field(gt=0)
    """From the base's axis to the tool centre point's farthest place."""
    max_payload_kg: float = Field(gt=0)

    @model_validator(mode="after")
    def _default_lies_within_limits(self) -> "Arm":
        if len(self.default_qpos_rad) != len(self.joints):
            raise ValueError(f"default_qpos_rad has {len(self.default_qpos_rad)} values for {len(self.joints)} joints")
        for joint, value in zip(self.joints, self.default_qpos_rad, strict=True):
            if not joint.lower_rad <= value <= joint.upper_rad:
                raise ValueError(f"default position {value} of {joint.name} is outside [{joint.lower_rad}, {joint.upper_rad}]")
        return self


class WristCamera(FrozenModel):
    """A camera fixed to the hand."""

    name: str
    body: str
    position_m: Vector3
    xyaxes: tuple[float, float, float, float, float, float]
    """The image's right and up, in the body's frame (MuJoCo's ``xyaxes``)."""
    fovy_deg: float = Field(gt=0, lt=180)


class Licence(FrozenModel):
    """Under which terms the model is shipped."""

    spdx: str
    source: str
    attribution_file: str


class Support(FrozenModel):
    """Whether the robot can act here."""

    status: Literal["supported", "unsupported"]
    reason: str | None = None

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
    licence: Licence | None
    mjcf: str | None
    """File of the model, in the robot's folder."""
    base_body: str | None
    base_height_m: float | None
    """How high the base is best mounted over the floor where nothing else decides (0: a robot with its own stand)."""
    pedestal_half_size_m: float | None
    """Half the side of the box that carries the base, ``None`` where the robot stands by itself."""
    arms: tuple[Arm, ...]
    wrist_camera: WristCamera | None
    sources: tuple[str, ...]
    """Where the numbers come from."""

    @model_validator(mode="after")
    def _supported_robots_are_complete(self) -> "Embodiment":
        if self.support.status == "supported" and not (self.arms and self.mjcf and self.base_body and self.licence):
            raise ValueError("a supported robot needs arms, a model, a base body and a licence")
        return self

    @property
    def arm(self) -> Arm:
        """The first arm: the one that acts where one arm is enough."""
        return self.arms[0]

    @property
    def mjcf_path(self) -> Path:
        """The model's file."""
        return _RECORDS / self.name / str(self.mjcf)


def list_embodiments() -> tuple[Embodiment, ...]:
    """Every robot on record, supported or not, by name."""
    return tuple(_records().values())


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
                supported = [record.name for record in _records().values() if record.support.status == "supported"]
                raise UnsupportedRobot(embodiment.name, str(embodiment.support.reason), supported)
            return embodiment
    raise UnknownRobot(name, list(_records()))


@cache
def _records() -> dict[str, Embodiment]:
    found = [Embodiment.model_validate(yaml.safe_load(path.read_text(encoding="utf-8"))) for path in sorted(_RECORDS.glob(f"*/{_RECORD}"))]
    return {embodiment.name: embodiment for embodiment in found}
