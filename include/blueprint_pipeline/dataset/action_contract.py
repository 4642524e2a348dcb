"""What the ``action`` column means, and how late the robot follows it: measured over every frame, and written beside the data.

An arm whose actuators are springs trails its setpoint. How many frames, a lab must know that compares actions with states, shifts them,
or executes a policy; so it is measured here and stated, not assumed.
"""

from typing import Literal

import numpy as np
from pydantic import Field

from blueprint_pipeline.dataset.features import ACTION, STATE, VectorFeature
from blueprint_pipeline.dataset.frames import EpisodeFrames, Float32
from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.geometry.arrays import FloatArray

CONTRACT = "meta/blueprint_pipeline/action_contract.json"
LAGS = 9
"""Lags from 0 to 8 frames are measured."""
MEASURED_BY = "blueprint_pipeline.dataset.action_contract.lag_differences"


class LagDifference(FrozenModel):
    """How far the state of a later frame is from an action."""

    frames: int
    """k."""
    mean_abs: float
    """Mean of ``|action[t] - observation.state[t + k]|`` over all frames and columns."""
    max_abs: float


class PartContract(FrozenModel):
    """Columns of ``action`` that are one arm or one gripper."""

    name: str
    columns: tuple[str, ...]
    """Each ends in its unit."""
    kind: Literal["arm", "gripper"]
    meaning: str
    lag_frames: int
    """The k at which state is nearest to action, in the mean."""
    differences: tuple[LagDifference, ...]
    """By k."""


class ActionContract(FrozenModel):
    """``meta/blueprint_pipeline/action_contract.json``."""

    schema_version: Literal["1.0"] = "1.0"
    kind: Literal["absolute"] = "absolute"
    """Positions, not differences from the state."""
    rate_hz: int
    between_frames: Literal["linear"] = "linear"
    """During frame t the command goes linearly from action[t - 1] to action[t], which it has at the frame's end."""
    measured_by: str = MEASURED_BY
    frames: int
    """Over how many it was measured."""
    episodes: int
    parts: tuple[PartContract, ...] = Field(min_length=1)


_MEANING = {
    "arm": "Commanded joint positions. Revolute joints in rad, prismatic ones in m, in the robot's own order and signs.",
    "gripper": "Commanded opening between the fingers in m: 0 is closed, larger is wider.",
}


def lag_differences(state: Float32, action: Float32) -> tuple[FloatArray, FloatArray]:
    """How far apart action and later states are in one episode.

    Args:
        state: Shape (T, C).
        action: Shape (T, C), the same columns.

    Returns:
        For each lag k of :data:`LAGS`, shape (LAGS, C): the sum of ``|action[t] - state[t + k]|`` over the t that every lag has
        (t < T - LAGS + 1, so that all lags are measured over the same frames), and the largest.
    """
    compared = max(len(state) - LAGS + 1, 0)
    away = [np.abs(action[:compared].astype(np.float64) - state[lag : compared + lag]) for lag in range(LAGS)]
    return np.stack([item.sum(axis=0) for item in away]), np.stack([item.max(axis=0, initial=0.0) for item in away])


class LagMeter:
    """Measures the lag of a dataset, episode by episode, in memory that does not grow.

    Args:
        vectors: The dataset's columns.
    """

    def __init__(self, vectors: tuple[VectorFeature, ...]) -> None:
        self._action = next(vector for vector in vectors if vector.key == ACTION)
        self._sums = np.zeros((LAGS, self._action.size))
        self._largest = np.zeros((LAGS, self._action.size))
        self._frames = 0
        self._episodes = 0

    def add(self, frames: EpisodeFrames) -> None:
        """Measure one more episode; one that is shorter than the lags counts nothing."""
        sums, largest = lag_differences(frames.vectors[STATE], frames.vectors[ACTION])
        self._sums += sums
        self._largest = np.maximum(self._largest, largest)
        compared = max(frames.length - LAGS + 1, 0)
        self._frames += compared
        self._episodes += compared > 0

    def contract(self, fps: int) -> ActionContract | None:
        """What was measured; ``None`` where no episode was long enough."""
        if not self._frames:
            return None
        parts = tuple(self._part(name, part) for name, part in self._action.parts.items())
        return ActionContract(rate_hz=fps, frames=self._frames, episodes=self._episodes, parts=parts)

    def _part(self, name: str, part: slice) -> PartContract:
        means = self._sums[:, part].mean(axis=1) / self._frames
        kind: Literal["arm", "gripper"] = "gripper" if name.endswith("gripper") else "arm"
        return PartContract(
            name=name,
            columns=self._action.names[part],
            kind=kind,
            meaning=_MEANING[kind],
            lag_frames=int(means.argmin()),
            differences=tuple(
                LagDifference(frames=lag, mean_abs=float(means[lag]), max_abs=float(self._largest[lag, part].max())) for lag in range(LAGS)
            ),
        )


def describe_lag(contract: ActionContract | None) -> str:
    """A sentence on how late the robot follows, with figures."""
    if contract is None:
        return "No episode was long enough to measure how late the robot follows its actions."
    told = []
    for part in contract.parts:
        nearest, unit = part.differences[part.lag_frames], "m" if part.kind == "gripper" else "rad"
        told.append(
            f"`{part.name}` is nearest to its action {part.lag_frames} frame(s) later (mean difference {nearest.mean_abs:.2g} {unit}, "
            f"largest {nearest.max_abs:.2g} {unit}; at the end of the frame itself, 1 later, {part.differences[1].mean_abs:.2g} {unit})"
        )
    return f"The robot trails its setpoints, as springs do: {'; '.join(told)}. Measured over {contract.frames} frames; see `{CONTRACT}`."
