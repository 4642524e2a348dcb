"""Try a policy in a bundle's kit from starts that no demonstration has, and count how often it does the task."""

import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.kit.starts import STARTS, Start, load_starts
from blueprint_pipeline.kit.trial import DIVERGED, Trial, action_bounds
from blueprint_pipeline.kit.world import KitNotUsable, World
from blueprint_pipeline.policy.draw import KitDrawing
from blueprint_pipeline.policy.errors import ActionRefused, KitRefused, NoHeldOutStart, NoPolicyKit, PolicyFailed
from blueprint_pipeline.policy.intervals import wilson

_OWN_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What the code of a policy raises."""


class ActingPolicy(Protocol):
    """What is tried. If it has a method ``reset``, that is called before each trial."""

    def __call__(self, observation: dict[str, Any], /) -> Any:
        """An action, as a row of the dataset's ``action``, for a frame in the dataset's columns (and the sentence under ``task``)."""


class TrialResult(FrozenModel):
    """How one trial ended."""

    start_id: str
    instruction: str
    success: bool
    frames: int
    missed: str | None
    """The first condition that did not hold when time was up."""


class Evaluation(FrozenModel):
    """How often a policy does the task."""

    schema_version: Literal["1.0"] = "1.0"
    policy: str
    scene_id: str
    trials: tuple[TrialResult, ...]
    successes: int
    share: float
    interval: tuple[float, float]
    """95 %, Wilson's."""
    missed: dict[str, int]
    """How many trials missed which condition first, most first."""


def find_kit(bundle: Path) -> Path:
    """The kit of a bundle.

    Raises:
        NoPolicyKit: It has none that a policy can be tried in.
    """
    kit = bundle / "data" / "replay"
    missing = [name for name in ("kit.json", STARTS) if not (kit / name).is_file()]
    if missing:
        raise NoPolicyKit(str(bundle), f"data/replay/{missing[0]}")
    return kit


def evaluate(
    kit: Path,
    policy: ActingPolicy,
    *,
    name: str,
    trials: int,
    cameras: Sequence[str] = (),
    on_trial: Callable[[TrialResult], None] = lambda _: None,
) -> Evaluation:
    """Try a policy from the first held-out starts of a kit.

    Args:
        kit: Its folder.
        policy: What is tried.
        name: How the policy is called in the result.
        trials: How many.
        cameras: Cameras that it sees.
        on_trial: Called with each result.

    Raises:
        KitRefused: The kit is of another version of MuJoCo, is damaged, or has no such camera.
        NoHeldOutStart: The kit has fewer starts.
        ActionRefused: The policy gave something that is no action.
        PolicyFailed: The policy raised an exception.
        RendererMissing: It sees through a camera, and nothing on this machine can draw.
    """
    world, known = _open(kit, cameras)
    starts = [start for start in known.values() if not start.delivered]
    if len(starts) < trials:
        raise NoHeldOutStart(str(kit), len(starts), trials)
    painter = KitDrawing(world) if cameras else None
    results = []
    try:
        for start in starts[:trials]:
            results.append(_try(Trial(world, start, cameras, painter.draw if painter else None), start, policy))
            on_trial(results[-1])
    except KitNotUsable as reason:
        raise KitRefused(str(kit), str(reason)) from None
    finally:
        if painter is not None:
            painter.close()
    held = sum(result.success for result in results)
    missed = Counter(result.missed for result in results if result.missed is not None)
    return Evaluation(
        policy=name,
        scene_id=world.kit["scene_id"],
        trials=tuple(results),
        successes=held,
        share=held / trials,
        interval=wilson(held, trials),
        missed=dict(missed.most_common()),
    )


def _open(kit: Path, cameras: Sequence[str]) -> tuple[World, dict[str, Start]]:
    try:
        world, starts = World(kit), load_starts(kit)
    except KitNotUsable as reason:
        raise KitRefused(str(kit), str(reason)) from None
    if unknown := sorted(set(cameras) - set(world.kit["cameras"])):
        raise KitRefused(str(kit), f"it has no camera {', '.join(unknown)}; it has {', '.join(world.kit['cameras'])}")
    return world, starts


def _try(trial: Trial, start: Start, policy: ActingPolicy) -> TrialResult:
    reset = getattr(policy, "reset", None)
    if reset is not None:
        reset()
    expected, missed = len(action_bounds(trial.world)[0]), trial.missed()
    while trial.frames < trial.world.kit["max_steps"]:
        trial.act(_read_action(_ask(policy, trial), trial.frames, expected))
        if (missed := trial.missed()) in {None, DIVERGED}:
            break
    told = {"start_id": start.start_id, "instruction": start.instruction, "frames": trial.frames}
    return TrialResult(**told, success=missed is None, missed=missed)


def _ask(policy: ActingPolicy, trial: Trial) -> Any:
    """What a policy gives for the present frame; an error of ours that it meets is told as itself."""
    seen = trial.observe()
    try:
        return policy(seen)
    except _OWN_FAULTS as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise PolicyFailed(trial.frames, repr(error), f"{last.filename}:{last.lineno}") from error


def _read_action(given: Any, frame: int, expected: int) -> FloatArray:
    try:
        action = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise ActionRefused(frame, type(given).__name__, expected) from None
    if action.shape != (expected,):
        raise ActionRefused(frame, f"an array of shape {action.shape}", expected)
    if not np.isfinite(action).all():
        raise ActionRefused(frame, "a number that is not finite", expected)
    return action


def describe_evaluation(found: Evaluation) -> str:
    """The result in a sentence."""
    low, high = found.interval
    missed = ", ".join(f"{name} {count}" for name, count in found.missed.items())
    return (
        f"{found.successes} of {len(found.trials)} held-out starts succeed, {found.share:.0%} (95 % interval {low:.0%} to {high:.0%})"
        + (f"; missed first: {missed}" if missed else "")
    )
