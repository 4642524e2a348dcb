"""What any simulator must do: load a scene, reset it, track a joint trajectory, report, draw, and give its state back.

Plans are made in the MJCF twin; a simulator only acts. World frame: z up, metres, radians; quaternions wxyz.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.geometry.arrays import FloatArray, ImageArray
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.robot.placement import RobotPlacement
from blueprint_pipeline.task.variation import Variation


class SimulatorInfo(FrozenModel):
    """What acted."""

    name: str
    version: str
    timestep_s: float
    substeps: int
    """Physics steps a frame."""


class Capabilities(FrozenModel):
    """What a simulator promises; the conformance suite asks for what is promised."""

    deterministic: bool
    """The same state and setpoints give the same states, bit by bit."""
    restores_state: bool
    """``restore_state`` brings back all that the next step depends on."""
    renders: bool
    contacts: bool
    """Contacts are sampled at every physics step, with depth and normal force; otherwise they are found by geometry at the end of each
    frame, and their force is not a number."""
    varies: bool
    """``vary`` changes lights, colours, camera, friction and masses."""
    efforts: bool = True
    """Torques of joints and forces of actuators are measured; otherwise they are not a number."""


@dataclass(frozen=True, kw_only=True)
class LoadedScene:
    """What was loaded, and how it is addressed."""

    info: SimulatorInfo
    model_sha256: str
    """Over the compiled model's source and its asset bytes."""
    fps: int
    object_ids: tuple[str, ...]
    """Movable objects, in the order of ``SimulationState.object_poses``."""
    cameras: tuple[str, ...]
    actuators: tuple[str, ...]
    """In the order of a setpoint's columns."""


@dataclass(frozen=True, kw_only=True)
class SimulationState:
    """One instant.

    ``qpos`` (nq,), ``qvel`` (nv,), ``ctrl`` (nu,) and ``actuator_force`` (nu,) are the backend's own vectors;
    ``robot_*`` (n_joints,) are all arms' joints [rad, rad/s, N m], ``gripper_*`` (n_arms,) the measured and the commanded opening of
    every gripper, ``ee_pose`` (n_arms, 7) the tool centre points in the world, all in the embodiment's order
    (:mod:`blueprint_pipeline.robot.layout`). ``object_poses`` (n_objects, 7). Poses are xyz [m] and quat wxyz.
    """

    time_s: float
    qpos: FloatArray
    qvel: FloatArray
    ctrl: FloatArray
    actuator_force: FloatArray
    robot_qpos: FloatArray
    robot_qvel: FloatArray
    robot_torque: FloatArray
    gripper_width_m: FloatArray
    gripper_command_m: FloatArray
    ee_pose: FloatArray
    object_poses: FloatArray


@dataclass(frozen=True, kw_only=True)
class BodyContact:
    """Two bodies that touched during a frame."""

    bodies: str
    """``"bodyA|bodyB"``, A before B by name."""
    depth_m: float
    """Largest penetration of any physics step of the frame, >= 0."""
    force_n: float
    """Largest sum of the normal forces between the two in any physics step of the frame; not a number where nobody measured it."""


@dataclass(frozen=True, kw_only=True)
class Track:
    """What happened while setpoints were tracked: one entry a frame."""

    states: tuple[SimulationState, ...]
    """State at the end of each frame."""
    contacts: tuple[tuple[BodyContact, ...], ...]
    """Contacts within each frame, ordered by ``bodies``."""


class Simulator(Protocol):
    """A physics engine that acts on a scene with one robot in it."""

    @property
    def name(self) -> str:
        """Short stable name, e.g. ``mujoco``."""
        ...

    @property
    def version(self) -> str:
        """Version of the engine."""
        ...

    def capabilities(self) -> Capabilities:
        """What this backend promises on this machine."""
        ...

    def load(self, scene: Path, robot: RobotPlacement, fps: int) -> LoadedScene:
        """Load the scene's folder with the robot in place; replaces what was loaded before."""
        ...

    def vary(self, variation: Variation) -> None:
        """From the next reset or restored state on, the scene differs from the loaded one as is said, and in nothing else.

        Raises:
            NotVaried: It is to differ, and this simulator cannot do that.
        """
        ...

    def reset(self, object_poses: Mapping[str, Pose], robot_qpos: tuple[float, ...]) -> SimulationState:
        """Put the robot and the objects where they start, at rest, at time 0. Objects that are not named stay as in the scene."""
        ...

    def track(self, setpoints: FloatArray) -> Track:
        """Execute setpoints (T, nu), one a frame, linearly interpolated from the one before at every physics step."""
        ...

    def observe(self) -> SimulationState:
        """The present state; changes nothing."""
        ...

    def save_state(self) -> FloatArray:
        """All that the next step depends on, as one vector."""
        ...

    def restore_state(self, state: FloatArray) -> SimulationState:
        """Go back to a saved state."""
        ...

    def render(self, camera: str, width: int, height: int) -> ImageArray:
        """Draw the present state: (height, width, 3) RGB."""
        ...

    def close(self) -> None:
        """Free everything; the simulator can be loaded again."""
        ...


@runtime_checkable
class RecordingSimulator(Protocol):
    """A simulator that records by itself more than it tells while it acts."""

    def begin_recording(self, name: str) -> None:
        """Record from now on; the present state is row 0 of an attempt.

        Args:
            name: Of the attempt, for people.
        """
        ...

    def end_recording(self, states: Sequence[SimulationState]) -> Track | None:
        """End the recording.

        Args:
            states: T + 1, as they were told: the start, and the end of every frame since. None: nothing moved, and it can be thrown away.

        Returns:
            The same T + 1 states and what touched in the T frames, as recorded; ``None`` where nothing was recorded.
        """
        ...
