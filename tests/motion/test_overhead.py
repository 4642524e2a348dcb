"""Hand and object travel over everything, at a height that depends on no place."""

import mujoco
import numpy as np
import pytest

from blueprint_pipeline.motion.candidates import ik_seeds
from blueprint_pipeline.motion.overhead import MARGIN_M, bottom_of, extend_up, height_over
from blueprint_pipeline.motion.scene import MotionScene, build_motion_scene
from blueprint_pipeline.motion.segments import LINE_STEP_M
from blueprint_pipeline.robot.embodiment import load_embodiment
from tests.motion.conftest import FPS, TABLE_M, build_table_spec

BOX_M, CRATE_M = 0.12, 0.10
"""Heights of what stands on the table beside the can."""


def scene_with(extra, cache_dir) -> MotionScene:
    """The table with fixed boxes: name, centre, half sizes."""
    spec = build_table_spec()
    for name, place, size in extra:
        body = spec.worldbody.add_body(name=name, pos=place)
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=size)
    return build_motion_scene(spec.compile(), load_embodiment("panda"), "arm", fps=FPS, cache_dir=cache_dir)


def start_of(scene: MotionScene) -> np.ndarray:
    """Everything where it was built, the arm at its default, fingers open."""
    data = mujoco.MjData(scene.model)
    data.qpos[scene.acting.qpos] = scene.arm.default_qpos_rad
    data.qpos[scene.acting.finger_qpos] = 0.04
    return data.qpos.copy()


@pytest.mark.parametrize(
    ("extra", "expected_m"),
    [
        ([], BOX_M),
        ([("wall", (0.9, 0, 1.0), (0.02, 1.0, 1.0))], BOX_M),
        ([("oven", (0.7, 0.4, TABLE_M + 0.1), (0.1, 0.1, 0.1))], 0.2),
        ([("fridge", (0.7, 0.4, TABLE_M + 0.2), (0.1, 0.1, 0.2))], BOX_M),
        ([("far", (3.0, 0, TABLE_M + 0.1), (0.1, 0.1, 0.15))], BOX_M),
        ([("shelf", (0.8, 0.3, TABLE_M + 0.6), (0.1, 0.3, 0.01))], BOX_M),
    ],
)
def test_the_highest_thing_that_can_be_passed_over_decides(extra, expected_m, grasp_cache_dir):
    """Not the target, no wall, nothing out of reach, nothing that hangs far above."""
    scene = scene_with(extra, grasp_cache_dir)
    scene.checker.place_objects(start_of(scene))
    bottom_m = bottom_of(scene, "can")
    assert bottom_m == pytest.approx(TABLE_M, abs=1e-6)
    assert height_over(scene, bottom_m, "can") == pytest.approx(TABLE_M + expected_m + MARGIN_M, abs=1e-6)


def test_where_movable_things_stand_does_not_count(table_scene, start_qpos):
    """A box out of reach may stand within it in the next episode."""
    start_qpos[table_scene.model.joint("box").qposadr[0] + 1] = 1.4
    table_scene.checker.place_objects(start_qpos)
    assert height_over(table_scene, TABLE_M, "can") == pytest.approx(TABLE_M + BOX_M + MARGIN_M, abs=1e-6)


def test_what_is_taken_does_not_count(table_scene, start_qpos):
    """Of the box the crate is the highest neighbour."""
    table_scene.checker.place_objects(start_qpos)
    assert height_over(table_scene, TABLE_M, "box") == pytest.approx(TABLE_M + CRATE_M + MARGIN_M, abs=1e-6)


@pytest.mark.parametrize(("ceiling_m", "expected_m"), [(None, 0.2), (1.35, 0.1), (1.3, 0.05)])
def test_the_hand_rises_straight_as_far_as_nothing_is_touched(ceiling_m, expected_m, grasp_cache_dir):
    """By what was asked; under a board only as far as there is air, and never less than it had."""
    extra = [] if ceiling_m is None else [("board", (0.5, 0, ceiling_m), (0.3, 0.6, 0.01))]
    scene = scene_with(extra, grasp_cache_dir)
    scene.checker.place_objects(start_of(scene))
    pose = lowered(scene, 0.25)
    start = scene.solve_ik(pose, ik_seeds(scene, pose))
    found = extend_up(scene, start[None], 0.2, 0.08)
    tools = np.array([scene.tool_pose(point) for point in found])
    assert np.ptp(tools[:, :2, 3], axis=0).max() < 2e-3
    assert all(scene.checker.is_free(point, 0.08) for point in found)
    risen_m = tools[-1, 2, 3] - tools[0, 2, 3]
    assert risen_m == pytest.approx(expected_m, abs=2e-3 if ceiling_m is None else LINE_STEP_M)
    assert len(extend_up(scene, start[None], -0.1, 0.08)) == 1


def lowered(scene: MotionScene, by_m: float) -> np.ndarray:
    """The default pose of the tool, so much lower."""
    pose = scene.tool_pose(np.array(scene.arm.default_qpos_rad)).copy()
    pose[2, 3] -= by_m
    return pose
