"""A small simulator to serve: setpoints become positions, so that every call has a known answer."""

import threading
from pathlib import Path

import numpy as np
import pytest

from blueprint_pipeline.simulation.protocol import BodyContact, Capabilities, LoadedScene, SimulationState, SimulatorInfo, Track
from tests.sample_errors import BadInput


class PointSimulator:
    """Two actuators; ``qpos`` is the last setpoint. Remembers the threads that called it."""

    name = "point"
    version = "1.2"

    def __init__(self):
        self.threads = set()
        self.qpos = np.zeros(2)
        self.time_s = 0.0
        self.block = threading.Event()
        self.block.set()

    def capabilities(self):
        return Capabilities(deterministic=True, restores_state=True, renders=True, contacts=False, varies=True)

    def load(self, scene, robot, fps):
        if "missing" in str(scene):
            raise BadInput(f"no scene at {scene}")
        info = SimulatorInfo(name=self.name, version=self.version, timestep_s=1 / 480, substeps=round(480 / fps))
        return LoadedScene(
            info=info, model_sha256="0" * 64, fps=fps, object_ids=("can",), cameras=("scene",), actuators=(robot.embodiment, "gripper")
        )

    def vary(self, variation):
        self.varied = variation

    def reset(self, object_poses, robot_qpos):
        self.time_s, self.qpos = 0.0, np.array(robot_qpos, dtype=float)
        return self.observe()

    def track(self, setpoints):
        self.threads.add(threading.get_ident())
        self.block.wait(10)
        states = []
        for row in setpoints:
            self.qpos, self.time_s = np.array(row), self.time_s + 1 / 30
            states.append(self.observe())
        return Track(states=tuple(states), contacts=tuple((BodyContact(bodies="a|b", depth_m=0.001, force_n=2.0),) for _ in setpoints))

    def observe(self):
        self.threads.add(threading.get_ident())
        vector = self.qpos.copy()
        return SimulationState(
            time_s=self.time_s,
            qpos=vector,
            qvel=vector * 0,
            ctrl=vector,
            actuator_force=vector,
            robot_qpos=vector,
            robot_qvel=vector,
            robot_torque=vector,
            gripper_width_m=np.array([0.04]),
            gripper_command_m=np.array([0.08]),
            ee_pose=np.arange(7.0)[None],
            object_poses=np.arange(7.0)[None] / 3,
        )

    def save_state(self):
        return np.array([self.time_s, *self.qpos])

    def restore_state(self, state):
        self.time_s, self.qpos = float(state[0]), state[1:].copy()
        return self.observe()

    def render(self, camera, width, height):
        return np.arange(width * height * 3, dtype=np.uint64).astype(np.uint8).reshape(height, width, 3)

    def close(self):
        pass


@pytest.fixture
def simulator():
    return PointSimulator()


@pytest.fixture
def scene_path():
    return Path("/scenes/s1")
