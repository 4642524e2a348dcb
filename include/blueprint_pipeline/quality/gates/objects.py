"""Gates on what the robot acts on: no teleport, nothing else moved, nothing inside another thing, no unexplained touch."""

from collections import defaultdict

import numpy as np

from blueprint_pipeline.episode.arrays import EpisodeArrays
from blueprint_pipeline.quality.gates.case import EpisodeCase, Measurement, not_measured
from blueprint_pipeline.quality.tiers import GateRule
from blueprint_pipeline.robot.embodiment import ROBOT_PREFIX


def measure_object_speed(case: EpisodeCase, arrays: EpisodeArrays, _rule: GateRule) -> Measurement:
    """Largest displacement of an object's origin from one row to the next, times the rate [m/s]: no teleport."""
    if arrays.object_poses.shape[1] == 0:
        return not_measured("no object is recorded")
    speed = np.linalg.norm(np.diff(arrays.object_poses[:, :, :3], axis=0), axis=2) * case.fps
    row, index = np.unravel_index(int(speed.argmax()), speed.shape)
    return Measurement(float(speed[row, index]), f"{case.record.object_ids[index]} in frame {row}")


def measure_bystander_motion(case: EpisodeCase, arrays: EpisodeArrays, _rule: GateRule) -> Measurement:
    """Largest distance of any object but the target from where it began [m], at any time."""
    if case.spec.task.target_object not in case.record.object_ids:
        return not_measured(f"the target {case.spec.task.target_object} is not recorded")
    distance = np.linalg.norm(arrays.object_poses[:, :, :3] - arrays.object_poses[0, :, :3], axis=2)
    distance[:, case.record.object_ids.index(case.spec.task.target_object)] = 0.0
    row, index = np.unravel_index(int(distance.argmax()), distance.shape)
    return Measurement(float(distance[row, index]), f"{case.record.object_ids[index]} in frame {row}" if distance.any() else "")


def measure_penetration(_case: EpisodeCase, arrays: EpisodeArrays, _rule: GateRule) -> Measurement:
    """Largest depth of a contact [m]; a recording without any contact was not watched."""
    contacts = arrays.contacts
    if len(contacts.pair) == 0:
        return not_measured("no contact is recorded, not even of what stands on the table")
    worst = int(contacts.depth_m.argmax())
    return Measurement(float(contacts.depth_m[worst]), f"{contacts.pair[worst]} in frame {contacts.row[worst]}")


def is_explained(pair: tuple[str, str], *, target: str, support: str, fingers: frozenset[str], standing: frozenset[frozenset[str]]) -> bool:
    """Whether a pair of bodies has a reason to touch.

    Explained are: a finger and the target; the target and the surface it shall stand on; the fingers with each other (a closed
    gripper); and whatever touched at the very start, before the robot could have caused it. All else is not: the hand
    or an arm link on anything, a finger on anything but the target, the target or a bystander against something new.

    Args:
        pair: Two bodies' names; the robot's begin with ``robot/``.
        target: The object that the task moves.
        support: The object that the target shall stand on.
        fingers: Bodies of the robot that may touch the target, with prefix.
        standing: Pairs without the robot that touched at the start.
    """
    names = frozenset(pair)
    of_robot = {name for name in names if name.startswith(ROBOT_PREFIX)}
    if of_robot == names:
        return names <= fingers
    if of_robot:
        return of_robot <= fingers and names - of_robot == {target}
    return names == {target, support} or names in standing


def measure_unexplained_contacts(case: EpisodeCase, arrays: EpisodeArrays, rule: GateRule) -> Measurement:
    """Frames in which two bodies touch without a reason (:func:`is_explained`); touches below ``min_force_n`` count as none."""
    contacts = arrays.contacts
    if len(contacts.pair) == 0:
        return not_measured("no contact is recorded, not even of what stands on the table")
    if not case.robot.finger_bodies:
        return not_measured("the embodiment names no finger bodies")
    pairs = {name: (name.split("|")[0], name.split("|")[1]) for name in set(contacts.pair)}
    window = int(np.ceil(rule.parameters["standing_window_s"] * case.fps))
    at_start = (pairs[name] for name, row in zip(contacts.pair, contacts.row, strict=True) if row <= window)
    standing = frozenset(frozenset(pair) for pair in at_start if not any(body.startswith(ROBOT_PREFIX) for body in pair))
    task = case.spec.task
    unexplained = {
        name
        for name, pair in pairs.items()
        if not is_explained(
            pair, target=task.target_object, support=task.support_object, fingers=case.robot.finger_bodies, standing=standing
        )
    }
    rows: defaultdict[str, set[int]] = defaultdict(set)
    for name, row, force_n in zip(contacts.pair, contacts.row, contacts.force_n, strict=True):
        if name in unexplained and force_n >= rule.parameters["min_force_n"]:
            rows[name].add(int(row))
    told = "; ".join(
        f"{name} in {len(rows[name])} frames from {min(rows[name])}" for name in sorted(rows, key=lambda key: -len(rows[key]))[:3]
    )
    return Measurement(float(len(set().union(*rows.values()))), told)
