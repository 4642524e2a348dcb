"""Gates on the task: every condition of success holds, as was judged while it was simulated and as the recorded states show."""

from collections.abc import Sequence

import numpy as np

from blueprint_pipeline.episode.arrays import EpisodeArrays
from blueprint_pipeline.kit.predicates import ObservedMotion
from blueprint_pipeline.origin import Origin
from blueprint_pipeline.quality.gates.case import EpisodeCase, Measurement, not_measured
from blueprint_pipeline.quality.tiers import GateRule
from blueprint_pipeline.skill.conditions import SupportNotObserved, observe
from blueprint_pipeline.skill.registry import load_skill
from blueprint_pipeline.task.outcome import Outcome, PredicateCheck, describe_missed
from blueprint_pipeline.task.task import Task


def measure_task_predicate(case: EpisodeCase, _rule: GateRule) -> Measurement:
    """Conditions that did not hold, by the account of who simulated the episode."""
    checks = case.record.outcome.predicate
    if not checks:
        return not_measured("the predicate was never evaluated")
    missed = [check for check in checks if not check.held]
    return Measurement(float(len(missed)), describe_missed(missed), Origin.SIMULATED)


def measure_task_recheck(case: EpisodeCase, arrays: EpisodeArrays, rule: GateRule) -> Measurement:
    """Conditions that do not hold when the skill judges the recorded states, or that the recorded account leaves out or tells otherwise.

    An account that the states contradict is unusable, for a failure as for a success: nobody could say what went wrong.
    """
    task = case.spec.task
    if task.target_object not in case.record.object_ids:
        return not_measured(f"the target {task.target_object} is not recorded")
    motion = observed_motion(task, case.record.object_ids, arrays, arm=case.robot.arms.index(case.spec.arm), fps=case.fps)
    try:
        found = load_skill(task.task_type).check(task, motion)
    except SupportNotObserved:
        return not_measured(f"{task.support_object}, on which the target shall end, is not recorded")
    outcome = case.record.outcome
    contradicted = _contradictions(found, outcome, rule.parameters["tolerance"])
    missed = [check for check in found if not check.held]
    messages = [describe_missed([check]) for check in missed] + contradicted
    return Measurement(float(len(messages)), "; ".join(messages), unusable=bool(contradicted))


def _contradictions(found: Sequence[PredicateCheck], outcome: Outcome, tolerance: float) -> list[str]:
    """What the account of an attempt says otherwise than its states, in words."""
    told = {check.name: check for check in outcome.predicate}
    if not told and not outcome.success:  # it broke off before anything was judged: then the states must not say that all was done
        return (
            []
            if any(not check.held for check in found)
            else ["every condition holds in the states, but the attempt is told to have failed"]
        )
    return [
        f"{check.name}: {check.value:.4g} {check.unit} in the states, but "
        + (f"{told[check.name].value:.4g} in the record" if check.name in told else "it was not checked")
        for check in found
        if check.name not in told or abs(told[check.name].value - check.value) > tolerance
    ]


def observed_motion(task: Task, object_ids: Sequence[str], arrays: EpisodeArrays, *, arm: int, fps: int) -> ObservedMotion:
    """What the success predicate judges, from recorded states."""
    frames: list[list[str]] = [[] for _ in range(arrays.frames + 1)]
    for row, bodies in zip(arrays.contacts.row, arrays.contacts.pair, strict=True):
        frames[row].append(bodies)
    return observe(
        task,
        object_ids,
        np.asarray(arrays.object_poses),
        gripper_width_m=arrays.gripper_width_m[:, arm],
        contacts=frames,
        fps=fps,
    )
