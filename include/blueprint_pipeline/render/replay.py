"""Executes a recorded episode again and compares every state with the recording, bit by bit.

This is for simulators that promise the same bits; :mod:`blueprint_pipeline.render.k_of_n_replay` is for the others.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from blueprint_pipeline.episode.record import EpisodeRecord, KOfNEvidence, ReplayRule
from blueprint_pipeline.episode.states import Motion, load_motion
from blueprint_pipeline.errors import BlueprintError, InputError
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.render.errors import NotReplayed
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.simulation.protocol import LoadedScene, Simulator
from blueprint_pipeline.twin.errors import WrongShape
from blueprint_pipeline.workspace.checksums import digest_file
from blueprint_pipeline.workspace.errors import FileChanged

Watch = Callable[[int], None]


class NothingMoved(InputError):
    """The episode's motion could not be planned, so there is nothing to replay or to draw."""

    code = "episode.nothing_moved"
    template = "Episode {episode_id} has no states: its planning failed ({reason}). Choose an episode with frames > 0."

    episode_id: str
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class ReplayVerdict:
    """Whether an episode replays, by which rule, and how far off it was."""

    rule: ReplayRule
    replayed: bool
    first_difference_frame: int | None
    max_abs_qpos_difference: float | None
    """``None`` where no execution came to an end."""
    refusal: BlueprintError | None
    """Why nothing was executed, or what differed; ``None`` where the episode replayed."""
    k_of_n: KOfNEvidence | None = None
    """Of rule ``k_of_n``; ``None`` where nothing was executed."""


def refuse_replay(rule: ReplayRule, error: BlueprintError) -> ReplayVerdict:
    """The verdict on an episode of which nothing was executed."""
    return ReplayVerdict(rule=rule, replayed=False, first_difference_frame=None, max_abs_qpos_difference=None, refusal=error)


def replay_episode(
    simulator: Simulator, loaded: LoadedScene, record: EpisodeRecord, states: Path, *, watch: Watch | None = None
) -> ReplayVerdict:
    """Replay an episode on a loaded simulator that promises the same bits.

    Args:
        simulator: With the scene of the episode loaded.
        loaded: What it loaded.
        record: The episode.
        states: Its ``states.parquet``.
        watch: Called with each frame index t, 0 to T - 1, while the simulator stands at state row t, as long as all rows
            agreed. Draw there; throw the drawing away if the verdict is not ``replayed``.
    """
    try:
        motion = load_recorded_motion(simulator, loaded, record, states)
    except BlueprintError as error:
        return refuse_replay("bit_identical", error)
    first, largest = compare_motion(simulator, motion, watch)
    refusal = None if first is None else NotReplayed(record.episode_id, f"row {first} differs, by up to {largest:.3g} in qpos")
    return ReplayVerdict(
        rule="bit_identical",
        replayed=first is None,
        first_difference_frame=first,
        max_abs_qpos_difference=largest,
        refusal=refusal,
    )


def load_recorded_motion(simulator: Simulator, loaded: LoadedScene, record: EpisodeRecord, states: Path) -> Motion:
    """The motion of an episode, after checking that it is the recorded one, of this simulator, on the recorded model.

    Raises:
        NothingMoved: The episode has no states.
        FileChanged: ``states.parquet`` is missing or has other bytes than were recorded.
        NotVaried: The simulator cannot vary the scene as the episode has it.
        NotReplayed: The simulator, the loaded model, or the rate of physics steps is not what the episode was made with.
        StatesUnreadable: The file cannot be read.
    """
    if record.states is None:
        raise NothingMoved(record.episode_id, record.outcome.failure_reason)
    found = digest_file(states).sha256 if states.is_file() else None
    if found != record.states.sha256:
        raise FileChanged(str(states), record.states.sha256, found)
    if loaded.info.name != record.simulator.name:
        raise NotReplayed(record.episode_id, f"it was made with {record.simulator.name}, and {loaded.info.name} acts here")
    if loaded.model_sha256 != record.model_sha256:
        raise NotReplayed(
            record.episode_id, f"it was made with model {record.model_sha256[:12]}, and the scene now has {loaded.model_sha256[:12]}"
        )
    if loaded.info.substeps != record.simulator.substeps:
        raise NotReplayed(
            record.episode_id, f"it was made with {record.simulator.substeps} physics steps a frame, not {loaded.info.substeps}"
        )
    simulator.vary(record.spec.variation)
    motion = load_motion(states)
    nq = len(simulator.observe().qpos)
    if motion.frames != record.frames or motion.qpos.shape[1] != nq or motion.ctrl.shape[1] != len(loaded.actuators):
        raise WrongShape(str(states), motion.qpos.shape, f"({record.frames + 1}, {nq})")
    return motion


def compare_motion(simulator: Simulator, motion: Motion, watch: Watch | None = None) -> tuple[int | None, float]:
    """Execute a motion and compare row by row.

    Returns:
        The first row that is not bit-identical (``None``: all are), and the largest absolute difference of ``qpos``.
    """
    first: int | None = None
    largest = 0.0
    rows = _embedded_rows(simulator, motion) if isinstance(simulator, MujocoSimulator) else _rows(simulator, motion)
    for frame, (qpos, qvel) in enumerate(rows):
        if not (_same_bits(qpos, motion.qpos[frame]) and _same_bits(qvel, motion.qvel[frame])):
            first = frame if first is None else first
            largest = max(largest, float(np.abs(qpos - motion.qpos[frame]).max()))
        if first is None and watch is not None and frame < motion.frames:
            watch(frame)
    return first, largest


def _rows(simulator: Simulator, motion: Motion) -> Iterator[tuple[FloatArray, FloatArray]]:
    """``qpos`` and ``qvel`` of every row, while the simulator stands there."""
    state = simulator.restore_state(motion.integration_state)
    yield state.qpos, state.qvel
    for setpoint in motion.ctrl[: motion.frames]:
        (state,) = simulator.track(setpoint[None]).states
        yield state.qpos, state.qvel


def _embedded_rows(simulator: MujocoSimulator, motion: Motion) -> Iterator[tuple[FloatArray, FloatArray]]:
    """The same in this process, without looking at contacts."""
    simulator.restore_state(motion.integration_state)
    yield simulator.data.qpos, simulator.data.qvel
    for setpoint in motion.ctrl[: motion.frames]:
        simulator.advance_blind(setpoint)
        yield simulator.data.qpos, simulator.data.qvel


def _same_bits(found: FloatArray, recorded: FloatArray) -> bool:
    return found.tobytes() == recorded.tobytes()
