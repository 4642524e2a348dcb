"""All that is asked of Isaac Sim, in its own conventions: SI units, radians, ``float32``, quaternions **xyzw**, joints in its own order.

:class:`IsaacApi` is small on purpose: ``api.KitApi`` does it with Isaac Sim, ``session.ReplayedApi`` from a recorded session.
Shapes: D joints of the articulation, M movable objects, L links that are read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from blueprint_pipeline.geometry.arrays import ImageArray

Float32Array = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class StageBinding:
    """What of an opened stage is addressed."""

    articulation: str
    """Path of the prim with the articulation root."""
    objects: tuple[str, ...]
    """Paths of the movable objects' prims: read and written."""
    links: tuple[str, ...]
    """Paths of the robot's links whose poses are read."""
    timestep_s: float


@dataclass(frozen=True, kw_only=True)
class Readout:
    """The present state."""

    dof_positions: Float32Array
    """(D,) [rad, m]."""
    dof_velocities: Float32Array
    """(D,) [rad/s, m/s]."""
    dof_efforts: Float32Array
    """(D,): force along each joint in the last step [N m, N]."""
    object_transforms: Float32Array
    """(M, 7): xyz [m] and quat xyzw."""
    object_velocities: Float32Array
    """(M, 6): linear [m/s], angular [rad/s]."""
    link_transforms: Float32Array
    """(L, 7): xyz [m] and quat xyzw."""


@dataclass(frozen=True, kw_only=True)
class Placement:
    """A state to set."""

    dof_positions: Float32Array
    dof_velocities: Float32Array
    dof_targets: Float32Array
    """(D,): what the drives hold."""
    object_transforms: Float32Array
    object_velocities: Float32Array


@dataclass(frozen=True, kw_only=True)
class ContactPoint:
    """One point at which two actors touched in one physics step."""

    actors: tuple[str, str]
    """Paths of the rigid bodies' prims; of a collider that no body owns, its own."""
    normal_impulse_ns: float
    """Along the contact's normal, >= 0 [N s]."""
    separation_m: float
    """Negative where they overlap."""


@dataclass(frozen=True, kw_only=True)
class Shot:
    """A picture to take."""

    camera: str
    """Path of the camera's prim."""
    width: int
    height: int
    horizontal_aperture_mm: float
    """RTX takes the vertical field of view from this and the picture's sides, and ignores the vertical aperture."""


StepContacts = tuple[ContactPoint, ...]


Origin = Literal["isaac_sim", "stand_in"]
"""What answers: Isaac Sim itself, or another engine in its place, which proves our own handling and nothing of Isaac Sim."""


class IsaacApi(Protocol):
    """What Isaac Sim does for us. One process has one of it, kept for many scenes."""

    @property
    def version(self) -> str:
        """Of what answers, as it says itself."""
        ...

    @property
    def origin(self) -> Origin:
        """What answers; goes into every session and every proof."""
        ...

    def open_stage(self, path: Path, binding: StageBinding) -> tuple[str, ...]:
        """Open a stage, start its physics without stepping on, and return the names of the D joints in Isaac Sim's order."""
        ...

    def read(self) -> Readout:
        """The present state; changes nothing."""
        ...

    def place(self, placement: Placement) -> None:
        """Set the state."""
        ...

    def advance(self, targets: Float32Array) -> Sequence[StepContacts]:
        """Make one physics step for each row of drive targets (steps, D); returns each step's contacts."""
        ...

    def draw(self, shot: Shot) -> ImageArray:
        """The present state: (height, width, 3) RGB."""
        ...

    def close_stage(self) -> None:
        """Free the stage; another may be opened."""
        ...
