"""What Genie Sim records, and leaves behind when a task ends."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
from scipy.spatial.transform import Rotation


@dataclass
class Bag:
    """What is recorded, at the rate that was asked for, on the server's own clock."""

    folder: Path
    fps: int
    frames: list = field(default_factory=list)

    def __post_init__(self):
        self.folder.mkdir(parents=True)

    def sample(self, world, objects):
        if self.frames and world.time_s - self.frames[-1]["time_stamp"] < 1 / self.fps - 1e-9:
            return
        joints = world.joints()
        rows = {
            f"joint_{key}": [values[index] for values in joints.values()] for index, key in enumerate(("position", "velocity", "effort"))
        }
        self.frames.append(
            {
                "time_stamp": world.time_s,
                "objects": {path.rpartition("/")[2]: {"pose": matrix_of(world.pose(path)).tolist()} for path in objects},
                "cameras": {},
                "robot": {
                    "joints": {"joint_name": list(joints), **rows},
                    "joints_action": {"joint_name": list(joints), "joint_position": [world.targets[name] for name in joints]},
                },
            }
        )

    def extract(self, notes, lost):
        time.sleep(0.05)
        for frame in self.frames:
            frame["objects"].pop(lost, None)
        (self.folder / "state.json").write_text(json.dumps({"frames": self.frames, "fps": self.fps}))
        write_aligned(self.folder / "aligned_joints.h5", self.frames)
        (self.folder / "frame_state.json").write_text(json.dumps(notes))
        (self.folder / "task_result.json").write_text(json.dumps({"task_status": True, "fps": self.fps}))


def write_aligned(path, frames):
    """The maker's HDF5: a group a frame; of the arms, the first fourteen joints that have ``_arm_`` in their names."""
    with h5py.File(path, "w") as file:
        for index, frame in enumerate(frames):
            joints = frame["robot"]["joints"]
            arms = [place for place, name in enumerate(joints["joint_name"]) if "_arm_" in name]
            group = file.create_group(f"{index}/state/joint")
            group.attrs["name"] = [joints["joint_name"][place] for place in arms]
            group.create_dataset("position", data=[joints["joint_position"][place] for place in arms])


def matrix_of(pose):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_quat(pose[3:], scalar_first=True).as_matrix()
    matrix[:3, 3] = pose[:3]
    return matrix
