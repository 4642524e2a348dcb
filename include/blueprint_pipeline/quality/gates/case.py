"""What a gate looks at, what it answers, and how its limit decides."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from blueprint_pipeline.episode.arrays import EpisodeArrays
from blueprint_pipeline.episode.record import EpisodeRecord, ReplayCertificate
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.licence.policy import LicenceBlocker
from blueprint_pipeline.origin import Origin
from blueprint_pipeline.quality.tiers import GateRule, Rule, TierConfig
from blueprint_pipeline.quality.verdicts import GateResult, Tier, WhenFailed
from blueprint_pipeline.task.spec import EpisodeSpec
from blueprint_pipeline.workspace.checksums import FileDigest

_TO_LIMIT = 1e-12
"""Slack in the comparison with a limit, relative: float64 sums are not exact."""


@dataclass(frozen=True, kw_only=True)
class RobotLimits:
    """What the robot's arms can do, joints in the embodiment's order, and which of its bodies may touch the target."""

    arms: tuple[str, ...]
    """Names of the arms."""
    joints: tuple[str, ...]
    """Names of all arms' joints, as in the dataset's columns."""
    lower_rad: FloatArray
    upper_rad: FloatArray
    velocity_rad_s: FloatArray
    torque_nm: FloatArray
    default_rad: FloatArray
    """Where each joint is at home."""
    inner: NDArray[np.bool_]
    """Which joints are neither the first nor the last of their arm."""
    finger_bodies: frozenset[str]
    """Names as in contacts: with the prefix ``robot/``."""


@dataclass(frozen=True, kw_only=True)
class EpisodeCase:
    """One episode, as found on disk, beside what was planned."""

    spec: EpisodeSpec
    shard_index: int
    fps: int
    record: EpisodeRecord
    states: FileDigest | None
    """Of the file on disk; ``None``: there is none."""
    arrays: EpisodeArrays | None
    """``None`` where there is no file, or ``schema_findings`` stand against it."""
    schema_findings: tuple[str, ...]
    robot: RobotLimits
    licence_blockers: tuple[LicenceBlocker, ...] | None
    """``None``: the licences could not be read."""


@dataclass(frozen=True, kw_only=True)
class RenderCase:
    """One rendered episode, as found on disk."""

    record: EpisodeRecord
    cameras: tuple[str, ...]
    """That the plan wants."""
    width: int
    height: int
    certificate: ReplayCertificate | None
    """``None``: there is none, or it cannot be read."""
    videos: Mapping[str, "ProbedVideo"]
    """By camera; absent where there is no file."""
    side_files: Mapping[str, FileDigest]
    """Depth and segmentation videos on disk, by file name."""


@dataclass(frozen=True, kw_only=True)
class ProbedVideo:
    """One video file as its container tells it, read from the bytes on disk."""

    digest: FileDigest
    frames: int | None
    """Packets of the video stream; ``None``: the container cannot be read."""
    width: int | None
    height: int | None
    frame_rate_hz: float | None


@dataclass(frozen=True)
class Measurement:
    """What a gate found."""

    value: float | None
    """``None``: it could not be measured; the gate fails."""
    message: str = ""
    origin: Origin = field(default=Origin.MEASURED)
    frame: int | None = None
    """First frame of the recording in which it is so, where there is one."""
    unusable: bool = False
    """Whatever the rule says of a failure: here it means that the account of the episode cannot be trusted."""


def not_measured(why: str) -> Measurement:
    """There is no value, and so no pass."""
    return Measurement(None, f"not measured: {why}", Origin.ABSENT)


def judge(name: str, measurement: Measurement, config: TierConfig, tier: Tier) -> GateResult:
    """Compare a measurement of an episode with its limit."""
    rule = config.gates[name]
    when_failed: WhenFailed = "unusable" if measurement.unusable else rule.when_failed
    return judge_by(name, measurement, rule, config.limit(name, tier), tier).model_copy(update={"when_failed": when_failed})


def judge_by(name: str, measurement: Measurement, rule: Rule, limit: float, tier: Tier) -> GateResult:
    """Compare a measurement with a limit, as a rule says."""
    value = measurement.value
    slack = _TO_LIMIT * max(abs(limit), 1.0)
    if value is None:
        passed, borderline = False, False
    else:
        passed = value <= limit + slack if rule.direction == "at_most" else value >= limit - slack
        borderline = rule.borderline_fraction > 0 and abs(value - limit) <= rule.borderline_fraction * abs(limit)
    return GateResult(
        gate=name,
        tier=tier,
        passed=passed,
        borderline=borderline,
        value=value,
        limit=limit,
        direction=rule.direction,
        unit=rule.unit,
        origin=measurement.origin,
        message=measurement.message,
        frame=measurement.frame,
    )


EpisodeMeasure = Callable[[EpisodeCase, GateRule], Measurement]
RenderMeasure = Callable[[RenderCase, GateRule], Measurement]


def on_arrays(measure: Callable[[EpisodeCase, EpisodeArrays, GateRule], Measurement]) -> EpisodeMeasure:
    """Make a gate of a function that needs the states: without them nothing is measured."""

    def guarded(case: EpisodeCase, rule: GateRule) -> Measurement:
        if case.arrays is None:
            return not_measured("nothing moved" if case.record.frames == 0 else "the recording cannot be read")
        if case.arrays.frames < 1:
            return not_measured("the recording has no frame")
        return measure(case, case.arrays, rule)

    return guarded
