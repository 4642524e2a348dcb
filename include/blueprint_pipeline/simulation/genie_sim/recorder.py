"""Lets the server record an attempt, and makes of its recording the attempt's states: positions, velocities and efforts as measured."""

import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.simulation.genie_sim.errors import RecordingMissing, RecordingUnusable
from blueprint_pipeline.simulation.genie_sim.reading import JointMotion, Reading, object_velocities
from blueprint_pipeline.simulation.genie_sim.recording import RESULT_FILE, Recording, load_recording
from blueprint_pipeline.simulation.genie_sim.session import Session
from blueprint_pipeline.simulation.genie_sim.stage import CLOCK_PATH
from blueprint_pipeline.simulation.protocol import SimulationState, Track

_WAIT_S = 600.0
"""For the recording to be extracted: the server itself gives an extraction some minutes."""
_POLL_S = 0.2
_LEAD_STEPS = 48
"""Before the first and after the last row: frames are recorded on both sides of them."""
_NEAR_RAD, _NEAR_M = 0.03, 0.01
"""Between what was read while the attempt ran and what was recorded of the same step: interpolation, and some steps between calls."""


@dataclass
class AttemptRecorder:
    """One attempt at a time.

    Args:
        session: With the scene loaded.
        folder: The server's ``recording_data``, as this process sees it.
        fps: Frames a second to record.
        physics_hz: Physics steps a second.
        wait_s: How long to wait for a recording.
    """

    session: Session
    folder: Path
    fps: int
    physics_hz: int
    wait_s: float = _WAIT_S
    task: str = ""
    steps: list[int] = field(default_factory=list)
    """Of every row of the attempt so far."""
    seen: list[Reading | None] = field(default_factory=list)
    """What was read then."""

    def begin(self, name: str, reading: Reading) -> None:
        """Record from now on; the present state is row 0.

        Args:
            name: For people, who look into the server's folder.
            reading: Of the present state.
        """
        client, paths = self.session.client, self.session.stage.object_paths
        self.task = f"[{name[:80]}_{uuid.uuid4().hex[:12]}]"
        for path, pose in zip(paths.values(), reading.object_poses, strict=True):
            client.add_object(path, Pose.of(pose.tolist()))
        client.add_object(CLOCK_PATH, Pose.of(client.object_pose(CLOCK_PATH).tolist()))
        client.start_recording(self.task, [camera.prim_path for camera in self.session.stage.cameras.values()], self.fps)
        # Its converter reads these fields of every note, and stumbles over a recording without any.
        client.note({"task_description": {"task_name": name, "english_task_name": name, "init_scene_text": ""}})
        client.note({"arm": "", "action": "track", "active_id": "", "passive_id": ""})
        self.session.wait(_LEAD_STEPS)
        self.steps, self.seen = [self.session.next_call - 1], [reading]

    def add(self, step: int, reading: Reading | None) -> None:
        """Note a row of the attempt."""
        self.steps.append(step)
        self.seen.append(reading)

    def discard(self) -> None:
        """End the recording, and let the server remove it."""
        self.session.client.stop_recording()
        self.session.client.end_task(keep=False)
        self.task = ""

    def finish(self, states: list[SimulationState]) -> Track:
        """End the recording, and replace what was read of T + 1 rows by what was recorded of them.

        Raises:
            RecordingMissing: It did not come in time.
            RecordingUnusable: It lacks something, or differs from what was read.
        """
        self.session.wait(_LEAD_STEPS)
        self.session.client.stop_recording()
        self.session.client.end_task(keep=True)
        found = load_recording(self._await_files(), tuple(self.session.stage.object_paths))
        self.task = ""
        steps = np.array(self.steps, dtype=np.float64)
        if len(steps) != len(states):
            raise RecordingUnusable(str(found.folder), f"{len(states)} rows are wanted, {len(steps)} were noted")
        if not found.covers(steps):
            raise RecordingUnusable(
                str(found.folder),
                f"it holds the physics steps {found.steps[0]:.0f} to {found.steps[-1]:.0f}, not {steps[0]:.0f} to {steps[-1]:.0f}",
            )
        readings = self._readings(found, steps)
        self._compare(found, readings)
        return self._track(found, steps, readings, states)

    def _await_files(self) -> Path:
        folder, until = self.folder / self.task, time.monotonic() + self.wait_s
        while not (folder / RESULT_FILE).is_file():
            if time.monotonic() > until:
                raise RecordingMissing(self.wait_s, RESULT_FILE, str(folder))
            time.sleep(_POLL_S)
        return folder

    def _readings(self, found: Recording, steps: FloatArray) -> list[Reading]:
        view = self.session.view
        names = tuple(found.joint_names)
        joints, objects = found.joints_at(found.positions, names, steps), found.objects_at(steps)
        return [view.reading(dict(zip(names, row.tolist(), strict=True)), poses) for row, poses in zip(joints, objects, strict=True)]

    def _compare(self, found: Recording, readings: list[Reading]) -> None:
        """What was recorded must be what was seen."""
        for row, (seen, recorded) in enumerate(zip(self.seen, readings, strict=True)):
            if seen is None:
                continue
            off_rad = float(np.abs(seen.joints_rad - recorded.joints_rad).max())
            off_m = float(np.linalg.norm(seen.object_poses[:, :3] - recorded.object_poses[:, :3], axis=1).max(initial=0.0))
            if off_rad > _NEAR_RAD or off_m > _NEAR_M:
                raise RecordingUnusable(
                    str(found.folder),
                    f"row {row} was seen {off_rad:.3f} rad and {off_m:.4f} m from what is recorded of step {self.steps[row]}",
                )

    def _track(self, found: Recording, steps: FloatArray, readings: list[Reading], states: list[SimulationState]) -> Track:
        view = self.session.view
        velocities = found.joints_at(found.velocities, view.joint_names, steps)
        efforts = found.joints_at(found.efforts, view.joint_names, steps)
        grips = found.joints_at(found.efforts, view.finger_joints(), steps)
        completed = []
        for row, (reading, state) in enumerate(zip(readings, states, strict=True)):
            before = max(row - 1, 0)
            elapsed_s = max(steps[row] - steps[before], 1.0) / self.physics_hz
            motion = JointMotion(joints_rad_s=velocities[row], joint_efforts=efforts[row], gripper_efforts=grips[row])
            speeds = object_velocities(readings[before].object_poses, reading.object_poses, elapsed_s)
            completed.append(view.state(reading, state.ctrl, state.time_s, motion, speeds))
        return Track(states=tuple(completed), contacts=tuple(view.touching(reading) for reading in readings[1:]))
