"""A button that its spring brings back moves with no hand on it; nothing else may."""

from dataclasses import replace

import numpy as np
import pytest

from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.quality.gates.objects import measure_untouched_motion
from blueprint_pipeline.skill.press import PressTask
from blueprint_pipeline.twin.joint_line import JointLine
from tests.quality import synthetic

TRAVEL_M = 0.02
LINE = JointLine(
    slides=True, axis=(0, 0, -1), anchor_m=(0, 0, 1), limits=(0, TRAVEL_M), closed=Pose(position_m=(0, 0, 1), quat_wxyz=(1, 0, 0, 0))
)


def case_of(shares, *, springs_back, held):
    """An episode whose target is a button that goes through shares of its way, and is touched in the frames ``held``."""
    case = synthetic.build_episode(0).case()
    target = case.spec.task.target_object
    words = {"instruction": "press it", "target_object": target, "support_object": "panel"}
    task = PressTask(**words, line=LINE, springs_back=springs_back)
    poses = np.array(case.arrays.object_poses)
    steps = np.interp(np.arange(len(poses)), np.linspace(0, len(poses) - 1, len(shares)), shares)
    poses[:] = poses[0]
    poses[:, case.record.object_ids.index(target)] = [LINE.pose_at(TRAVEL_M * share).as_tuple() for share in steps]
    rows = np.flatnonzero(held(np.arange(len(poses) - 1) / len(poses)))
    contacts = replace(
        case.arrays.contacts,
        row=rows,
        pair=(f"{target}|robot/left_finger",) * len(rows),
        depth_m=np.zeros(len(rows)),
        force_n=np.ones(len(rows)),
    )
    return replace(
        case, spec=case.spec.model_copy(update={"task": task}), arrays=replace(case.arrays, object_poses=poses, contacts=contacts)
    )


@pytest.mark.parametrize(
    ("shares", "springs_back", "held", "moved_m"),
    [
        ([0, 1, 1, 0], True, lambda share: share < 0.6, 0.0),
        ([0, 1, 1, 0], False, lambda share: share < 0.6, TRAVEL_M),
        ([0, 1, 1, 0], True, lambda share: share > 0.4, TRAVEL_M),
        ([0, 1, 0.2, 0.8, 0.8], True, lambda share: share < 0.3, 0.6 * TRAVEL_M),
    ],
    ids=["springs back", "no spring", "goes in by itself", "goes in again"],
)
def test_only_what_a_spring_does_is_explained(shares, springs_back, held, moved_m):
    case = case_of(shares, springs_back=springs_back, held=held)
    assert measure_untouched_motion(case, case.arrays, None).value == pytest.approx(moved_m, abs=0.1 * TRAVEL_M)
