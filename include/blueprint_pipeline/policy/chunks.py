"""Behaviour cloning with action chunks: where the arm rests, the policy says all that it commands until it next rests.

Demonstrations are cut where the commanded arm comes to rest, which is seen in the commands alone; the policy counts its chunks, and has a
model for each: a linear one by ridge regression, and a small network for what that leaves over. The commands are those of the dataset's
``action``, taken through the arm's forward kinematics. Each model sees the scene either in the base frame or turned with the target, says
places as seen from the base, the tool, the target or the second object, and has the network or not: whichever foretells demonstrations best
that were kept apart.

Source: keyframes at rests, counted: Shridhar, Manuelli and Fox, "Perceiver-Actor" (2022); chunks of actions: Zhao et al., "Learning
fine-grained bimanual manipulation with low-cost hardware" (2023).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from blueprint_pipeline.policy.errors import TooFewDemonstrations
from blueprint_pipeline.policy.network import Batch, Network, build_network, train
from blueprint_pipeline.policy.observation import Frames, doubled, see, see_turn

KNOTS = 6
"""Commands that are predicted, evenly spread over the time until the arm rests; the last one is where it rests."""
_SIZE = 9
_HIDDEN = (128, 128)
_BATCH = 64
_RATE = 2e-3
RIDGES = ((False, 2e-3), (True, 0.03), (True, 0.3))
"""Whether each object has weights of its own, and how much weights cost."""
ANCHORS = ("base", "tool", "target", "reference")
"""From where places are seen."""
_DISTURBED_M = 0.004
"""Standard deviation of the tool's place at the start of a chunk, while training."""
_KEPT_APART = 7
"""One demonstration of so many is kept apart to choose a model's axes."""
_FEWEST = 2
_ROUNDS = 8
"""Of weighing demonstrations anew."""
_AROUND = 6
_REST_SHARE, _REST_STEP = 0.3, 0.006
"""A step of the commands that is this small, and this small among those around it, is a rest [rad]."""
_LONG = 30.0
"""Frames, for the scale of durations."""
Float = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Demonstration:
    """The first frame of every chunk of an episode, c of them, and what was commanded in it, in the base frame."""

    frames: Frames
    command_m: Float
    """(c, KNOTS, 3): places of the tool."""
    command_turn: Float
    """(c, KNOTS, 3, 3): its rotations."""
    command_width_m: Float
    """(c, KNOTS): the openings."""
    duration: Float
    """(c,): frames until the arm rests."""


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """What is to be commanded."""

    places_m: Float
    """(KNOTS, 3) in the base frame."""
    turns: Float
    """(KNOTS, 3, 3)."""
    widths_m: Float
    """(KNOTS,)."""
    frames: int
    """How long all of it takes."""


@dataclass(frozen=True)
class Kind:
    """What kind of model it is."""

    with_target: bool
    """Whether the axes turn with the target about the base."""
    anchor: str
    """One of :data:`ANCHORS`."""
    by_object: bool
    """Whether each object has weights of its own."""
    ridge: float
    """How much weights cost."""
    steps: int
    """Of training the network; 0: there is none."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """Foretells one chunk."""

    kind: Kind
    shift: Float
    scale: Float
    weights: Float
    network: Network

    def foretell(self, frames: Frames) -> Float:
        """Outputs (b, KNOTS * 9 + 1) in the model's axes."""
        inputs = (frames.numbers(axes_of(frames, with_target=self.kind.with_target)) - self.shift) / self.scale
        found: Float = _linear(inputs, frames, self.weights) + self.network.predict(inputs.astype(np.float32))
        return found


@dataclass(frozen=True)
class Policy:
    """A model for each chunk, in order."""

    models: Sequence[Model]

    def act(self, frames: Frames, number: int) -> Chunk:
        """What to command from one frame on, as the chunk of that number."""
        model = self.models[number]
        out, axes = model.foretell(frames)[0], axes_of(frames, with_target=model.kind.with_target)[0]
        knots = out[:-1].reshape(KNOTS, _SIZE)
        turns, side = [], frames.tool_turn[0][:, 1]
        for knot in knots:
            turns.append(_rotation(axes @ knot[3:6], axes, knot[6:8], side))
            side = turns[-1][:, 1]
        frames_long = max(2, round(float(out[-1]) * _LONG))
        places_m = knots[:, :3] @ axes.T + anchor_of(frames, model.kind.anchor)[0]
        return Chunk(places_m=places_m, turns=np.stack(turns), widths_m=knots[:, 8], frames=frames_long)


def anchor_of(frames: Frames, name: str) -> Float:
    """From where places are seen, (b, 3) in the base frame."""
    anchors = {"tool": frames.tool_m, "target": frames.target_m, "reference": frames.reference_m}
    return anchors.get(name, np.zeros_like(frames.tool_m))


def axes_of(frames: Frames, *, with_target: bool) -> Float:
    """Axes about the base for each frame, (b, 3, 3): the base's own, or turned about the vertical so that x points to the target."""
    angle = np.arctan2(frames.target_m[:, 1], frames.target_m[:, 0]) * with_target
    cosine, sine, zero = np.cos(angle), np.sin(angle), np.zeros_like(angle)
    rows = [[cosine, -sine, zero], [sine, cosine, zero], [zero, zero, zero + 1]]
    return np.stack([np.stack(row, axis=1) for row in rows], axis=1)


def _rotation(approach: Float, axes: Float, twice: Float, side: Float) -> Float:
    """A tool's rotation from its approach and twice the angle of its closing line; of the two the one nearer to ``side``."""
    angle = np.arctan2(twice[1], twice[0]) / 2
    third = approach / np.linalg.norm(approach)
    second = axes @ np.array([np.cos(angle), np.sin(angle), 0.0])
    second -= third * (third @ second)
    second /= np.linalg.norm(second) * (1.0 if second @ side >= 0 else -1.0)
    return np.column_stack([np.cross(second, third), second, third])


def rests(arm_commands: Float) -> NDArray[np.int64]:
    """Frames of an episode (T, n) at whose end the commanded arm rests, the last one always; of a longer rest its first and last frame."""
    step = np.linalg.norm(np.diff(arm_commands, axis=0), axis=1)
    step = np.insert(step, 0, step[0])
    around = np.lib.stride_tricks.sliding_window_view(np.pad(step, _AROUND, mode="edge"), 2 * _AROUND + 1).max(axis=1)
    small = (step < _REST_STEP) & (step <= _REST_SHARE * around + 1e-9)
    lowest = step <= np.minimum(np.append(step[1:], np.inf), np.insert(step[:-1], 0, np.inf)) + 1e-12
    resting = small & lowest
    inside = resting & np.append(resting[1:], False) & np.insert(resting[:-1], 0, False)
    return np.union1d(np.flatnonzero(resting & ~inside), [len(step) - 1])


def knots_of(starts: NDArray[np.int64], ends: NDArray[np.int64], commands: Float) -> Float:
    """Commands (T, ...) of chunks from ``starts`` to ``ends`` (k,), evenly spread, the first frame's left out. (k, KNOTS, ...)."""
    rows = starts[:, None] + np.round((ends - starts)[:, None] * np.arange(1, KNOTS + 1) / KNOTS).astype(int)
    found: Float = commands[rows]
    return found


def train_policy(demonstrations: Sequence[Demonstration], *, steps: int, seed: int) -> Policy:
    """Train a model for each chunk, on the demonstrations that have as many chunks as most have.

    Raises:
        TooFewDemonstrations: Hardly any are alike.
    """
    counts = [len(item.duration) for item in demonstrations]
    usual = max(set(counts), key=counts.count)
    chosen = [item for item, count in zip(demonstrations, counts, strict=True) if count == usual]
    if len(chosen) < _FEWEST:
        raise TooFewDemonstrations(len(chosen), len(counts), _FEWEST)
    apart = [index % _KEPT_APART == 0 for index in range(len(chosen))]
    models = []
    for number in range(usual):
        data = _gather(chosen, number)
        rng = np.random.default_rng([seed, number])
        known, held = _some(data, ~np.array(apart)), _some(data, np.array(apart))
        kinds = [Kind(turned, anchor, *ridge, 0) for turned in (False, True) for anchor in ANCHORS for ridge in RIDGES]
        best = min(kinds, key=lambda kind: _error(_fit(known, kind, rng), held))
        best = min((best, replace(best, steps=steps)), key=lambda kind: _error(_fit(known, kind, rng), held))
        models.append(_fit(data, best, rng))
    return Policy(models)


def _gather(demonstrations: Sequence[Demonstration], number: int) -> Demonstration:
    """The same chunk of every demonstration."""
    rows = np.array([number])
    frames = [item.frames.at(rows) for item in demonstrations]
    joined = Frames(**{name: np.concatenate([vars(item)[name] for item in frames]) for name in vars(frames[0])})
    rest = {
        name: np.concatenate([vars(item)[name][rows] for item in demonstrations]) for name in vars(demonstrations[0]) if name != "frames"
    }
    return Demonstration(frames=joined, **rest)


def _some(data: Demonstration, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Demonstration:
    indices: NDArray[np.int64] = np.arange(len(rows))[rows] if rows.dtype == bool else rows.astype(np.int64)
    chosen = {name: value[indices] for name, value in vars(data).items() if name != "frames"}
    return Demonstration(frames=data.frames.at(indices), **chosen)


def _ridge(seen: Float, wanted: Float, ridge: float) -> Float:
    """Weights (n, m) that cost something, but for the last one, which is the constant; 0 where nothing was seen.

    Of two ways to do the same (a bowl is held by either side) the mean is none: demonstrations that are farther off than most count
    less, so that the commoner way is learnt. They count by Huber's weights, whose loss is convex: a loss that is not takes the few
    demonstrations of a rare sentence for outliers, and never learns it.

    Source: Huber, "Robust estimation of a location parameter" (1964); iteratively reweighted least squares: Holland and Welsch,
    "Robust regression using iteratively reweighted least squares" (1977).
    """
    found = np.zeros((seen.shape[1], wanted.shape[1]))
    if not len(seen):
        return found
    cost = np.diag(np.append(np.full(seen.shape[1] - 1, ridge * len(seen)), 1e-6))
    counts = np.ones((len(seen), 1))
    for _ in range(_ROUNDS):
        counts *= len(counts) / counts.sum()
        found[:] = np.linalg.solve(seen.T @ (seen * counts) + cost, seen.T @ (wanted * counts))
        far = np.maximum(_distance(seen @ found - wanted), 1e-9)
        counts = np.minimum(np.median(far) / far, 1.0)[:, None]
    return found


def _distance(missed: Float) -> Float:
    """How far off outputs (b, KNOTS * 9 + 1) are at the last command, (b,): a centimetre counts as much as 0.1 of a turn's columns."""
    last = np.abs(missed[:, -1 - _SIZE : -1])
    found: Float = last[:, :3].mean(axis=1) / 0.01 + last[:, 3:8].mean(axis=1) / 0.1
    return found


def _linear(inputs: Float, frames: Frames, weights: Float) -> Float:
    """What the weights (1 or n_objects, n, m) make of inputs (b, n - 1)."""
    seen = np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1)
    chosen = frames.target.argmax(axis=1) if len(weights) > 1 else np.zeros(len(seen), dtype=int)
    found: Float = np.einsum("bn,bnm->bm", seen, weights[chosen])
    return found


def _error(model: Model, data: Demonstration) -> float:
    """Median error of the last command (:func:`_distance`): one demonstration done another way does not decide."""
    return float(np.median(_distance(model.foretell(data.frames) - _wanted(data, data.frames, model.kind))))


def _fit(data: Demonstration, kind: Kind, rng: np.random.Generator) -> Model:
    inputs = data.frames.numbers(axes_of(data.frames, with_target=kind.with_target))
    wanted = _wanted(data, data.frames, kind)
    shift, scale = inputs.mean(axis=0), inputs.std(axis=0) + 0.01
    seen = np.concatenate([(inputs - shift) / scale, np.ones((len(inputs), 1))], axis=1)
    groups = data.frames.target if kind.by_object else np.ones((len(seen), 1))
    weights = np.stack([_ridge(seen[group > 0], wanted[group > 0], kind.ridge) for group in groups.T])
    network = build_network((inputs.shape[1], *_HIDDEN, wanted.shape[1]), rng)
    network.weights[-1] *= np.float32(0.0)

    def draw() -> Batch:
        rows = rng.integers(len(inputs), size=_BATCH)
        part = data.frames.at(rows)
        part = replace(part, tool_m=part.tool_m + rng.normal(0.0, _DISTURBED_M, part.tool_m.shape))
        now = (part.numbers(axes_of(part, with_target=kind.with_target)) - shift) / scale
        left = _wanted(_some(data, rows), part, kind) - _linear(now, part, weights)
        return now.astype(np.float32), left.astype(np.float32)

    if kind.steps:
        train(network, draw, steps=kind.steps, rate=_RATE)
    return Model(kind=kind, shift=shift, scale=scale, weights=weights, network=network)


def _wanted(data: Demonstration, frames: Frames, kind: Kind) -> Float:
    """Outputs (b, KNOTS * 9 + 1): places, approaches, closing lines doubled, openings; then the duration."""
    axes, anchor_m = axes_of(frames, with_target=kind.with_target), anchor_of(frames, kind.anchor)
    knots = []
    for index in range(KNOTS):
        turn = see_turn(axes, data.command_turn[:, index])
        place = see(axes, data.command_m[:, index] - anchor_m)
        knots.append(np.concatenate([place, turn[:, :, 2], doubled(turn[:, :, 1]), data.command_width_m[:, index, None]], axis=1))
    return np.concatenate([*knots, data.duration[:, None] / _LONG], axis=1)
