"""An arm as data: its joints with the maker's limits, where it works well, and the gripper at its end.

``_rad`` fields hold metres where a joint slides.
"""

from typing import Literal

from pydantic import Field, model_validator

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.robot.gripper import Gripper


class Joint(FrozenModel):
    """One joint of an arm, its actuator (a position servo: its command is the joint's position) and the maker's limits."""

    name: str
    actuator: str
    unit: Literal["rad", "m"] = "rad"
    """Of its position: it turns or it slides."""
    lower_rad: float
    upper_rad: float
    max_velocity_rad_s: float = Field(gt=0)
    max_acceleration_rad_s2: float = Field(gt=0)
    max_torque_nm: float = Field(gt=0)


class WorkingRadius(FrozenModel):
    """Horizontal distances at which the arm works well from above, at the height of its base."""

    center_m: tuple[float, float] = (0.0, 0.0)
    """Whence they are measured, in the base's frame: its axis, or below the shoulder of one of several arms."""
    nearest_m: float = Field(gt=0)
    best_m: float = Field(gt=0)
    farthest_m: float = Field(gt=0)

    @model_validator(mode="after")
    def _they_rise(self) -> "WorkingRadius":
        if not self.nearest_m <= self.best_m <= self.farthest_m:
            raise ValueError(f"nearest_m, best_m and farthest_m must rise, found {self.nearest_m}, {self.best_m}, {self.farthest_m}")
        return self


class Arm(FrozenModel):
    """A serial arm with a gripper at its end."""

    name: str
    """Stands before its joints' names in the columns of a robot with several arms."""
    joints: tuple[Joint, ...]
    default_qpos_rad: tuple[float, ...]
    """How it is held to work; solutions of inverse kinematics stay on its branch."""
    rest_qpos_rad: tuple[float, ...] | None = None
    """Where it is while it has nothing to do, on the same branch; ``None``: at its default."""
    limit_margin_rad: float = Field(gt=0)
    """What plans keep from the ends of every joint's range."""
    tcp_site: str
    """Tool centre point: +z is the approach direction, the fingers close along y."""
    gripper: Gripper
    reach_m: float = Field(gt=0)
    """From the base's axis to the tool centre point's farthest place."""
    working_radius: WorkingRadius
    shared_radius: WorkingRadius | None = None
    """The same while it holds an object together with another arm, on its own side of it: a hand that need not turn every way reaches
    farther. ``None``: :attr:`working_radius`."""
    max_payload_kg: float = Field(gt=0)

    @property
    def home_qpos_rad(self) -> tuple[float, ...]:
        """Where it is when an episode begins, and where it goes at the end."""
        return self.default_qpos_rad if self.rest_qpos_rad is None else self.rest_qpos_rad

    @property
    def radius_together(self) -> WorkingRadius:
        """Horizontal distances at which it works well together with another arm."""
        return self.working_radius if self.shared_radius is None else self.shared_radius

    @model_validator(mode="after")
    def _poses_lie_within_limits(self) -> "Arm":
        for name, pose in (("default", self.default_qpos_rad), ("rest", self.home_qpos_rad)):
            if len(pose) != len(self.joints):
                raise ValueError(f"{name}_qpos_rad has {len(pose)} values for {len(self.joints)} joints")
            for joint, value in zip(self.joints, pose, strict=True):
                lower, upper = joint.lower_rad + self.limit_margin_rad, joint.upper_rad - self.limit_margin_rad
                if not lower <= value <= upper:
                    raise ValueError(
                        f"{name} position {value} of {joint.name} is outside [{lower}, {upper}], its range less limit_margin_rad"
                    )
        return self
