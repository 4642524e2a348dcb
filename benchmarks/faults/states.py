"""Faults of what was recorded: states, contacts, commands, times and what the episode claims to be.

Axes: ``[T + 1, ...]``, one row a frame and the state after the last one.
"""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np

from blueprint_pipeline.episode.arrays import Contacts, EpisodeArrays
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.quality.gates.case import EpisodeCase
from blueprint_pipeline.task.outcome import Phase

Fault = Callable[[EpisodeCase], EpisodeCase]
"""An episode in, the same with one fault out."""


def arrays_of(case: EpisodeCase) -> EpisodeArrays:
    """What was recorded; kept episodes have it."""
    if case.arrays is None:
        raise ValueError(f"episode {case.spec.episode_id} has no states")
    return case.arrays


def _with(case: EpisodeCase, **columns: Any) -> EpisodeCase:
    return replace(case, arrays=replace(arrays_of(case), **columns))


def _target(case: EpisodeCase) -> int:
    return case.record.object_ids.index(case.spec.task.target_object)


def _bystander(case: EpisodeCase) -> int:
    return 1 if _target(case) == 0 else 0


def _held(case: EpisodeCase) -> slice:
    """Frames from the first to the last in which a finger touches the target."""
    contacts, fingers = arrays_of(case).contacts, case.robot.finger_bodies
    target = case.spec.task.target_object
    rows = [
        row for row, pair in zip(contacts.row, contacts.pair, strict=True) if target in pair.split("|") and fingers & {*pair.split("|")}
    ]
    return slice(int(min(rows)), int(max(rows)) + 1)


def _middle(case: EpisodeCase) -> int:
    held = _held(case)
    return int(held.start + held.stop) // 2


def _moved(case: EpisodeCase, thing: int, rows: slice, by_m: FloatArray) -> EpisodeCase:
    poses = arrays_of(case).object_poses.copy()
    poses[rows, thing, :3] += by_m
    return _with(case, object_poses=poses)


def _changed(case: EpisodeCase, column: str, change: Callable[[FloatArray], None]) -> EpisodeCase:
    values = getattr(arrays_of(case), column).copy()
    change(values)
    return _with(case, **{column: values})


def _rows(case: EpisodeCase, rows: np.ndarray) -> EpisodeCase:
    """The episode with these rows of it, in this order."""
    arrays, place = arrays_of(case), {int(row): at for at, row in enumerate(rows)}
    columns: dict[str, Any] = {}
    for field in fields(arrays):
        values = getattr(arrays, field.name)
        if isinstance(values, np.ndarray):
            columns[field.name] = values[rows]
        elif isinstance(values, tuple):
            columns[field.name] = tuple(values[row] for row in rows)
    kept = [index for index, row in enumerate(arrays.contacts.row) if int(row) in place]
    columns["contacts"] = _contacts(arrays.contacts, kept, [place[int(arrays.contacts.row[index])] for index in kept])
    columns["frame_index"] = np.arange(len(rows))
    frames = len(rows) - 1
    phases = [Phase(name=p.name, start_frame=min(p.start_frame, frames), end_frame=min(p.end_frame, frames)) for p in case.record.phases]
    record = case.record.model_copy(
        update={"frames": frames, "duration_s": frames / case.fps, "phases": tuple(p for p in phases if p.end_frame > p.start_frame)}
    )
    return replace(case, arrays=EpisodeArrays(**columns), record=record)


def _contacts(contacts: Contacts, kept: list[int], rows: list[int]) -> Contacts:
    return Contacts(
        row=np.array(rows, dtype=np.int64),
        pair=tuple(contacts.pair[index] for index in kept),
        depth_m=contacts.depth_m[kept],
        force_n=contacts.force_n[kept],
    )


def _touched(case: EpisodeCase, pair: str, row: int) -> EpisodeCase:
    contacts = arrays_of(case).contacts
    return _with(
        case,
        contacts=Contacts(
            row=np.append(contacts.row, row),
            pair=(*contacts.pair, pair),
            depth_m=np.append(contacts.depth_m, 0.0005),
            force_n=np.append(contacts.force_n, 5.0),
        ),
    )


def teleport(case: EpisodeCase) -> EpisodeCase:
    """The target is 10 cm elsewhere for one frame."""
    middle = _middle(case)
    return _moved(case, _target(case), slice(middle, middle + 1), np.array([0.1, 0.0, 0.0]))


def teleport_of_a_bystander(case: EpisodeCase) -> EpisodeCase:
    """Another object is 4 cm elsewhere from one frame to the next."""
    return _moved(case, _bystander(case), slice(_middle(case), None), np.array([0.0, 0.04, 0.0]))


def shoved_bystander(case: EpisodeCase) -> EpisodeCase:
    """Another object slides 5 cm, slowly, with nothing near it."""
    rows = len(arrays_of(case).time_s)
    return _moved(case, _bystander(case), slice(None), np.linspace(0, 0.05, rows)[:, None] * np.array([1.0, 0.0, 0.0]))


def kinematic_drag(case: EpisodeCase) -> EpisodeCase:
    """The target moves with the hand, and nothing touches it."""
    contacts, target = arrays_of(case).contacts, case.spec.task.target_object
    kept = [index for index, pair in enumerate(contacts.pair) if not ("robot/" in pair and target in pair.split("|"))]
    return _with(case, contacts=_contacts(contacts, kept, [int(contacts.row[index]) for index in kept]))


def stuck_on_the_finger(case: EpisodeCase) -> EpisodeCase:
    """After the release the target goes on with the hand."""
    arrays, release = arrays_of(case), _held(case).stop
    arm = case.robot.arms.index(case.spec.arm)
    way = arrays.ee_pose[release:, arm, :3] - arrays.ee_pose[release, arm, :3]
    return _moved(case, _target(case), slice(release, None), way)


def never_released(case: EpisodeCase) -> EpisodeCase:
    """The episode ends while the target is still held, and calls itself a success."""
    return _rows(case, np.arange(_held(case).stop - 5))


def never_lifted(case: EpisodeCase) -> EpisodeCase:
    """The target slides along the table instead."""
    index = _target(case)

    def lower(poses: FloatArray) -> None:
        poses[:, index, 2] = np.minimum(poses[:, index, 2], poses[0, index, 2] + 0.001)

    return _changed(case, "object_poses", lower)


def tipped_over(case: EpisodeCase) -> EpisodeCase:
    """The target lies on its side after the release."""
    index, release = _target(case), _held(case).stop

    def turn(poses: FloatArray) -> None:
        w, x, y, z = poses[release:, index, 3:].T.copy()
        half = np.sqrt(0.5)
        poses[release:, index, 3:] = half * np.stack([w - x, w + x, y - z, y + z], axis=1)

    return _changed(case, "object_poses", turn)


def still_sliding(case: EpisodeCase) -> EpisodeCase:
    """The target is not at rest at the end."""
    rows = np.arange(len(arrays_of(case).time_s))
    return _moved(case, _target(case), slice(None), np.clip(rows - rows[-15], 0, None)[:, None] * np.array([0.002, 0.0, 0.0]))


def deep_penetration(case: EpisodeCase) -> EpisodeCase:
    """One contact is 15 mm deep."""
    contacts = arrays_of(case).contacts
    depth = contacts.depth_m.copy()
    depth[len(depth) // 2] = 0.015
    return _with(case, contacts=replace(contacts, depth_m=depth))


def arm_hits_the_support(case: EpisodeCase) -> EpisodeCase:
    """A link of the arm touches what the objects stand on, in one frame."""
    return _touched(case, "|".join(sorted(["robot/forearm", case.spec.task.support_object])), 5)


def hand_hits_a_bystander(case: EpisodeCase) -> EpisodeCase:
    """A finger touches another object, in one frame."""
    finger, other = min(case.robot.finger_bodies), case.record.object_ids[_bystander(case)]
    return _touched(case, "|".join(sorted([finger, other])), _middle(case))


def joint_beyond_its_limit(case: EpisodeCase) -> EpisodeCase:
    """One joint is 1 degree beyond its limit in one frame."""
    row, upper = _middle(case), case.robot.upper_rad[3]

    def bend(qpos: FloatArray) -> None:
        qpos[row, 3] = upper + np.deg2rad(1)

    return _changed(case, "robot_qpos", bend)


def joint_too_fast(case: EpisodeCase) -> EpisodeCase:
    """One joint is 5 % faster than the maker allows in one frame."""
    row, most = _middle(case), case.robot.velocity_rad_s[1]

    def hurry(qvel: FloatArray) -> None:
        qvel[row, 1] = 1.05 * most

    return _changed(case, "robot_qvel", hurry)


def joint_too_strong(case: EpisodeCase) -> EpisodeCase:
    """One motor gives 5 % more than it can in one frame."""
    row, most = _middle(case), case.robot.torque_nm[1]

    def strain(torque: FloatArray) -> None:
        torque[row, 1] = -1.05 * most

    return _changed(case, "robot_torque", strain)


def clock_skew(case: EpisodeCase) -> EpisodeCase:
    """From the middle on, times are 2 ms late."""
    row = _middle(case)

    def delay(time_s: FloatArray) -> None:
        time_s[row:] += 0.002

    return _changed(case, "time_s", delay)


def dropped_frame(case: EpisodeCase) -> EpisodeCase:
    """One frame is missing."""
    rows = np.arange(len(arrays_of(case).time_s))
    return _rows(case, np.delete(rows, _middle(case)))


def dropped_frame_with_even_times(case: EpisodeCase) -> EpisodeCase:
    """Six frames of the carry are missing, and the times were written anew."""
    middle = _middle(case)
    rows = np.delete(np.arange(len(arrays_of(case).time_s)), slice(middle, middle + 6))
    cut = _rows(case, rows)
    return _with(cut, time_s=np.arange(len(rows)) / case.fps + arrays_of(case).time_s[0])


def frozen_states(case: EpisodeCase) -> EpisodeCase:
    """The robot's positions stand still for 10 frames of its motion, as when a sensor hangs."""
    row = _middle(case)

    def freeze(qpos: FloatArray) -> None:
        qpos[row : row + 10] = qpos[row]

    return _changed(case, "robot_qpos", freeze)


def commands_of_later_frames(case: EpisodeCase) -> EpisodeCase:
    """Commands are written 8 frames before they were given."""

    def shift(command: FloatArray) -> None:
        command[:-8] = command[8:].copy()

    return _changed(case, "robot_command", shift)


def commands_of_earlier_frames(case: EpisodeCase) -> EpisodeCase:
    """Commands are written 4 frames after they were given."""

    def shift(command: FloatArray) -> None:
        command[4:] = command[:-4].copy()

    return _changed(case, "robot_command", shift)


def commands_in_other_zero(case: EpisodeCase) -> EpisodeCase:
    """One joint's commands count from another zero."""

    def offset(command: FloatArray) -> None:
        command[:, 2] += 0.2

    return _changed(case, "robot_command", offset)


def speeds_in_degrees(case: EpisodeCase) -> EpisodeCase:
    """Joint speeds are written in degrees a second."""

    def convert(qvel: FloatArray) -> None:
        qvel *= np.rad2deg(1)

    return _changed(case, "robot_qvel", convert)


def long_pause(case: EpisodeCase) -> EpisodeCase:
    """The robot stands still for 4 s on its way."""
    rows = np.arange(len(arrays_of(case).time_s))
    pause = np.full(4 * case.fps, _held(case).start // 2)
    waiting = _rows(case, np.sort(np.concatenate([rows, pause])))
    speeds = arrays_of(waiting).robot_qvel.copy()
    speeds[_held(case).start // 2 :][: 4 * case.fps] = 0.0
    return _with(waiting, robot_qvel=speeds, time_s=np.arange(len(rows) + len(pause)) / case.fps + arrays_of(case).time_s[0])


STATE_FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        teleport,
        teleport_of_a_bystander,
        shoved_bystander,
        kinematic_drag,
        stuck_on_the_finger,
        never_released,
        never_lifted,
        tipped_over,
        still_sliding,
        deep_penetration,
        arm_hits_the_support,
        hand_hits_a_bystander,
        joint_beyond_its_limit,
        joint_too_fast,
        joint_too_strong,
        clock_skew,
        dropped_frame,
        dropped_frame_with_even_times,
        frozen_states,
        commands_of_later_frames,
        commands_of_earlier_frames,
        commands_in_other_zero,
        speeds_in_degrees,
        long_pause,
    )
}
