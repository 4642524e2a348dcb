"""Gates on the recording itself: ended well, the recorded bytes, the format, the clock, the length."""

import numpy as np

from blueprint_pipeline.episode.arrays import EpisodeArrays
from blueprint_pipeline.origin import Origin
from blueprint_pipeline.quality.gates.case import EpisodeCase, Measurement, not_measured
from blueprint_pipeline.quality.tiers import GateRule
from blueprint_pipeline.simulation.errors import SimulationDiverged


def measure_outcome(case: EpisodeCase, _rule: GateRule) -> Measurement:
    """1 where the attempt ended with a failure, else 0; the message names its stage and reason.

    A simulation that diverged is no failure of the robot.
    """
    outcome = case.record.outcome
    if outcome.success:
        return Measurement(0.0, "ended with success", Origin.SIMULATED)
    stage, code = outcome.failure_stage or "unknown stage", outcome.failure_code or "no code"
    told = f"{stage}: {code}: {outcome.failure_reason or 'no reason given'}"
    return Measurement(1.0, told, Origin.SIMULATED, unusable=code == SimulationDiverged.code)


def measure_recording(case: EpisodeCase, _rule: GateRule) -> Measurement:
    """Differences between episode.json, the plan and the bytes on disk."""
    record = case.record
    if case.states is None or record.states is None:
        return not_measured("nothing moved" if record.frames == 0 else "states.parquet is missing")
    found = []
    if case.states != record.states:
        found.append(f"states.parquet has sha256 {case.states.sha256[:12]}, recorded {record.states.sha256[:12]}")
    if record.spec != case.spec:
        found.append("the episode's spec is not the plan's")
    if record.shard_index != case.shard_index:
        found.append(f"shard {record.shard_index}, planned {case.shard_index}")
    if record.fps != case.fps:
        found.append(f"{record.fps} fps, planned {case.fps}")
    if abs(record.duration_s - record.frames / record.fps) > 1.0 / record.fps:
        found.append(f"duration {record.duration_s} s, but {record.frames} frames at {record.fps} Hz")
    return Measurement(float(len(found)), "; ".join(found))


def measure_schema(case: EpisodeCase, _rule: GateRule) -> Measurement:
    """Findings about columns, types, lengths and numbers of states.parquet."""
    if case.states is None:
        return not_measured("nothing moved" if case.record.frames == 0 else "states.parquet is missing")
    return Measurement(float(len(case.schema_findings)), "; ".join(case.schema_findings[:5]))


def measure_timestamps(case: EpisodeCase, arrays: EpisodeArrays, _rule: GateRule) -> Measurement:
    """Largest distance of a row's time from ``time_0 + row / fps`` [s]; nothing where frame_index is not 0, 1, 2..."""
    rows = np.arange(len(arrays.time_s))
    wrong = np.flatnonzero(arrays.frame_index != rows)
    if wrong.size:
        return not_measured(f"row {wrong[0]} has frame_index {arrays.frame_index[wrong[0]]}, so time has no order")
    error_s = np.abs(arrays.time_s - arrays.time_s[0] - rows / case.fps)
    worst = int(error_s.argmax())
    return Measurement(float(error_s[worst]), f"row {worst} is the farthest from uniform time")


def measure_duration(case: EpisodeCase, arrays: EpisodeArrays, _rule: GateRule) -> Measurement:
    """Length of the motion [s], from the rows that are there."""
    return Measurement(arrays.frames / case.fps, f"{arrays.frames} frames")
