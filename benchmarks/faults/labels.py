"""Faults of what an episode says that it is: another episode's task, a licence that nobody read, a start that is not its own."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from blueprint_pipeline.episode.states import Motion
from blueprint_pipeline.quality.gates.case import EpisodeCase
from blueprint_pipeline.task.task import Task

LabelFault = Callable[[EpisodeCase, EpisodeCase], EpisodeCase]
"""An episode and another one of its job in, the first with one fault out."""
ReplayFault = Callable[[Motion], Motion]
"""What a replay starts from and executes; only executing it can tell."""


def _relabelled(case: EpisodeCase, task: Task) -> EpisodeCase:
    spec = case.spec.model_copy(update={"task": task})
    return replace(case, spec=spec, record=case.record.model_copy(update={"spec": spec}))


def label_of_another_object(case: EpisodeCase, other: EpisodeCase) -> EpisodeCase:
    """The sentence and the task name another object."""
    return _relabelled(case, other.spec.task)


def goal_of_another_episode(case: EpisodeCase, other: EpisodeCase) -> EpisodeCase:
    """The target is right; where it should go is what another episode was asked for."""
    return _relabelled(case, other.spec.task.model_copy(update={"target_object": case.spec.task.target_object}))


def recording_of_another_episode(case: EpisodeCase, other: EpisodeCase) -> EpisodeCase:
    """The states are another episode's."""
    return replace(other, spec=case.spec, record=case.record, states=case.states)


def licences_not_read(case: EpisodeCase, _other: EpisodeCase) -> EpisodeCase:
    """Nobody looked at the licences of what is in the picture."""
    return replace(case, licence_blockers=None)


def float32_start(motion: Motion) -> Motion:
    """The state that a replay starts from was stored in single precision."""
    return replace(motion, integration_state=motion.integration_state.astype(np.float32).astype(np.float64))


def float32_commands(motion: Motion) -> Motion:
    """Commands were stored in single precision."""
    return replace(motion, ctrl=motion.ctrl.astype(np.float32).astype(np.float64))


def other_start(motion: Motion) -> Motion:
    """One number of the start is another one by a billionth."""
    state = motion.integration_state.copy()
    state[1] += 1e-9
    return replace(motion, integration_state=state)


def edited_states(motion: Motion) -> Motion:
    """One frame's positions were smoothed by hand."""
    qpos = motion.qpos.copy()
    middle = len(qpos) // 2
    qpos[middle] = (qpos[middle - 1] + qpos[middle + 1]) / 2
    return replace(motion, qpos=qpos)


def lost_command(motion: Motion) -> Motion:
    """One frame's command is that of the frame before."""
    ctrl = motion.ctrl.copy()
    moving = int(np.abs(np.diff(ctrl, axis=0)).sum(axis=1).argmax()) + 1
    ctrl[moving] = ctrl[moving - 1]
    return replace(motion, ctrl=ctrl)


LABEL_FAULTS: dict[str, LabelFault] = {
    fault.__name__: fault for fault in (label_of_another_object, goal_of_another_episode, recording_of_another_episode, licences_not_read)
}
REPLAY_FAULTS: dict[str, ReplayFault] = {
    fault.__name__: fault for fault in (float32_start, float32_commands, other_start, edited_states, lost_command)
}
