"""Motions of an object on a table, with the hands that touch it frame by frame."""

import numpy as np

from blueprint_pipeline.kit.predicates import ObservedMotion

HANDS = (("robot/left_palm", "robot/left_finger"), ("robot/right_palm", "robot/right_finger"))
TABLE_M = 0.7


def motion(course, *, tilt_rad=(), also=(), end=8):
    """An object that stands, goes through a course and stands again.

    Args:
        course: A row a frame: its place (3,) at the frame's start, and the indices of the hands that touch it then.
        tilt_rad: Of the first rows of the course, how far it leans about x; of the rest, not at all.
        also: Pairs of bodies that touch in the middle of the course.
        end: Frames at the end.
    """
    (first, _), (last, _) = course[0], course[-1]
    places = np.array([first, *(place for place, _ in course), *[last] * end])
    poses = np.column_stack([places, np.tile([1.0, 0.0, 0.0, 0.0], (len(places), 1))])
    for row, lean in enumerate(tilt_rad, start=1):
        poses[row, 3:] = (np.cos(lean / 2), np.sin(lean / 2), 0.0, 0.0)
    contacts = (
        [{"table|tray"}] + [{f"{HANDS[hand][1]}|tray" for hand in hands} for _, hands in course] + [{"table|tray"}] * (end - 1) + [set()]
    )
    contacts[len(course) // 2] |= set(also)
    return ObservedMotion(target_poses=poses, support_poses=None, gripper_width_m=np.full(len(poses), 0.1), contacts=contacts, fps=30)


def way(start, goal, hands, frames=20):
    """From one place to another with these hands on it."""
    return [(place, hands) for place in np.linspace(start, goal, frames)]
