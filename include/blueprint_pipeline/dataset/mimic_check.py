"""What Isaac Lab Mimic and robomimic ask of a file of demonstrations, restated: without either of them.

Their own code stops, or cuts a demonstration at a wrong frame, where a rule does not hold.

Source: :mod:`blueprint_pipeline.dataset.mimic_layout`.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from blueprint_pipeline.dataset.contract import DatasetFinding
from blueprint_pipeline.dataset.mimic_layout import CONVENTIONS, FILE, FORMAT_VERSION, GYM_TYPE, ROBOT, TRAIN, VALID

_INFO = "obs/datagen_info"
_ROTATION_TOLERANCE = 1e-5
"""Of float32 matrices, each number."""
_PLACE_TOLERANCE_M = 1e-5
_COMMAND_TOLERANCE = 1e-6
"""Between a command and what its float32 action stands for, as a share of the column's half range."""
_FEWEST_FRAMES = 2

Findings = Iterator[DatasetFinding]
Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class OpenFile:
    """A file with what it says of all demonstrations."""

    file: h5py.File
    known: Mapping[str, Any]
    """Its conventions."""

    @property
    def demos(self) -> dict[str, h5py.Group]:
        """Demonstrations by name, in the order of their numbers, where they have any."""
        data = self.file["data"]
        return {name: data[name] for name in sorted(data, key=lambda name: (len(name), name))}


def check_file(path: Path) -> list[DatasetFinding]:
    """Everything that is wrong with a file of demonstrations; an empty list: nothing was found."""
    findings: list[DatasetFinding] = []
    rule: Callable[..., Findings] = _check_file
    try:
        with h5py.File(path) as file:
            findings += _check_file(file)
            if findings:
                return findings
            found = OpenFile(file=file, known=json.loads(file["data"].attrs[CONVENTIONS]))
            for rule in (_check_masks, _check_same_keys):
                findings += rule(found)
            for name, demo in found.demos.items():
                for rule in _DEMO_RULES:
                    findings += rule(f"{FILE}:data/{name}", demo, found.known)
    except (OSError, KeyError, IndexError, TypeError, ValueError) as error:
        findings.append(_finding("unreadable", FILE, f"{rule.__name__.strip('_')}: {type(error).__name__}: {error}"))
    return findings


def _finding(code: str, path: str, message: str) -> DatasetFinding:
    return DatasetFinding(f"mimic.{code}", path, message)


def _check_file(file: h5py.File) -> Findings:
    """Version, environment and totals; demonstrations that are numbered from 0, by which robomimic sorts them."""
    version = file.attrs.get("format_version", 0)
    if version != FORMAT_VERSION:
        yield _finding("version", FILE, f"format_version is {version}, expected {FORMAT_VERSION}: quaternions would be read as w, x, y, z")
    data = file["data"]
    environment = json.loads(data.attrs["env_args"])
    if not environment.get("env_name") or environment.get("type") != GYM_TYPE:
        yield _finding("environment", f"{FILE}:data", f"env_args is {environment}, expected a name, and type {GYM_TYPE}")
    expected = {f"demo_{number}" for number in range(len(data))}
    if not expected or set(data) != expected:
        yield _finding("numbering", f"{FILE}:data", f"{len(data)} demonstrations are named {sorted(data)[:5]}…, expected demo_0, demo_1, …")
    total = sum(int(demo.attrs["num_samples"]) for demo in data.values())
    if data.attrs["total"] != total:
        yield _finding("total", f"{FILE}:data", f"total is {data.attrs['total']}; the demonstrations have {total} frames")


def _check_masks(found: OpenFile) -> Findings:
    """Every mask names demonstrations; every demonstration is in one split, and in the mask of its skill."""
    masks = {name: [item.decode() for item in values[()]] for name, values in found.file["mask"].items()}
    for name, members in masks.items():
        if not members or len(set(members)) != len(members) or not set(members) <= set(found.demos):
            yield _finding("mask", f"{FILE}:mask/{name}", f"{len(members)} names, not all of them of one demonstration each")
    if sorted(masks.get(TRAIN, []) + masks.get(VALID, [])) != sorted(found.demos):
        yield _finding("mask", f"{FILE}:mask", f"not every demonstration is either in {TRAIN} or in {VALID}")
    for name, demo in found.demos.items():
        if name not in masks.get(str(demo.attrs["skill"]), []):
            yield _finding("mask", f"{FILE}:mask", f"{name} is not in the mask of its skill, {demo.attrs['skill']}")


def _check_same_keys(found: OpenFile) -> Findings:
    """Observations, actions and states have one size in all demonstrations: batches are made across them."""
    first: dict[str, Any] | None = None
    for name, demo in found.demos.items():
        sizes = {key: item.shape[1:] for key, item in {**_flat(demo["obs"]), "actions": demo["actions"], "states": demo["states"]}.items()}
        first = first or sizes
        if sizes != first:
            other = sorted(key for key in sizes.keys() | first.keys() if sizes.get(key) != first.get(key))
            yield _finding("columns", f"{FILE}:data/{name}", f"{', '.join(other)}: other columns than in demo_0")


def _flat(group: h5py.Group) -> dict[str, h5py.Dataset]:
    return {name: item for name, item in group.items() if isinstance(item, h5py.Dataset)}


def _all_arrays(demo: h5py.Group) -> dict[str, h5py.Dataset]:
    """Every array of a demonstration, by path; one that has two names stands under one of them."""
    arrays: dict[str, h5py.Dataset] = {}
    demo.visititems(lambda name, item: arrays.update({name: item}) if isinstance(item, h5py.Dataset) else None)
    return arrays


def _check_attributes(where: str, demo: h5py.Group, _known: Mapping[str, Any]) -> Findings:
    """Length, success and seed."""
    frames = len(demo["actions"])
    if demo.attrs["num_samples"] != frames or frames < _FEWEST_FRAMES:
        yield _finding(
            "length", where, f"num_samples is {demo.attrs['num_samples']}; there are {frames} actions, at least {_FEWEST_FRAMES}"
        )
    if not isinstance(demo.attrs.get("success"), bool | np.bool_) or not isinstance(demo.attrs.get("seed"), int | np.integer):
        yield _finding("attributes", where, "success is no truth value, or seed no whole number")


def _check_numbers(where: str, demo: h5py.Group, _known: Mapping[str, Any]) -> Findings:
    """Isaac Lab makes a tensor of everything in a demonstration; no policy learns from what is not finite."""
    for name, item in _all_arrays(demo).items():
        if item.dtype.kind not in "fiub":
            yield _finding("no_numbers", f"{where}/{name}", f"it is {item.dtype}, expected numbers")
        elif not np.isfinite(item[()]).all():
            yield _finding("not_finite", f"{where}/{name}", "it has a value that is not finite")


def _check_lengths(where: str, demo: h5py.Group, _known: Mapping[str, Any]) -> Findings:
    """All that goes along with the actions has a row for each."""
    frames = len(demo["actions"])
    along = ("obs/", "next_obs/", "processed_actions", "rewards", "dones", "states", "replay/ctrl")
    for name, item in _all_arrays(demo).items():
        if name.startswith(along) and (not item.shape or item.shape[0] != frames):
            yield _finding("length", f"{where}/{name}", f"{item.shape[:1]} rows, expected {frames}")


def _check_actions(where: str, demo: h5py.Group, known: Mapping[str, Any]) -> Findings:
    """float32 within [-1, 1], as robomimic's policies give them, and what they stand for."""
    actions, scale = demo["actions"], known["actions"]
    if actions.dtype != np.float32 or actions.shape[1:] != (len(scale["names"]),):
        yield _finding("actions", f"{where}/actions", f"{actions.dtype} {actions.shape}, expected float32 (T, {len(scale['names'])})")
        return
    values = actions[()]
    if np.abs(values).max() > 1:
        yield _finding("actions", f"{where}/actions", f"the largest is {np.abs(values).max():.4g}, expected within [-1, 1]")
    away = (demo["processed_actions"][()] - np.array(scale["offset"])) / np.array(scale["scale"]) - values
    if demo["processed_actions"].dtype != np.float64 or np.abs(away).max() > _COMMAND_TOLERANCE:
        yield _finding("actions", f"{where}/processed_actions", "not the float64 commands offset + scale * action")


def _check_observations(where: str, demo: h5py.Group, _known: Mapping[str, Any]) -> Findings:
    """What robomimic loads before and after each step are the same things, one frame apart."""
    before, after = _flat(demo["obs"]), _flat(demo["next_obs"])
    if not before or before.keys() != after.keys():
        yield _finding("observations", f"{where}/next_obs", f"has {sorted(after)}, expected {sorted(before)}, as obs")
    for name in before.keys() & after.keys():
        if not np.array_equal(before[name][1:], after[name][:-1]):
            yield _finding("observations", f"{where}/next_obs/{name}", "it is not obs, one frame later")


def _check_ends(where: str, demo: h5py.Group, _known: Mapping[str, Any]) -> Findings:
    """The last frame is the end, and is rewarded if the task is done."""
    last = np.arange(len(demo["actions"])) == len(demo["actions"]) - 1
    if not np.array_equal(demo["dones"][()], last) or not np.array_equal(demo["rewards"][()], last & bool(demo.attrs["success"])):
        yield _finding("ends", where, "dones and rewards are not 0, and 1 in the last frame of what succeeded")


def _check_datagen_info(where: str, demo: h5py.Group, known: Mapping[str, Any]) -> Findings:
    """Poses of every arm and of every object that a subtask refers to: float32, as Mimic multiplies them with its own, and rigid."""
    if _INFO not in demo:
        yield _finding("no_datagen_info", where, f"{_INFO} is missing: Mimic would take the demonstration for one of another layout")
        return
    info, configs = demo[_INFO], known["subtask_configs"][demo.attrs["skill"]]
    refs = {item["object_ref"] for items in configs.values() for item in items} - {None}
    wanted = [*(f"{kind}/{arm}" for kind in ("eef_pose", "target_eef_pose") for arm in configs), *(f"object_pose/{name}" for name in refs)]
    for name in wanted:
        if name not in info or not isinstance(info[name], h5py.Dataset):
            yield _finding("pose_missing", f"{where}/{_INFO}/{name}", "it is missing")
    for name, item in _all_arrays(info).items():
        if name.split("/")[0].endswith("_pose"):
            yield from _check_poses(f"{where}/{_INFO}/{name}", item)


def _check_poses(where: str, item: h5py.Dataset) -> Findings:
    if item.dtype != np.float32 or item.shape[1:] != (4, 4):
        yield _finding("pose", where, f"{item.dtype} {item.shape}, expected float32 (T, 4, 4)")
        return
    poses = item[()].astype(np.float64)
    turned = poses[:, :3, :3]
    off = np.abs(turned @ turned.transpose(0, 2, 1) - np.eye(3)).max()
    if off > _ROTATION_TOLERANCE or (np.linalg.det(turned) < 0).any() or not (poses[:, 3] == (0, 0, 0, 1)).all():
        yield _finding("pose", where, "not rigid transforms: rotation and position above 0, 0, 0, 1")


def _check_signals(where: str, demo: h5py.Group, known: Mapping[str, Any]) -> Findings:
    """Each signal begins with 0, rises once and never falls; cuts are in order, as Mimic finds them."""
    configs, signals = known["subtask_configs"][demo.attrs["skill"]], demo[f"{_INFO}/subtask_term_signals"]
    names = [item["subtask_term_signal"] for items in configs.values() for item in items]
    named = [name for name in names if name is not None]
    if len(set(named)) != len(named) or any(items[-1]["subtask_term_signal"] is not None for items in configs.values()):
        yield _finding("signal_names", where, f"signals are {named}: each needs a name of its own over all arms, and the last subtask none")
    for name in named:
        if name not in signals:
            yield _finding("signal_missing", where, f"subtask_term_signals/{name} is missing")
            return
        values = signals[name][()].ravel().astype(int)
        steps = np.diff(values)
        if set(np.unique(values)) != {0, 1} or values[0] != 0 or (steps < 0).any() or (steps > 0).sum() != 1:
            yield _finding("signal", f"{where}/{_INFO}/subtask_term_signals/{name}", "it is not 0, then once and for all 1")
            return
    for arm, items in configs.items():
        yield from _check_cuts(where, arm, items, signals, len(demo["actions"]))


def _check_cuts(where: str, arm: str, items: list[dict[str, Any]], signals: h5py.Group, frames: int) -> Findings:
    """Even with the largest offset of one subtask and the smallest of the next, none is empty."""
    ends = [cut_end(signals[item["subtask_term_signal"]][()]) if item["subtask_term_signal"] else frames for item in items]
    offsets = [item["subtask_term_offset_range"] for item in items]
    for number, (end, later) in enumerate(pairwise(ends)):
        if end + offsets[number][1] >= later + offsets[number + 1][0]:
            yield _finding(
                "cuts", where, f"{arm}: subtask {number} ends at frame {end}, the next at {later}: with their offsets it is empty"
            )


def cut_end(signal: Array) -> int:
    """Where Mimic ends a subtask: one past the frame in which its signal first differs from the frame before."""
    return int(np.flatnonzero(np.diff(signal.ravel().astype(int)))[0]) + 2


def _check_initial_state(where: str, demo: h5py.Group, known: Mapping[str, Any]) -> Findings:
    """One row for the robot and each object; an object's is where its first pose has it, so that quaternions are x, y, z, w."""
    state = demo["initial_state"]
    shapes = {f"articulation/{ROBOT}/root_pose": 7, f"articulation/{ROBOT}/root_velocity": 6}
    shapes |= {f"articulation/{ROBOT}/joint_{kind}": len(known["robot_joints"]) for kind in ("position", "velocity")}
    bodies = [name for name in known["object_ids"] if "/" not in name]
    shapes |= {f"rigid_object/{name}/root_{kind}": size for name in bodies for kind, size in (("pose", 7), ("velocity", 6))}
    for name, size in shapes.items():
        if name not in state or state[name].shape != (1, size):
            yield _finding("initial_state", f"{where}/initial_state/{name}", f"expected one row of {size} numbers")
            return
    for name in bodies:
        *place, x, y, z, w = state[f"rigid_object/{name}/root_pose"][0].astype(np.float64)
        first = demo[f"{_INFO}/object_pose/{name}"][0].astype(np.float64)
        up = (2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y))
        off = max(np.abs(first[:3, 3] - place).max(), np.abs(first[:3, 2] - up).max(), abs(w * w + x * x + y * y + z * z - 1))
        if off > _PLACE_TOLERANCE_M:
            yield _finding("initial_state", f"{where}/initial_state/rigid_object/{name}", "it is not where its first object_pose has it")


def _check_replay(where: str, demo: h5py.Group, _known: Mapping[str, Any]) -> Findings:
    """What replays the demonstration bit by bit is float64."""
    for name, dimensions in (("states", 2), ("replay/ctrl", 2), ("replay/integration_state", 1)):
        if name not in demo or demo[name].dtype != np.float64 or demo[name].ndim != dimensions:
            yield _finding("replay", f"{where}/{name}", f"expected float64 of {dimensions} dimension(s)")


_DEMO_RULES = (
    _check_attributes,
    _check_numbers,
    _check_lengths,
    _check_actions,
    _check_observations,
    _check_ends,
    _check_datagen_info,
    _check_signals,
    _check_initial_state,
    _check_replay,
)
