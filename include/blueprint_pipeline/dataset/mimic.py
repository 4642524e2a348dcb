"""Writes demonstrations for Isaac Lab Mimic and robomimic: one HDF5 file, a group a demonstration, without pictures.

What Mimic and policies read is float32, as their tensors are; what a replay needs is float64: ``states`` (time, ``qpos``, ``qvel``, as
robosuite flattens them), ``processed_actions``, and in ``replay`` the simulator's saved state and its controls.

Source: :mod:`blueprint_pipeline.dataset.mimic_layout`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from blueprint_pipeline.dataset.contract import DatasetSpec, DatasetTotals, WrittenEpisode, build_splits
from blueprint_pipeline.dataset.errors import EpisodeUnusable
from blueprint_pipeline.dataset.features import ACTION
from blueprint_pipeline.dataset.frames import EpisodeFrames
from blueprint_pipeline.dataset.layout import GrowingFile
from blueprint_pipeline.dataset.mimic_demo import Demo, build_demo
from blueprint_pipeline.dataset.mimic_layout import (
    CONVENTIONS,
    FILE,
    FORMAT_VERSION,
    GYM_TYPE,
    TRAIN,
    VALID,
    describe_subtasks,
    gripper_columns,
    scale_actions,
)
from blueprint_pipeline.dataset.tables import Position
from blueprint_pipeline.dataset.video import EpisodeVideo
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.layout import layout_of
from blueprint_pipeline.skill.registry import load_skill

_GZIP_LEVEL = 2
"""As Isaac Lab's own writer."""
_COMPRESSED_FROM = 64
"""Numbers: below, a chunk's index takes more than it saves."""
_LIBRARIES = ("v110", "v110")
"""Every HDF5 since 1.10 reads the file, and may read it while others do (SWMR), as robomimic does."""

Array = npt.NDArray[np.generic]


class DemoFile(GrowingFile):
    """``dataset.hdf5``, demonstration by demonstration; it gets its name when it is whole."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._file = h5py.File(self._part, "w", libver=_LIBRARIES)
        self._file.attrs["format_version"] = FORMAT_VERSION
        self._data = self._file.create_group("data")

    def append(self, number: int, demo: Demo) -> None:
        """Write one demonstration."""
        group = self._data.create_group(f"demo_{number}")
        group.attrs.update(demo.attributes)
        for name, value in demo.arrays.items():
            packed = {"compression": "gzip", "compression_opts": _GZIP_LEVEL, "shuffle": True} if value.size >= _COMPRESSED_FROM else {}
            group.create_dataset(name, data=value, **packed)
        for name in demo.groups:
            group.require_group(name)
        for name, known in demo.links.items():
            group[name] = group[known]

    def describe(self, attributes: Mapping[str, object], masks: Mapping[str, Sequence[int]]) -> None:
        """Write what speaks of all demonstrations; ``masks`` name some of them, by number."""
        self._data.attrs.update(attributes)
        for name, numbers in masks.items():
            self._file.create_dataset(f"mask/{name}", data=np.array([f"demo_{number}" for number in numbers], dtype="S"))

    def _end(self) -> None:
        self._file.close()


class MimicWriter:
    """A file of demonstrations in the making.

    Args:
        root: Folder of the dataset; new or empty.
        spec: What all episodes share.
    """

    def __init__(self, root: Path, spec: DatasetSpec) -> None:
        self.root = root
        self._spec = spec
        self._arms = layout_of(load_embodiment(spec.robot_type))
        names = next(vector.names for vector in spec.vectors if vector.key == ACTION)
        self._scale = scale_actions(self._arms, names)
        self._skills: dict[str, list[int]] = {}
        self._acting: dict[str, str] = {}
        self._object_ids: tuple[str, ...] = ()
        self._scene_id = ""
        self._file = DemoFile(root / FILE)

    def add(self, frames: EpisodeFrames, position: Position, videos: dict[str, EpisodeVideo]) -> tuple[WrittenEpisode, ...]:
        """Append a demonstration; pictures are not part of this format.

        Raises:
            EpisodeUnusable: No recording has the frames, a subtask of its skill was not done, or another arm acts than before.
        """
        del videos
        if frames.recorded is None:
            raise EpisodeUnusable(frames.episode_id, "states.parquet", "recording", "absent", "what the frames come from")
        record = frames.recorded.record
        skill, arm = record.spec.task.task_type, record.spec.arm
        if self._acting.setdefault(skill, arm) != arm:
            raise EpisodeUnusable(record.episode_id, "episode.json", "spec.arm", arm, f"{self._acting[skill]}, as in all of {skill}")
        self._file.append(position.episode_index, build_demo(frames.recorded, self._arms, self._scale))
        self._skills.setdefault(skill, []).append(position.episode_index)
        self._object_ids, self._scene_id = record.object_ids, record.scene_id
        return ()

    def record(self, episode: WrittenEpisode) -> None:
        """Statistics are not part of this format."""

    def finish(self, totals: DatasetTotals) -> None:
        """Write what speaks of all demonstrations, and give the file its name."""
        environment = {"env_name": self._scene_id, "type": GYM_TYPE, "env_kwargs": {}}
        self._file.describe(
            {"total": totals.frames, "env_args": json.dumps(environment), CONVENTIONS: json.dumps(self._conventions(totals))},
            {**dict(_splits(totals.episodes)), **self._skills},
        )
        self._file.close()

    def _conventions(self, totals: DatasetTotals) -> dict[str, object]:
        skills = {name: load_skill(name).subtasks for name in self._skills}
        return {
            "robot_type": self._spec.robot_type,
            "fps": self._spec.fps,
            "tasks": totals.tasks,
            "frame": "world: z up, metres; quaternions x, y, z, w",
            "actions": {
                "names": self._scale.names,
                "offset": self._scale.offset.tolist(),
                "scale": self._scale.scale.tolist(),
                "command": "offset + scale * action: absolute positions at the end of the frame, in processed_actions",
                "gripper_columns": gripper_columns(self._arms),
            },
            "robot_joints": [name for part in self._arms for name in (*part.joint_names, *part.arm.gripper.joints)],
            "object_ids": self._object_ids,
            "subtask_configs": {name: describe_subtasks(self._arms, self._acting[name], subtasks) for name, subtasks in skills.items()},
        }


def _splits(episodes: int) -> Iterator[tuple[str, range]]:
    """The demonstrations of each split, by robomimic's name of it."""
    names = {"train": TRAIN, "val": VALID}
    for name, window in build_splits(episodes).items():
        first, last = (int(end) for end in window.split(":"))
        yield names[name], range(first, last)
