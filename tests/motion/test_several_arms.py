"""Arms that move together: one path, one time law, no contact between them; and hands that hold one object stay where they hold it."""

import mujoco
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from blueprint_pipeline.geometry.transforms import build_pose, invert, shift, turn_about_z
from blueprint_pipeline.motion.candidates import ik_seeds
from blueprint_pipeline.motion.closed_chain import (
    ORIENTATION_TOLERANCE_RAD,
    POSITION_TOLERANCE_M,
    follow_object,
    measure_drift,
    straight_way,
    time_carried,
)
from blueprint_pipeline.motion.collision import ARMS_APART_M
from blueprint_pipeline.motion.errors import CandidateRejected
from blueprint_pipeline.motion.plan import SetpointBuilder
from blueprint_pipeline.motion.segments import constant, find_path, time_checked
from blueprint_pipeline.motion.timing import Pace
from blueprint_pipeline.motion.two_hands import count_pairs, rank_pairs
from tests.motion.g2_table import BAR_M, FPS, TABLE_M, build_scene

OPEN = np.array([0.1, 0.1])
PACE = Pace(0.5, 0.25)
DOWN = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
"""A hand that points down, its fingers closing along the robot's x."""


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The scene for both arms, and the whole state."""
    return build_scene(tmp_path_factory.mktemp("grasps"))


def reach(scene, places_m, rotation=DOWN):
    """Joint positions (14,) with the hands at two places."""
    poses = [build_pose(np.array(place), rotation) for place in places_m]
    found = [hand.solve_ik(pose, ik_seeds(hand, pose)) for hand, pose in zip(scene.hands, poses, strict=True)]
    assert all(qpos is not None for qpos in found)
    return np.concatenate(found)


def hold_bar(scene, apart_m=0.24):
    """How both hands hold the bar from above, and joint positions where it stands."""
    pose_world_bar = build_pose(np.array([0.45, 0.0, TABLE_M + BAR_M[2]]), np.eye(3))
    tools = [build_pose(np.array([0.0, side * apart_m / 2, 0.0]), DOWN) for side in (1, -1)]
    return np.stack(tools), pose_world_bar, reach(scene, [(pose_world_bar @ tool)[:3, 3] for tool in tools])


def test_one_inverse_kinematics_for_both_hands(both) -> None:
    """Both tools come to their poses; where one is out of reach there is no solution."""
    scene, _ = both
    goals = np.stack([build_pose(np.array(place), DOWN) for place in ((0.45, 0.2, 0.9), (0.42, -0.15, 0.95))])
    start = reach(scene, ((0.42, 0.25, 0.95), (0.42, -0.25, 0.95)))
    found = scene.solve_ik(goals, [start])
    np.testing.assert_allclose(scene.tool_poses(found)[:, :3, 3], goals[:, :3, 3], atol=6e-4)
    assert scene.solve_ik(shift(goals, np.array([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]])), [start]) is None


def test_arms_that_would_meet_are_no_free_configuration(both) -> None:
    """Each arm alone is free where the other's hand would be; together they are not, and it is told which bodies meet."""
    scene, qpos = both
    crossing = reach(scene, ((0.5, -0.02, 0.95), (0.5, 0.0, 0.95)))
    scene.checker.place_objects(qpos)
    scene.checker.allow()
    assert not scene.checker.is_free(crossing, OPEN)
    met = {frozenset(name.split("_")[1] for name in pair[:2]) for pair in scene.checker.collisions()}
    assert frozenset({"l", "r"}) in met
    for hand, own in zip(scene.hands, scene.arms.split(crossing), strict=True):
        hand.checker.place_objects(qpos)
        assert hand.checker.is_free(own, 0.1)


def test_arms_keep_more_from_each_other_than_from_things(both) -> None:
    """Hands come together step by step: it is a collision from where the arms are nearer to each other than the clearance, not before."""
    scene, qpos = both
    checker = scene.checker
    checker.place_objects(qpos)
    checker.allow()
    names = [scene.model.body(int(body)).name for body in scene.model.geom_bodyid]
    sides = ("_l_", "wrist_camera"), ("_r_",)  # the camera is on the left hand
    left, right = (
        [geom for geom, name in enumerate(names) if any(own in name for own in side) and checker.collides[geom]] for side in sides
    )
    seen = set()
    for aside_m in np.arange(0.12, 0.02, -0.005):
        free = checker.is_free(reach(scene, ((0.45, aside_m, 0.9), (0.45, -aside_m, 0.9))), np.zeros(2))
        between = min(mujoco.mj_geomDistance(checker.model, checker.data, a, b, 1.0, None) for a in left for b in right)
        assert free == (between >= ARMS_APART_M)
        seen.add((free, between > 0))
    assert (False, True) in seen  # refused though nothing touches
    assert (True, True) in seen


def test_a_planned_path_goes_round_the_other_arm(both) -> None:
    """Hands that would pass through each other on the straight way do not: every setpoint is free, and both arms arrive together."""
    scene, qpos = both
    scene.checker.place_objects(qpos)
    scene.checker.allow()
    start, goal = reach(scene, ((0.52, 0.08, 0.92), (0.36, -0.2, 0.92))), reach(scene, ((0.36, 0.2, 0.92), (0.52, -0.08, 0.92)))
    path = find_path(scene, start, goal, OPEN, seed=3)
    setpoints, widths = time_checked(scene, path, PACE, constant(OPEN))
    assert widths.shape == (len(setpoints), 2)
    np.testing.assert_allclose(setpoints[-1], goal, atol=1e-9)
    assert all(scene.checker.is_free(row, OPEN) for row in setpoints)


def test_both_arms_have_one_time_law(both) -> None:
    """Arms with ways of different length start and end in the same frame, within the limits of all fourteen joints."""
    scene, qpos = both
    scene.checker.place_objects(qpos)
    start = reach(scene, ((0.42, 0.25, 0.95), (0.42, -0.25, 0.95)))
    goal = reach(scene, ((0.42, 0.24, 0.95), (0.5, -0.1, 0.95)))
    setpoints, _ = time_checked(scene, np.stack([start, goal]), PACE, constant(OPEN))
    share = (setpoints - start) / np.where(np.abs(goal - start) < 1e-4, np.inf, goal - start)
    moving = np.abs(goal - start) >= 1e-4
    np.testing.assert_allclose(share[:, moving], np.tile(share[:, moving][:, :1], moving.sum()), atol=1e-6)
    speed = np.abs(np.diff(np.vstack([start, setpoints]), axis=0)) * FPS
    limits = PACE.velocity * np.array([joint.max_velocity_rad_s for joint in scene.arms.joints])
    assert len(limits) == 14
    assert (speed <= limits * (1 + 1e-9)).all()
    assert (speed / limits).max() > 0.5  # it is no slower than the slowest joint asks


@pytest.mark.parametrize("seed", range(6))
def test_hands_stay_where_they_hold_an_object(both, seed: int) -> None:
    """Along drawn ways and turns of the object, at every setpoint and between, the hands keep their poses relative to each other."""
    scene, qpos = both
    rng = np.random.default_rng(seed)
    tools, start, first = hold_bar(scene)
    turn = Rotation.from_euler("zyx", rng.uniform([-0.4, -0.06, -0.06], [0.4, 0.06, 0.06])).as_matrix()
    goal = build_pose(start[:3, 3] + rng.uniform([-0.06, -0.12, 0.1], [0.05, 0.12, 0.2]), turn)
    scene.checker.place_objects(qpos)
    scene.checker.hold("bar", invert(tools[0]), (0, 1))
    up = straight_way(start, shift(start, np.array([0.0, 0.0, 0.1])))
    points = follow_object(scene, tools, [*up, *straight_way(up[-1], goal)], first, "way_unreachable")
    setpoints, _ = time_carried(scene, tools, points[1:], PACE, constant(np.array([0.03, 0.03])))
    rows = np.vstack([setpoints, (setpoints[1:] + setpoints[:-1]) / 2])
    drift = measure_drift(scene, tools, rows)
    assert drift.position_m <= POSITION_TOLERANCE_M
    assert drift.orientation_rad <= ORIENTATION_TOLERANCE_RAD
    last = scene.tool_poses(setpoints[-1])
    np.testing.assert_allclose(last[:, :3, 3], (goal @ tools)[:, :3, 3], atol=1e-3)


def test_a_chain_that_opens_is_refused(both) -> None:
    """The straight way in joint space between two far poses of the object is none on which the hands stay together."""
    scene, qpos = both
    tools, start, first = hold_bar(scene)
    scene.checker.place_objects(qpos)
    scene.checker.hold("bar", invert(tools[0]), (0, 1))
    far = build_pose(start[:3, 3] + np.array([0.06, 0.1, 0.2]), turn_about_z(0.35)[:3, :3])
    way = follow_object(scene, tools, [*straight_way(start, shift(start, np.array([0, 0, 0.1]))), *straight_way(start, far)], first, "x")
    with pytest.raises(CandidateRejected, match="drift") as refused:
        time_carried(scene, tools, way[[5, -1]], PACE, constant(np.array([0.03, 0.03])))
    assert refused.value.failure_code == "chain_open"


def test_an_object_in_both_hands_touches_neither_but_the_arms(both) -> None:
    """What both hold is no collision with either hand, and is one with the table, and with a hand that does not hold it."""
    scene, qpos = both
    tools, _, first = hold_bar(scene)
    checker, widths = scene.checker, np.array([0.03, 0.03])
    raised = follow_object(scene, tools, straight_way(*(build_pose(np.array([0.45, 0, z]), np.eye(3)) for z in (0.77, 0.9))), first, "x")[
        -1
    ]
    checker.place_objects(qpos)
    checker.allow()
    checker.hold("bar", invert(tools[0]), (0, 1))
    assert checker.is_free(raised, widths)
    assert not checker.is_free(first, widths)
    assert {"bar", "table"} in [set(pair[:2]) for pair in checker.collisions()]
    checker.release()
    checker.hold("bar", invert(tools[0]), (0,))
    assert not checker.is_free(raised, widths)
    assert all("bar" in pair[:2] and any("gripper_r" in name for name in pair[:2]) for pair in checker.collisions())


def test_pairs_of_grasps_lie_on_both_sides(both) -> None:
    """The left hand's lies to the left, with the centre of mass between them; an object that is small has none."""
    scene, qpos = both
    scene.checker.place_objects(qpos)
    assert count_pairs(scene, "bar") > 0
    pose = scene.checker.pose_of("bar")
    asked = []

    def take(hand, pose_object_tcp, _width_m):
        asked.append((hand, tuple(pose_object_tcp.ravel())))
        return None if hand == 1 and pose_object_tcp[0, 3] > 0.005 else pose_object_tcp

    pairs = list(rank_pairs(scene, "bar", pose, 12, take))
    assert len(pairs) == 12
    assert len(asked) == len(set(asked))
    for pair in pairs:
        assert pair.taken[1][0, 3] <= 0.005
        left, right = (pose @ np.stack(pair.taken))[:, :3, 3]
        assert left[1] > pose[1, 3] > right[1]
        assert np.linalg.norm(left - right) >= 0.18


def test_setpoints_of_both_arms_and_grippers(both) -> None:
    """One phase moves both arms; each gripper is ramped by itself; what does not move keeps its controls."""
    scene, qpos = both
    rest = scene.holding(qpos)
    builder = SetpointBuilder(*scene.arms.bindings, fps=FPS, start=rest)
    goal = scene.arms.home + 0.05
    builder.move("both_approach", np.linspace(scene.arms.home, goal, 10), builder.early(np.array([0.05, 0.1]))(10))
    builder.grip("both_grasp", width_m=np.array([0.02, 0.04]), speed_m_s=0.1, hold_s=0.1)
    rows, phases = builder.build()
    assert [phase.name for phase in phases] == ["both_approach", "both_grasp"]
    np.testing.assert_allclose(rows[-1, scene.arms.actuators], goal)
    np.testing.assert_allclose(scene.robot.gripper_commands_m(rows[-1]), [0.02, 0.04], atol=1e-9)
    steps = np.abs(np.diff([scene.robot.gripper_commands_m(row) for row in rows], axis=0))
    assert (steps <= 0.15 / FPS + 1e-9).all()
