"""Executes a recorded episode again and compares every state with the recording, bit by bit."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from blueprint.episode.errors import NothingMoved, NotReplayed
from blueprint.episode.record import EpisodeRecord
from blueprint.episode.states import Motion, load_motion
from blueprint.errors import BlueprintError
from blueprint.simulation.errors import WrongShape
from blueprint.simulation.mujoco.backend import MujocoSimulator
from blueprint.simulation.protocol import FloatArray
from blueprint.workspace.checksums import digest_file
from blueprint.workspace.errors import FileChanged

Watch = Callable[[int], None]


@dataclass(frozen=True, kw_only=True)
class ReplayVerdict:
    """Whether an episode replays, and how far off it was where not."""

    replayed: bool
    first_difference_frame: int | None
    max_abs_qpos_difference: float
    refusal: BlueprintError | None
    """Why nothing was executed, or what differed; ``None`` where the episode replayed."""


def replay_episode(
    simulator: MujocoSimulator, model_sha256: str, record: EpisodeRecord, states: Path, *, watch: Watch | None = None
) -> ReplayVerdict:
    """Replay an episode on a loaded simulator.

    Args:
        simulator: With the scene of the episode loaded.
        model_sha256: Of the loaded model.
        record: The episode.
        states: Its ``states.parquet``.
        watch: Called with each frame index t, 0 to T - 1, while the simulator stands at state row t, as long as all rows
            agreed. Draw there; throw the drawing away if the verdict is not ``replayed``.
    """
    try:
        motion = load_recorded_motion(simulator, model_sha256, record, states)
    except BlueprintError as error:
        return ReplayVerdict(replayed=False, first_difference_frame=None, max_abs_qpos_difference=0.0, refusal=error)
    first, largest = compare_motion(simulator, motion, watch)
    refusal = None if first is None else NotReplayed(record.episode_id, f"row {first} differs, by up to {largest:.3g} in qpos")
    return ReplayVerdict(replayed=first is None, first_difference_frame=first, max_abs_qpos_difference=largest, refusal=refusal)


def load_recorded_motion(simulator: MujocoSimulator, model_sha256: str, record: EpisodeRecord, states: Path) -> Motion:
    """The motion of an episode, after checking that it is the recorded one, on the recorded model.

    Raises:
        NothingMoved: The episode has no states.
        FileChanged: ``states.parquet`` is missing or has other bytes than were recorded.
        NotReplayed: The loaded model, or the rate of physics steps, is not what the episode was made with.
        StatesUnreadable: The file cannot be read.
    """
    if record.states is None:
        raise NothingMoved(record.episode_id, record.outcome.failure_reason)
    found = digest_file(states).sha256 if states.is_file() else None
    if found != record.states.sha256:
        raise FileChanged(str(states), record.states.sha256, found)
    if model_sha256 != record.model_sha256:
        raise NotReplayed(
            record.episode_id, f"it was made with model {record.model_sha256[:12]}, and the scene now has {model_sha256[:12]}"
        )
    substeps = simulator.info().substeps
    if substeps != record.simulator.substeps:
        raise NotReplayed(record.episode_id, f"it was made with {record.simulator.substeps} physics steps a frame, not {substeps}")
    motion = load_motion(states)
    if motion.frames != record.frames or motion.qpos.shape[1] != simulator.model.nq or motion.ctrl.shape[1] != simulator.model.nu:
        raise WrongShape(str(states), motion.qpos.shape, f"({record.frames + 1}, {simulator.model.nq})")
    return motion


def compare_motion(simulator: MujocoSimulator, motion: Motion, watch: Watch | None = None) -> tuple[int | None, float]:
    """Execute a motion and compare row by row.

    Returns:
        The first row that is not bit-identical (``None``: all are), and the largest absolute difference of ``qpos``.
    """
    simulator.restore_state(motion.integration_state)
    first: int | None = None
    largest = 0.0
    for frame in range(motion.frames + 1):
        if frame:
            simulator.advance_blind(motion.ctrl[frame - 1])
        data = simulator.data
        if not (_same_bits(data.qpos, motion.qpos[frame]) and _same_bits(data.qvel, motion.qvel[frame])):
            first = frame if first is None else first
            largest = max(largest, float(np.abs(data.qpos - motion.qpos[frame]).max()))
        if first is None and watch is not None and frame < motion.frames:
            watch(frame)
    return first, largest


def _same_bits(found: FloatArray, recorded: FloatArray) -> bool:
    return found.tobytes() == recorded.tobytes()
