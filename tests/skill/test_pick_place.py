"""Pick-and-place, planned and executed: it works, it keeps its promises, and it says why when it cannot."""

import hashlib
import subprocess
import sys
from pathlib import Path

import mujoco
import numpy as np
import pytest

from blueprint_pipeline.motion.errors import PlanningFailed
from blueprint_pipeline.motion.plan import MotionPlan
from blueprint_pipeline.motion.scene import MotionScene, build_motion_scene
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.skill.grasping import PALM_GAP_M, GraspQuery
from blueprint_pipeline.skill.pick_place import PickPlaceTask
from blueprint_pipeline.skill.picking import plan_pick
from blueprint_pipeline.skill.placing import plan_place
from tests.motion.conftest import FPS, SUBSTEPS, TABLE_M, build_table_spec
from tests.regions import square_about

CAN_GOAL = (0.5, -0.1, TABLE_M + 0.05)
ORDER = ["approach", "pre_grasp", "close", "lift", "transport", "place", "release", "retract", "home"]


def execute(model: mujoco.MjModel, data: mujoco.MjData, setpoints: np.ndarray) -> set[tuple[str, str]]:
    """Track setpoints as the simulator does; returns which bodies the robot touched."""
    touched = set()
    for setpoint in setpoints:
        start = data.ctrl.copy()
        for step in range(1, SUBSTEPS + 1):
            data.ctrl[:] = start + step / SUBSTEPS * (setpoint - start)
            mujoco.mj_step(model, data)
        for first, second in model.geom_bodyid[data.contact.geom]:
            names = sorted((model.body(int(first)).name, model.body(int(second)).name))
            if sum(name.startswith("robot/") for name in names) == 1:
                touched.add((names[0], names[1]))
    return touched


def task_for(target: str, goal_m: tuple[float, float, float]) -> PickPlaceTask:
    """Take ``target`` to a place on the table."""
    return PickPlaceTask(
        instruction=f"move the {target}",
        target_object=target,
        support_object="table",
        region_m=square_about(*goal_m[:2]),
        center_object_m=(0.0, 0.0, 0.0),
        goal_position_m=goal_m,
        upright=True,
    )


def query_for(scene: MotionScene, qpos: np.ndarray, task: PickPlaceTask) -> GraspQuery:
    """The task, asked from a state."""
    return GraspQuery(
        scene=scene,
        qpos=qpos,
        target=task.target_object,
        support=task.support_object,
        goal_position_m=task.goal_position_m,
        center_object_m=task.center_object_m,
    )


def begin(model: mujoco.MjModel, qpos: np.ndarray) -> mujoco.MjData:
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    data.ctrl[:7] = load_embodiment("panda").arms[0].default_qpos_rad
    data.ctrl[7] = 0.08
    mujoco.mj_forward(model, data)
    return data


@pytest.mark.parametrize(("target", "goal_m"), [("can", CAN_GOAL), ("box", (0.5, 0.0, TABLE_M + 0.06))])
def test_an_object_is_taken_to_its_goal(
    table_scene: MotionScene, table_model: mujoco.MjModel, start_qpos: np.ndarray, target: str, goal_m: tuple[float, float, float]
) -> None:
    """Lifted, set down within a centimetre, upright, at rest and untouched; nothing else was touched by the robot."""
    task = task_for(target, goal_m)
    if target == "box":
        start_qpos[table_model.joint("can").qposadr[0] + 1] = -0.3
        start_qpos[table_model.joint("can").qposadr[0]] = 0.3
    data = begin(table_model, start_qpos)
    pick = plan_pick(query_for(table_scene, data.qpos, task), seed=1)
    touched = execute(table_model, data, pick.setpoints)
    assert data.body(target).xpos[2] > goal_m[2] + 0.07
    place = plan_place(query_for(table_scene, data.qpos, task), pick, seed=1)
    touched |= execute(table_model, data, place.setpoints)
    assert np.linalg.norm(data.body(target).xpos - goal_m) < 0.01
    assert data.body(target).xmat.reshape(3, 3)[2, 2] > 0.999
    assert np.abs(data.joint(target).qvel).max() < 0.01
    assert {pair[0] if pair[1].startswith("robot/") else pair[1] for pair in touched} == {target}
    fingers = {"robot/left_finger", "robot/right_finger"}
    assert {name for pair in touched for name in pair if name.startswith("robot/")} <= fingers | {"robot/hand"}
    assert 6.0 < (len(pick.setpoints) + len(place.setpoints)) / FPS < 13.0


def test_phases_cover_the_plan_in_order(table_scene: MotionScene, start_qpos: np.ndarray) -> None:
    """No gap, no overlap, from the first frame to the last."""
    pick = plan_pick(query_for(table_scene, start_qpos, task_for("can", CAN_GOAL)), seed=1)
    assert [phase.name for phase in pick.phases] == ORDER[:4]
    edges = [0, *(phase.end_frame for phase in pick.phases)]
    assert [phase.start_frame for phase in pick.phases] == edges[:-1]
    assert edges[-1] == len(pick.setpoints)


def test_the_palm_keeps_away_from_what_is_taken(table_scene: MotionScene, table_model: mujoco.MjModel, start_qpos: np.ndarray) -> None:
    """Where the fingers close there is air between the hand and the object, for many searches: an arm lags, an object slips."""
    hand = np.flatnonzero(table_model.geom_bodyid == table_model.body("robot/hand").id)
    can = table_model.geom("can_collision_0").id
    for seed in range(4):
        pick = plan_pick(query_for(table_scene, start_qpos, task_for("can", CAN_GOAL)), seed=seed)
        data = mujoco.MjData(table_model)
        data.qpos[:] = start_qpos
        data.qpos[table_scene.acting.qpos] = pick.setpoints[pick.phases[2].start_frame, table_scene.acting.actuators]
        mujoco.mj_kinematics(table_model, data)
        gaps = [mujoco.mj_geomDistance(table_model, data, geom, can, 0.1, None) for geom in hand if table_model.geom_contype[geom]]
        assert min(gaps) > PALM_GAP_M - 0.001


def test_setpoints_keep_the_limits(table_scene: MotionScene, start_qpos: np.ndarray) -> None:
    """Joint positions, velocities and the gripper's speed, over the whole plan."""
    pick = plan_pick(query_for(table_scene, start_qpos, task_for("can", CAN_GOAL)), seed=3)
    arm = table_scene.arm
    rows = np.concatenate([[[*arm.default_qpos_rad, 0.08]], pick.setpoints])
    speed = np.abs(np.diff(rows, axis=0)) * FPS
    assert (speed[:, :7] <= [joint.max_velocity_rad_s for joint in arm.joints]).all()
    assert (speed[:, 7] <= arm.gripper.max_speed_m_s + 1e-9).all()
    assert (rows[:, :7] >= [joint.lower_rad for joint in arm.joints]).all()
    assert (rows[:, :7] <= [joint.upper_rad for joint in arm.joints]).all()


@pytest.mark.slow
def test_two_processes_plan_the_same(tmp_path: Path) -> None:
    """The same seed gives the same bytes in another process, with a cold cache; another seed is allowed to differ."""
    digests = [
        subprocess.run(
            [sys.executable, "-m", "tests.skill.test_pick_place", str(tmp_path / str(run))],
            check=True,
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
        ).stdout.split()[0]
        for run in range(2)
    ]
    assert digests[0] == digests[1]
    assert len(digests[0]) == 64


def test_plans_do_not_depend_on_earlier_plans(table_scene: MotionScene, start_qpos: np.ndarray) -> None:
    """An episode that is planned alone gets the setpoints that it gets among others."""
    task = task_for("can", CAN_GOAL)
    first = plan_pick(query_for(table_scene, start_qpos, task), seed=7)
    plan_pick(query_for(table_scene, start_qpos, task_for("box", (0.5, -0.1, TABLE_M + 0.06))), seed=8)
    np.testing.assert_array_equal(first.setpoints, plan_pick(query_for(table_scene, start_qpos, task), seed=7).setpoints)


def failure_of(scene: MotionScene, qpos: np.ndarray, target: str, goal_m: tuple[float, float, float]) -> PlanningFailed:
    with pytest.raises(PlanningFailed) as caught:
        plan_pick(query_for(scene, qpos, task_for(target, goal_m)), seed=1)
    assert caught.value.stage == "plan_pick"
    assert target in caught.value.message or caught.value.failure_code == "start_in_collision"
    return caught.value


def test_an_object_that_does_not_fit_has_no_grasp(table_scene: MotionScene, start_qpos: np.ndarray) -> None:
    """The crate is 20 cm wide."""
    assert failure_of(table_scene, start_qpos, "crate", (0.5, -0.1, TABLE_M + 0.05)).failure_code == "no_grasp"


def test_a_goal_out_of_reach_is_refused_before_anything_moves(table_scene: MotionScene, start_qpos: np.ndarray) -> None:
    """The far corner of a long table."""
    assert failure_of(table_scene, start_qpos, "can", (1.4, 0.0, TABLE_M + 0.05)).failure_code == "goal_unreachable"


def test_a_goal_in_another_object_is_refused(table_scene: MotionScene, start_qpos: np.ndarray) -> None:
    """Inside the crate."""
    failure = failure_of(table_scene, start_qpos, "can", (0.6, -0.3, TABLE_M + 0.05))
    assert failure.failure_code == "goal_unreachable"
    assert "crate" in failure.reason


def test_an_object_out_of_reach_has_no_ik(table_scene: MotionScene, table_model: mujoco.MjModel, start_qpos: np.ndarray) -> None:
    """A can a metre and a half away."""
    start_qpos[table_model.joint("can").qposadr[0]] = 1.5
    assert failure_of(table_scene, start_qpos, "can", CAN_GOAL).failure_code == "no_ik"


def test_an_object_shut_in_is_blocked(table_scene: MotionScene, table_model: mujoco.MjModel, start_qpos: np.ndarray) -> None:
    """The crate stands on the can."""
    address = table_model.joint("crate").qposadr[0]
    start_qpos[address : address + 3] = 0.45, 0.0, TABLE_M + 0.15
    assert failure_of(table_scene, start_qpos, "can", CAN_GOAL).failure_code == "grasp_blocked"


def test_a_robot_that_starts_in_something_does_not_move(
    table_scene: MotionScene, table_model: mujoco.MjModel, start_qpos: np.ndarray
) -> None:
    """The crate where the hand is."""
    address = table_model.joint("crate").qposadr[0]
    start_qpos[address : address + 3] = 0.31, 0.0, TABLE_M + 0.5
    failure = failure_of(table_scene, start_qpos, "can", CAN_GOAL)
    assert failure.failure_code == "start_in_collision"
    assert "crate" in failure.reason


def test_a_lost_object_is_noticed(table_scene: MotionScene, table_model: mujoco.MjModel, start_qpos: np.ndarray) -> None:
    """Nothing is in hand after the lift: the place is not planned."""
    task = task_for("can", CAN_GOAL)
    pick = plan_pick(query_for(table_scene, start_qpos, task), seed=1)
    columns = [table_model.joint(f"robot/{joint.name}").qposadr[0] for joint in table_scene.arm.joints]
    start_qpos[columns] = pick.setpoints[-1, :7]
    with pytest.raises(PlanningFailed, match="away from where the hand should hold it") as caught:
        plan_place(query_for(table_scene, start_qpos, task), pick, seed=1)
    assert caught.value.failure_code == "object_not_held"


def _digest(cache_dir: Path) -> str:
    model = build_table_spec().compile()
    scene = build_motion_scene(model, load_embodiment("franka_panda"), "arm", fps=FPS, cache_dir=cache_dir)
    data = begin(model, model.qpos0)
    data.qpos[-9:] = [*load_embodiment("panda").arms[0].default_qpos_rad, 0.04, 0.04]
    task = task_for("can", CAN_GOAL)
    pick = plan_pick(query_for(scene, data.qpos.copy(), task), seed=11)
    plans: list[MotionPlan] = [pick]
    execute(model, data, pick.setpoints)
    plans.append(plan_place(query_for(scene, data.qpos, task), pick, seed=11))
    return hashlib.sha256(b"".join(plan.setpoints.tobytes() for plan in plans)).hexdigest()


def test_whatever_stands_in_between_the_same_way_is_taken_over_it(
    table_scene: MotionScene, table_model: mujoco.MjModel, start_qpos: np.ndarray
) -> None:
    """The way does not depend on where other things stand: who learns from it need not see them."""
    goal_m = (0.45, -0.4, TABLE_M + 0.05)
    task, box = task_for("can", goal_m), table_model.joint("box").qposadr[0]
    crate = table_model.joint("crate").qposadr[0]
    start_qpos[crate : crate + 2] = (0.75, 0.35)
    ways = []
    for place in ((0.45, -0.2), (0.65, 0.1), (0.3, 0.4)):  # the first is where the can passes
        start_qpos[box : box + 2] = place
        data = begin(table_model, start_qpos)
        pick = plan_pick(query_for(table_scene, data.qpos, task), seed=1)
        assert execute(table_model, data, pick.setpoints) == {("can", "robot/left_finger"), ("can", "robot/right_finger")}
        plan = plan_place(query_for(table_scene, data.qpos, task), pick, seed=1)
        carried = next(phase for phase in plan.phases if phase.name == "transport")
        for setpoint in plan.setpoints[: carried.end_frame]:
            execute(table_model, data, setpoint[None])
            assert data.body("can").xpos[2] - 0.05 > TABLE_M + 0.12
        ways.append((pick.setpoints, plan.setpoints))
    for taken, set_down in ways[1:]:
        assert np.array_equal(taken, ways[0][0])
        np.testing.assert_allclose(set_down, ways[0][1], atol=1e-6)


if __name__ == "__main__":
    sys.stdout.write(_digest(Path(sys.argv[1])) + "\n")
