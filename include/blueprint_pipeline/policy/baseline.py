"""The baseline: a small behaviour-cloning policy from a dataset's columns (:mod:`blueprint_pipeline.policy.chunks`), and how it acts.

It acts in the dataset's action space: where the arm rests, it says all that it commands until it next rests, as joints and opening.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from blueprint_pipeline.dataset.features import ACTION, EE_POSE, OBJECT_POSES, STATE
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import build_pose
from blueprint_pipeline.log import get_logger
from blueprint_pipeline.policy.chunks import KNOTS, Chunk, Demonstration, Kind, Model, Policy, knots_of, rests, train_policy
from blueprint_pipeline.policy.columns import Episode, TeachingSet
from blueprint_pipeline.policy.errors import PolicyNotWritten
from blueprint_pipeline.policy.kinematics import ToolKinematics
from blueprint_pipeline.policy.network import Network
from blueprint_pipeline.policy.observation import Reader, nearest_rotation, read_sentence

_STILL = 1e-5
"""Change of a command [rad, m] up to which nothing is commanded."""
_AT_REST = 6
"""Frames that the arm is given to come to rest at the end of a chunk."""
_FASTEST_RAD = 0.05
"""Of each joint, in a frame: setpoints go no faster, whatever the policy says."""


@dataclass(frozen=True, kw_only=True)
class ArmColumns:
    """Where the arm that acts lies in the columns."""

    index: int
    joints: slice
    """In ``action`` and ``observation.state``; its gripper follows."""

    @property
    def gripper(self) -> int:
        return int(self.joints.stop)

    @property
    def tool(self) -> slice:
        """In ``observation.ee_pose``."""
        return slice(7 * self.index, 7 * self.index + 7)


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """What was learnt."""

    reader: Reader
    policy: Policy
    arm: ArmColumns


def train_baseline(taught: TeachingSet, kit: Path, *, steps: int = 500, seed: int = 0) -> Learnt:
    """Train on a dataset's columns.

    Args:
        taught: The demonstrations.
        kit: Folder of the kit: the arm's model takes commands to places of the tool.
        steps: Of training each network.
        seed: Of all that is drawn.

    Raises:
        SentenceNotRead: The sentence of an episode does not say to the baseline which object it is about.
        TooFewDemonstrations: They are not alike enough.
    """
    arm = _acting_arm(taught)
    kinematics = ToolKinematics(kit, arm.index)
    sentences = [read_sentence(episode.sentence, taught.object_ids) for episode in taught.episodes]
    vocabulary = tuple(sorted({word for sentence in sentences for word in sentence.words}))
    reader = Reader(kinematics.pose_world_base, taught.object_ids, vocabulary)
    shown = [_demonstrate(reader, episode, arm, kinematics) for episode in taught.episodes]
    return Learnt(reader=reader, policy=train_policy(shown, steps=steps, seed=seed), arm=arm)


def _acting_arm(taught: TeachingSet) -> ArmColumns:
    """The arm whose commands change most; arms have equally many joints."""
    first = taught.episodes[0].vectors
    count = first[EE_POSE].shape[1] // 7
    size = first[ACTION].shape[1] // count
    moved = sum(np.ptp(episode.vectors[ACTION], axis=0) for episode in taught.episodes)
    index = int(np.asarray(moved).reshape(count, size).sum(axis=1).argmax())
    return ArmColumns(index=index, joints=slice(index * size, (index + 1) * size - 1))


def _moving_rows(commands: FloatArray) -> NDArray[np.int64]:
    """Frames whose command differs from the one before: who copies waiting waits for ever.

    Source: Kim et al., "OpenVLA" (2024), section 5: frames in which nothing is commanded are left out of training.
    """
    moved = np.abs(np.diff(commands, axis=0, prepend=commands[:1] + 1.0)).max(axis=1) > _STILL
    return np.flatnonzero(moved)


def _demonstrate(reader: Reader, episode: Episode, arm: ArmColumns, kinematics: ToolKinematics) -> Demonstration:
    vectors = episode.vectors
    rows = _moving_rows(vectors[ACTION])
    joints, widths_m = vectors[ACTION][rows, arm.joints], vectors[ACTION][rows, arm.gripper]
    tools = np.stack([kinematics.forward(command) for command in joints])
    ends = rests(joints)
    starts = np.insert(ends[:-1] + 1, 0, 0)
    first = rows[starts]
    objects = vectors[OBJECT_POSES][first].reshape(len(first), -1, 7)
    sentence = read_sentence(episode.sentence, reader.object_ids)
    return Demonstration(
        frames=reader.frames(vectors[EE_POSE][first, arm.tool], vectors[STATE][first, arm.gripper], objects, sentence),
        command_m=knots_of(starts, ends, tools[:, :3, 3]),
        command_turn=knots_of(starts, ends, tools[:, :3, :3]),
        command_width_m=knots_of(starts, ends, widths_m),
        duration=(ends - starts + 1).astype(np.float64),
    )


class BaselinePolicy:
    """A baseline that acts, frame by frame.

    Args:
        baseline: What was learnt.
        kit: Folder of the kit that it acts in.
    """

    def __init__(self, baseline: Learnt, kit: Path) -> None:
        self._learnt, self._kinematics = baseline, ToolKinematics(kit, baseline.arm.index)
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self._number = 0
        self._queue: list[FloatArray] = []
        self._last: FloatArray | None = None

    def __call__(self, observation: dict[str, Any]) -> FloatArray:
        """The action (n,) of a frame."""
        last = np.asarray(observation[STATE], dtype=np.float64) if self._last is None else self._last
        if not self._queue and self._number < len(self._learnt.policy.models):
            self._queue = self._plan(observation, last)
            self._number += 1
        self._last = self._queue.pop(0) if self._queue else last
        return self._last

    def _plan(self, observation: dict[str, Any], start: FloatArray) -> list[FloatArray]:
        learnt, arm = self._learnt, self._learnt.arm
        seen = {name: np.asarray(observation[name], dtype=np.float64) for name in (STATE, EE_POSE, OBJECT_POSES)}
        sentence = read_sentence(observation["task"], learnt.reader.object_ids)
        objects = seen[OBJECT_POSES].reshape(1, -1, 7)
        frames = learnt.reader.frames(seen[EE_POSE][None, arm.tool], seen[STATE][None, arm.gripper], objects, sentence)
        return _follow(learnt.policy.act(frames, self._number), start, arm, self._kinematics)


def _follow(chunk: Chunk, start: FloatArray, arm: ArmColumns, kinematics: ToolKinematics) -> list[FloatArray]:
    """A chunk as actions, from the one before on; at its end the arm waits a little.

    The arm goes through the knots' joint positions along a cubic spline that rests at both ends, as a chunk does.
    """
    joints = [start[arm.joints]]
    for place_m, turn in zip(chunk.places_m, chunk.turns, strict=True):
        solved = kinematics.inverse(build_pose(place_m, nearest_rotation(turn)), joints[-1])
        joints.append(joints[-1] if solved is None else solved)
    widths_m = np.clip([start[arm.gripper], *chunk.widths_m], *kinematics.openings_m)
    at = np.append(np.arange(1, chunk.frames + 1) / chunk.frames, np.ones(_AT_REST)) * KNOTS
    path = CubicSpline(range(KNOTS + 1), joints, bc_type="clamped")(at)
    missed = sum(after is before for before, after in pairwise(joints))
    if missed:
        get_logger().warning("policy wants places that the arm does not reach; it waits there", places=missed, of=KNOTS)
    rows, now = [], start
    for wanted, width_m in zip(path, np.interp(at, range(KNOTS + 1), widths_m), strict=True):
        now = now.copy()
        now[arm.joints] += np.clip(wanted - now[arm.joints], -_FASTEST_RAD, _FASTEST_RAD)
        now[arm.gripper] = width_m
        rows.append(now)
    return rows


def validate_target(path: Path) -> None:
    """Check, before anything is learnt, that it can be written and loaded again.

    Raises:
        PolicyNotWritten: The name is of another kind of file, or its folder is missing.
    """
    if path.suffix != ".npz":
        raise PolicyNotWritten(str(path), "its name does not end in .npz")
    if not path.parent.is_dir():
        raise PolicyNotWritten(str(path), f"there is no folder {path.parent}")


def save_baseline(path: Path, baseline: Learnt) -> None:
    """Write what was learnt as one ``.npz`` file."""
    arrays: dict[str, Any] = {"base": baseline.reader.base}
    for number, model in enumerate(baseline.policy.models):
        arrays |= {f"{number}.{name}": getattr(model, name) for name in ("shift", "scale", "weights")}
        arrays |= {f"{number}.network.{index}": value for index, value in enumerate(model.network.parameters)}
    told = {
        "object_ids": baseline.reader.object_ids,
        "vocabulary": baseline.reader.vocabulary,
        "arm": [baseline.arm.index, baseline.arm.joints.start, baseline.arm.joints.stop],
        "kinds": [asdict(model.kind) for model in baseline.policy.models],
    }
    with path.open("wb") as file:
        np.savez_compressed(file, told=json.dumps(told), **arrays)


def load_baseline(path: Path) -> Learnt:
    """Read what :func:`save_baseline` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        told = json.loads(str(arrays["told"]))
        models = [_load_model(arrays, number, Kind(**kind)) for number, kind in enumerate(told["kinds"])]
        reader = Reader(arrays["base"], tuple(told["object_ids"]), tuple(told["vocabulary"]))
    index, start, stop = told["arm"]
    return Learnt(reader=reader, policy=Policy(models), arm=ArmColumns(index=index, joints=slice(start, stop)))


def _load_model(arrays: Any, number: int, kind: Kind) -> Model:
    values: Sequence[Any] = [arrays[f"{number}.network.{index}"] for index in range(6)]
    shift, scale, weights = (arrays[f"{number}.{name}"] for name in ("shift", "scale", "weights"))
    return Model(kind=kind, shift=shift, scale=scale, weights=weights, network=Network(list(values[:3]), list(values[3:])))
