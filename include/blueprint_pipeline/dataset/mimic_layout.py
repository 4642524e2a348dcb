"""What stands where in an Isaac Lab Mimic file, and what its numbers mean: names, scales and the subtasks of each skill.

One file holds all demonstrations, ``data/demo_0`` and so on. Positions are in metres in the world (the environment's own frame),
quaternions x, y, z, w.

Source: Isaac Lab 3.0.0, ``isaaclab/utils/datasets/hdf5_dataset_file_handler.py`` and ``isaaclab_mimic/datagen/datagen_info_pool.py``;
robomimic 0.3.0, "Dataset Contents and Visualization".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.robot.layout import ArmLayout
from blueprint_pipeline.skill.subtasks import Subtask, of_hand

FILE = "dataset.hdf5"
FORMAT_VERSION = 1
"""Of Isaac Lab's files: quaternions are x, y, z, w."""
GYM_TYPE = 2
"""robomimic's number for an environment of Gym's kind, as Isaac Lab writes it."""
CONVENTIONS = "blueprint_pipeline"
"""Attribute of ``data``: what the numbers mean, and the subtasks for an environment's configuration, as JSON."""
ROBOT = "robot"
"""Name of the robot among the articulations of ``initial_state``."""
REFERENCES = ("target", "goal")
"""Names under which the objects of a task stand beside their own, so that one configuration fits demonstrations with any object."""
OFFSET_RANGE = (0, 0)
"""``subtask_term_offset_range`` of every subtask: its end is known to the frame."""
TRAIN, VALID = "train", "valid"
"""robomimic's names of the two splits."""


@dataclass(frozen=True, kw_only=True)
class ActionScale:
    """How an action in [-1, 1] becomes a command, as in Isaac Lab's joint actions: ``command = offset + scale * action``."""

    names: tuple[str, ...]
    """Of each column, with its unit: of every arm its joints, then its gripper."""
    offset: FloatArray
    scale: FloatArray

    def actions(self, commands: FloatArray) -> FloatArray:
        """Actions (T, A) of commands (T, A)."""
        actions: FloatArray = (commands - self.offset) / self.scale
        return actions

    def commands(self, actions: FloatArray) -> FloatArray:
        """Commands (T, A) of actions (T, A)."""
        commands: FloatArray = self.offset + self.scale * actions
        return commands


def scale_actions(arms: Sequence[ArmLayout], names: tuple[str, ...]) -> ActionScale:
    """Joints and grippers over their whole range.

    Args:
        arms: The layout of every arm.
        names: Of the columns.
    """
    ranges = [
        limits
        for part in arms
        for limits in (*((joint.lower_rad, joint.upper_rad) for joint in part.arm.joints), (0.0, part.arm.gripper.stroke_m))
    ]
    lower, upper = np.array(ranges).T
    return ActionScale(names=names, offset=(lower + upper) / 2, scale=(upper - lower) / 2)


def gripper_columns(arms: Sequence[ArmLayout]) -> dict[str, int]:
    """Column of each arm's gripper among the actions, by the arm's name."""
    ends = np.cumsum([len(part.arm.joints) + 1 for part in arms])
    return {part.arm.name: int(end) - 1 for part, end in zip(arms, ends, strict=True)}


def arm_key(arm: ArmLayout, name: str) -> str:
    """Name of what an arm has: ``eef_pos``, or ``left_eef_pos`` of a robot with several arms."""
    return f"{arm.arm.name}_{name}" if arm.prefix else name


def object_name(object_id: str) -> str:
    """An object or a part of one (``cabinet/door``) as a name in the file, in which a slash would open a group."""
    return object_id.replace("/", ".")


def signal_names(arm: ArmLayout, subtasks: Sequence[Subtask]) -> tuple[str | None, ...]:
    """Name of the signal that ends each subtask; the last one ends with its demonstration. Names are unique over all arms."""
    return (*(arm_key(arm, subtask.name) for subtask in subtasks[:-1]), None)


def subtasks_by_arm(arms: Sequence[ArmLayout], acting: str, subtasks: Sequence[Subtask]) -> list[tuple[ArmLayout, tuple[Subtask, ...]]]:
    """Each arm with its subtasks; the one that acts, or begins, has those of the first hand. None: the arm stands still."""
    order = sorted((part.arm.name for part in arms), key=lambda name: name != acting)
    return [(part, of_hand(subtasks, order.index(part.arm.name))) for part in arms]


def describe_subtasks(arms: Sequence[ArmLayout], acting: str, subtasks: Sequence[Subtask]) -> dict[str, list[Mapping[str, object]]]:
    """``subtask_configs`` of Isaac Lab's environment: by arm, its subtasks in order. An arm that stands still has one, about no object."""
    return {
        part.arm.name: [
            {"object_ref": reference, "subtask_term_signal": signal, "subtask_term_offset_range": list(OFFSET_RANGE)}
            for reference, signal in zip([subtask.reference for subtask in own] or [None], signal_names(part, own), strict=True)
        ]
        for part, own in subtasks_by_arm(arms, acting, subtasks)
    }
