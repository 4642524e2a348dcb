"""Execute the episodes of a kit again, compare every state with the recording, and judge whether the task was done.

On the class of machine that an episode was made on (the same processor architecture, and a mathematics library that rounds the same; see
libm_probe.py) every bit must be equal. On another class the last bits of sines differ, so every state must stay within a bound. For each
episode it is said which of the two was checked. Wherever it runs, the task must come out as it was recorded: done, or not done.
"""

import json
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from .libm_probe import libm_sha256
from .predicates import ObservedMotion, judge
from .starts import Recorder, Start, load_starts
from .world import KitNotUsable, World

FAILED = "failures"
"""Folder in a kit with the failed episodes, where the lab bought them: laid out as the kit itself, with starts of its own."""


@dataclass(frozen=True)
class Replayed:
    """An episode that was executed again."""

    difference: float
    """0.0 where every position and velocity is bit-identical; else the largest difference, or the smallest float."""
    motion: ObservedMotion


def replay(world: World, start: Start, states: Path) -> Replayed:
    """Execute the recorded setpoints of one episode from its recorded state."""
    rows = pq.read_table(states, columns=["qpos", "qvel", "ctrl", "integration_state"]).to_pydict()
    qpos, qvel, ctrl = (np.array(rows[name]) for name in ("qpos", "qvel", "ctrl"))
    world.restore(np.array(rows["integration_state"][0]), start.variation)
    recorder, data, worst = Recorder(world, start), world.data, 0.0
    for frame, setpoint in enumerate(ctrl[:-1]):
        recorder.add(world.advance(setpoint))
        if data.qpos.tobytes() != qpos[frame + 1].tobytes() or data.qvel.tobytes() != qvel[frame + 1].tobytes():
            away = float(np.nan_to_num(np.abs(data.qpos - qpos[frame + 1]), nan=np.inf).max())
            worst = max(worst, away, sys.float_info.min)
    return Replayed(worst, recorder.motion())


def compare(record: dict[str, Any], difference: float, here: dict[str, str], bound: float) -> tuple[bool, str]:
    """Whether an episode replays on this machine, and in words what was checked.

    Args:
        record: ``episode.json``; ``platform`` is the class of machine that it was made on.
        difference: See :class:`Replayed`.
        here: The class of this machine.
        bound: Largest difference on another class, in any position [m], angle [rad] or part of a quaternion.
    """
    if difference == 0.0:
        return True, "bit-identical"
    if record.get("platform") in (None, here):
        return False, f"DIFFERS by up to {difference:.3g}"
    where = "another class of machine than it was made on"
    if difference <= bound:
        return True, f"within {bound:g} of the recording (up to {difference:.3g}), not bit-identical: {where}"
    return False, f"DIFFERS by up to {difference:.3g}, more than {bound:g}, on {where}"


def compare_outcome(record: dict[str, Any], start: Start, motion: ObservedMotion) -> tuple[bool, str]:
    """Whether the task came out as it was recorded, and how, in words."""
    missed = [str(judgement) for judgement in judge(start.conditions, motion) if not judgement.held]
    told = f"task not done ({'; '.join(missed)})" if missed else "task done"
    as_recorded = record["outcome"]["success"] is not bool(missed)
    return as_recorded, told if as_recorded else f"{told}, NOT AS RECORDED"


def main(folder: Path, episodes: list[str]) -> int:
    """Replay some episodes of a kit, or all, failed ones last; 0 where each replays and came out as recorded."""
    parts = [folder, *([folder / FAILED] if (folder / FAILED).is_dir() else [])]
    try:
        world, starts = World(folder), {part: load_starts(part) for part in parts}
    except KitNotUsable as reason:
        sys.stderr.write(f"{reason}\n")
        return 1
    here = {"machine": platform.machine(), "libm_sha256": libm_sha256()}
    places = {path.name: (part, path) for part in parts for path in sorted((part / "episodes").iterdir())}
    every = True
    for name in episodes or places:
        part, place = places[name]
        record = json.loads((place / "episode.json").read_text(encoding="utf-8"))
        replayed = replay(world, starts[part][name], place / "states.parquet")
        same, compared = compare(record, replayed.difference, here, world.kit["bound"])
        as_recorded, outcome = compare_outcome(record, starts[part][name], replayed.motion)
        sys.stdout.write(f"{name}: {compared}; {outcome}\n")
        every = every and same and as_recorded
    return int(not every)
