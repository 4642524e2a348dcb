"""Gates on what the robot acts on: no teleport, nothing else moved, nothing inside another thing, no unexplained touch."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blueprint_pipeline.episode.arrays import Contacts, EpisodeArrays
from blueprint_pipeline.origin import Origin
from blueprint_pipeline.quality.gates.case import EpisodeCase, Measurement, not_measured
from blueprint_pipeline.quality.tiers import GateRule
from blueprint_pipeline.robot.names import ROBOT_PREFIX
from blueprint_pipeline.skill.registry import load_skill
from blueprint_pipeline.task.outcome import base_phase


def measure_object_speed(case: EpisodeCase, arrays: EpisodeArrays, _rule: GateRule) -> Measurement:
    """Largest displacement of an object's origin from one row to the next, times the rate [m/s]: no teleport."""
    if arrays.object_poses.shape[1] == 0:
        return not_measured("no object is recorded")
    speed = np.linalg.norm(np.diff(arrays.object_poses[:, :, :3], axis=0), axis=2) * case.fps
    row, index = np.unravel_index(int(speed.argmax()), speed.shape)
    return Measurement(float(speed[row, index]), f"{case.record.object_ids[index]} in frame {row}")


def measure_bystander_motion(case: EpisodeCase, arrays: EpisodeArrays, rule: GateRule) -> Measurement:
    """Largest distance of any object but the target from where it began [m], at any time; it begins where the widest limit is passed."""
    if case.spec.task.target_object not in case.record.object_ids:
        return not_measured(f"the target {case.spec.task.target_object} is not recorded")
    distance = np.linalg.norm(arrays.object_poses[:, :, :3] - arrays.object_poses[0, :, :3], axis=2)
    distance[:, case.record.object_ids.index(case.spec.task.target_object)] = 0.0
    row, index = np.unravel_index(int(distance.argmax()), distance.shape)
    widest = max(rule.limits.values()) if isinstance(rule.limits, dict) else float(distance[row, index])
    beyond = np.flatnonzero(distance[:, index] > widest)
    return Measurement(
        float(distance[row, index]),
        f"{case.record.object_ids[index]} in frame {row}" if distance.any() else "",
        frame=int(beyond[0]) if beyond.size else None,
    )


def measure_untouched_motion(case: EpisodeCase, arrays: EpisodeArrays, _rule: GateRule) -> Measurement:
    """Longest way of an object's origin [m] in frames in which neither the robot touches it, nor anything that the robot moves.

    What is let go falls a little, rocks and rolls to rest; what moves as a hand does, with no hand on it, was dragged by no physics. Of a
    target that its spring brings back only what leads away from its start counts.
    """
    if arrays.object_poses.shape[1] == 0:
        return not_measured("no object is recorded")
    ways = np.linalg.norm(np.diff(arrays.object_poses[:, :, :3], axis=0), axis=2)
    task = case.spec.task
    if load_skill(task.task_type).comes_back(task) and task.target_object in case.record.object_ids:
        target = case.record.object_ids.index(task.target_object)
        away = np.linalg.norm(arrays.object_poses[:, target, :3] - arrays.object_poses[0, target, :3], axis=1)
        ways[:, target] -= np.minimum(ways[:, target], np.maximum(-np.diff(away), 0.0))
    untouched = np.where(find_driven(arrays, case.record.object_ids), 0.0, ways).sum(axis=0)
    worst = int(untouched.argmax())
    return Measurement(float(untouched[worst]), case.record.object_ids[worst] if untouched[worst] else "")


def find_driven(arrays: EpisodeArrays, object_ids: Sequence[str]) -> NDArray[np.bool_]:
    """Which objects the robot touches in each frame, by itself or through other objects: (T, n_objects)."""
    touching: defaultdict[int, list[tuple[str, ...]]] = defaultdict(list)
    for row, pair in zip(arrays.contacts.row, arrays.contacts.pair, strict=True):
        touching[int(row)].append(tuple(pair.split("|")))
    movable = set(object_ids)
    driven = np.zeros((arrays.frames, len(object_ids)), dtype=bool)
    for row in range(arrays.frames):
        reached, waiting = set(), {body for pair in touching[row] for body in pair if body.startswith(ROBOT_PREFIX)}
        while waiting:
            reached |= waiting
            waiting = {body for pair in touching[row] if reached & {*pair} for body in pair if body in movable} - reached
        driven[row] = [object_id in reached for object_id in object_ids]
    return driven


def measure_penetration(_case: EpisodeCase, arrays: EpisodeArrays, _rule: GateRule) -> Measurement:
    """Largest depth of a contact [m]; a recording without any contact was not watched."""
    contacts = arrays.contacts
    if len(contacts.pair) == 0:
        return not_measured("no contact is recorded, not even of what stands on the table")
    worst = int(contacts.depth_m.argmax())
    return Measurement(float(contacts.depth_m[worst]), f"{contacts.pair[worst]} in frame {contacts.row[worst]}", _origin(contacts))


def _origin(contacts: Contacts) -> Origin:
    """Of what is said of contacts: of those whose force nobody measured, geometry alone tells."""
    return Origin.ESTIMATED if np.isnan(contacts.force_n).any() else Origin.MEASURED


@dataclass(frozen=True, kw_only=True)
class Touches:
    """Who may touch what in an episode; bodies of the robot begin with ``robot/``."""

    target: str
    """The object that the task is about."""
    support: str
    """The object that the target should stand on."""
    fingers: frozenset[str]
    """Bodies of the robot that may touch the target."""
    touch_phases: frozenset[str]
    """Phases in which they may: the skill says which."""
    standing: frozenset[frozenset[str]]
    """Pairs without the robot that touched at the start."""

    def explains(self, pair: frozenset[str], phase: str) -> bool:
        """Whether a pair of bodies has a reason to touch in a phase.

        Explained are: a finger and the target where the skill handles it; the target and the surface it should stand on;
        the fingers with each other (a closed gripper); and whatever touched at the very start, before the robot could
        have caused it. All else is not: the hand or an arm link on anything, a finger on anything but the target or out of
        its phase, the target or a bystander against something new.
        """
        of_robot = {name for name in pair if name.startswith(ROBOT_PREFIX)}
        if of_robot == pair:
            return pair <= self.fingers
        if of_robot:
            return of_robot <= self.fingers and pair - of_robot == {self.target} and base_phase(phase) in self.touch_phases
        return pair == {self.target, self.support} or pair in self.standing


def measure_unexplained_contacts(case: EpisodeCase, arrays: EpisodeArrays, rule: GateRule) -> Measurement:
    """Frames in which two bodies touch without a reason (:class:`Touches`).

    Touches below ``min_force_n`` count as none; where nobody measured the force, every touch counts.
    """
    contacts = arrays.contacts
    if len(contacts.pair) == 0:
        return not_measured("no contact is recorded, not even of what stands on the table")
    if not case.robot.finger_bodies:
        return not_measured("the embodiment names no finger bodies")
    pairs = {name: frozenset(name.split("|")) for name in set(contacts.pair)}
    window = int(np.ceil(rule.parameters["standing_window_s"] * case.fps))
    at_start = (pairs[name] for name, row in zip(contacts.pair, contacts.row, strict=True) if row <= window)
    touches = Touches(
        target=case.spec.task.target_object,
        support=case.spec.task.support_object,
        fingers=case.robot.finger_bodies,
        touch_phases=load_skill(case.spec.task.task_type).touch_phases,
        standing=frozenset(pair for pair in at_start if not any(body.startswith(ROBOT_PREFIX) for body in pair)),
    )
    rows: defaultdict[str, set[int]] = defaultdict(set)
    for name, row, force_n in zip(contacts.pair, contacts.row, contacts.force_n, strict=True):
        if not force_n < rule.parameters["min_force_n"] and not touches.explains(pairs[name], arrays.phase[row]):
            rows[name].add(int(row))
    told = "; ".join(
        f"{name} in {len(rows[name])} frames from {min(rows[name])}" for name in sorted(rows, key=lambda key: -len(rows[key]))[:3]
    )
    found = set().union(*rows.values())
    return Measurement(float(len(found)), told, _origin(contacts), frame=min(found, default=None))
