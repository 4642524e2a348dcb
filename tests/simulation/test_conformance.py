"""Tests of the conformance suite: the embedded backend passes, and every check catches a backend that breaks it."""

from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest

from blueprint_pipeline.geometry.arrays import FloatArray, ImageArray
from blueprint_pipeline.robot.placement import RobotPlacement
from blueprint_pipeline.simulation.conformance import CHECKS, check_simulator
from blueprint_pipeline.simulation.isaac_sim.backend import IsaacSimSimulator
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.simulation.protocol import BodyContact, LoadedScene, SimulationState, Track
from blueprint_pipeline.simulators import SIMULATORS
from blueprint_pipeline.twin.errors import ModelNotBuilt


class BrokenModel(MujocoSimulator):
    """Changes the compiled model behind the suite's back."""

    def change(self, model: mujoco.MjModel) -> None:
        raise NotImplementedError

    def load(self, scene: Path, robot: RobotPlacement, fps: int) -> LoadedScene:
        loaded = super().load(scene, robot, fps)
        self.change(self.model)
        return loaded


class NoCameras(MujocoSimulator):
    """Has lost the robot's camera."""

    def load(self, scene: Path, robot: RobotPlacement, fps: int) -> LoadedScene:
        return replace(super().load(scene, robot, fps), cameras=("scene",))


class Tilted(BrokenModel):
    """Has gravity that pulls sideways."""

    def change(self, model: mujoco.MjModel) -> None:
        model.opt.gravity[0] = 12.0


class SlowClock(MujocoSimulator):
    """Counts too little time."""

    def track(self, setpoints: FloatArray) -> Track:
        track = super().track(setpoints)
        return replace(track, states=tuple(replace(state, time_s=state.time_s * 0.99) for state in track.states))


class SaggingArm(BrokenModel):
    """Does not hold its setpoint."""

    def change(self, model: mujoco.MjModel) -> None:
        model.actuator_biasprm[:, 1] *= 1.05


class Numb(MujocoSimulator):
    """Feels no contacts."""

    def advance(self, setpoint: FloatArray) -> tuple[BodyContact, ...]:
        super().advance(setpoint)
        return ()


class StuckGripper(BrokenModel):
    """Cannot move its fingers."""

    def change(self, model: mujoco.MjModel) -> None:
        model.actuator_gainprm[-1, 0] = 0.0
        model.actuator_biasprm[-1] = 0.0


class Slippery(BrokenModel):
    """Has no friction."""

    def change(self, model: mujoco.MjModel) -> None:
        model.geom_friction[:] = 1e-4


class Noisy(MujocoSimulator):
    """Is never the same twice."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def advance(self, setpoint: FloatArray) -> tuple[BodyContact, ...]:
        self.calls += 1
        self.data.qvel[0] += 1e-12 * self.calls
        return super().advance(setpoint)


class Remembering(MujocoSimulator):
    """Does not forget at a reset."""

    def reset(self, object_poses, robot_qpos) -> SimulationState:
        time_s = self.data.time
        super().reset(object_poses, robot_qpos)
        self.data.qpos[0] += 1e-6 * time_s
        return self.observe()


class Blind(MujocoSimulator):
    """Draws black."""

    def render(self, camera: str, width: int, height: int) -> ImageArray:
        return np.zeros((height, width, 3), dtype=np.uint8)


class Unloadable(MujocoSimulator):
    """Cannot load."""

    def load(self, scene: Path, robot: RobotPlacement, fps: int) -> LoadedScene:
        raise ModelNotBuilt(str(scene), "no licence")


class Unvarying(MujocoSimulator):
    """Says that it varies a scene, and leaves it as it is."""

    def vary(self, variation):
        """Nothing."""


BROKEN = {
    "load": NoCameras,
    "settle": Tilted,
    "clock": SlowClock,
    "holds_pose": SaggingArm,
    "contacts": Numb,
    "varies": Unvarying,
    "gripper_closes": StuckGripper,
    "object_lifts": Slippery,
    "replays": Noisy,
    "resets": Remembering,
    "cameras": Blind,
}


def test_embedded_backend_passes_every_check() -> None:
    """All checks ran and passed, each with what it measured."""
    results = check_simulator(MujocoSimulator())
    assert [result.name for result in results] == list(CHECKS)
    assert [result.message for result in results if not result.passed] == []
    assert all(result.value is not None for result in results)


def test_every_check_has_a_backend_that_breaks_it() -> None:
    """No check is without a proof that it can fail."""
    assert set(BROKEN) == set(CHECKS)


@pytest.mark.parametrize("name", CHECKS)
def test_check_catches_a_backend_that_breaks_it(name: str) -> None:
    """The check named after the defect fails, and says so."""
    results = {result.name: result for result in check_simulator(BROKEN[name](), names=[name])}
    assert not results[name].passed
    assert results[name].message


def test_a_backend_that_only_weighs_what_is_varied_does_not_vary() -> None:
    """Half the light is asked for, too."""

    class Unlit(MujocoSimulator):
        def vary(self, variation):
            super().vary(variation.model_copy(update={"light_level": 1.0}))

    (found,) = check_simulator(Unlit(), names=["varies"])
    assert not found.passed
    assert "half the light" in found.message


def test_backend_that_cannot_load_fails_with_its_error() -> None:
    """The suite ends with one failed check that carries the typed error."""
    results = check_simulator(Unloadable())
    assert [(result.name, result.passed) for result in results] == [("load", False)]
    assert "simulation.model_not_built" in results[0].message


def test_rows_promise_to_vary_what_their_simulators_do() -> None:
    """A job is planned by the row, where no simulator can be asked."""
    assert SIMULATORS["mujoco"].varies == MujocoSimulator().capabilities().varies
    assert SIMULATORS["isaac_sim"].varies == IsaacSimSimulator(None).capabilities().varies
