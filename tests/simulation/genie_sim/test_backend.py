"""The backend on a server that speaks Genie Sim's protocol on a real socket, MuJoCo behind it: a stand-in. Genie Sim itself was not run."""

import numpy as np
import pytest

from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.layout import home_joints, home_qpos
from blueprint_pipeline.robot.placement import RobotPlacement
from blueprint_pipeline.simulation.conformance import CHECKS, check_simulator
from blueprint_pipeline.simulation.conformance_scene import BLOCK
from blueprint_pipeline.simulation.errors import NotLoaded, NotVaried, UnknownName
from blueprint_pipeline.simulation.genie_sim.engine import ENGINE, ServesItself
from blueprint_pipeline.simulation.genie_sim.errors import (
    AnswerOutstanding,
    AnswerUnusable,
    FrameTooShort,
    NoPictures,
    NotInStep,
    NotPlaced,
    OtherScene,
    RateDiffers,
    RobotCannotStand,
    RobotDiffers,
    RobotUnknown,
)
from blueprint_pipeline.simulation.guarded_calls import BREAKER_FAILURES, BreakerOpen, SimulatorUnreachable
from blueprint_pipeline.simulators import SIMULATORS
from blueprint_pipeline.task.variation import Variation
from blueprint_pipeline.twin.errors import RateNotWhole
from tests.simulation.genie_sim.conftest import connect

pytestmark = pytest.mark.slow

G2 = load_embodiment("agibot_g2")
START = home_qpos(G2)
LEFT_GRIPPER = 7


def load(simulator, scene, **changes):
    placement = scene.placement.model_copy(update=changes)
    return simulator.load(scene.folder, placement, 30)


def test_the_suite_passes_as_far_as_is_promised(serve):
    """On a server that gives no pictures, as none since 3.0 does."""
    with serve() as (_, simulator):
        results = check_simulator(simulator, "agibot_g2")
        promised = simulator.capabilities()
    assert [result.name for result in results] == list(CHECKS)
    assert [result.message for result in results if not result.passed] == []
    assert [result.name for result in results if result.value is None] == ["varies", "replays", "cameras"]
    assert not any(promised.model_dump().values()), "nothing that this protocol cannot do is promised"
    assert SIMULATORS["genie_sim"].varies == promised.varies


def test_a_server_that_gives_pictures_is_held_to_them(serve, scene):
    """The protocol has a call for pictures; where it is answered, size, focal length and contrast count."""
    with serve(gives_pictures=True) as (server, simulator):
        load(simulator, scene)
        assert simulator.capabilities().renders
        image = simulator.render("scene", 160, 120)
        assert (image.shape, image.std() > 5) == ((120, 160, 3), True)
        assert simulator.render("wrist", 64, 64).shape == (64, 64, 3)
        server.faults.black = True
        (result,) = check_simulator(simulator, "agibot_g2", ["cameras"])
        assert (result.passed, result.value) == (False, 0.0)


def test_without_pictures_it_says_where_they_are(serve, scene):
    with serve() as (_, simulator):
        load(simulator, scene)
        with pytest.raises(NoPictures, match="drawn in the twin"):
            simulator.render("scene", 64, 64)
        with pytest.raises(UnknownName, match="camera 'ceiling'"):
            simulator.render("ceiling", 64, 64)


def test_a_scene_is_loaded_once_and_found_again(serve, scene, tmp_path):
    """By another process, too; another place of the robot is another scene, and a server takes one."""
    with serve() as (server, simulator):
        first = load(simulator, scene)
        simulator.close()
        again = load(connect(server, tmp_path), scene)
        assert (server.loads, again.model_sha256) == (1, first.model_sha256)
        moved = Pose(position_m=(0.1, 0.0, 0.75), quat_wxyz=(1.0, 0.0, 0.0, 0.0))
        with pytest.raises(OtherScene, match="start it anew"):
            load(connect(server, tmp_path), scene, base_pose=moved)


def test_it_tells_states_as_the_twin_addresses_them(serve, scene):
    with serve() as (_, simulator):
        loaded = load(simulator, scene)
        pose = Pose(position_m=(0.3, 0.4, 0.02), quat_wxyz=(0.6, 0.0, 0.0, 0.8))
        state = simulator.reset({BLOCK: pose}, START)
        assert loaded.actuators[LEFT_GRIPPER] == "robot/gripper_l"
        np.testing.assert_allclose(state.object_poses[0], pose.as_tuple(), atol=2e-3)
        np.testing.assert_allclose(state.robot_qpos, home_joints(G2), atol=1e-3)
        np.testing.assert_allclose([*state.gripper_width_m, *state.gripper_command_m], [0.1] * 4, atol=1e-3)
        assert np.isnan(state.robot_torque).all(), "nobody measures torque over this protocol"
        assert np.isnan(state.actuator_force).all()
        back = simulator.restore_state(simulator.save_state())
        np.testing.assert_allclose(back.qpos, state.qpos, atol=2e-3)
        with pytest.raises(UnknownName, match="movable object 'spoon'"):
            simulator.reset({"spoon": pose}, START)
        with pytest.raises(NotVaried):
            simulator.vary(Variation(light_level=0.5))


def test_an_object_that_moves_is_put_to_rest(serve, scene):
    """The server lets objects keep their velocity where they are put."""
    with serve() as (server, simulator):
        load(simulator, scene)
        away = {BLOCK: Pose(position_m=(1.0, 1.0, 0.021), quat_wxyz=(1.0, 0.0, 0.0, 0.0))}
        simulator.reset(away, START)
        row = server.world.model.joint("free:/World/objects/block").dofadr[0]
        server.world.data.qvel[row : row + 2] = (1.0, -1.0)
        state = simulator.reset(away, START)
        held = simulator.track(np.tile(state.ctrl, (30, 1))).states[-1]
        np.testing.assert_allclose(held.object_poses[0, :2], (1.0, 1.0), atol=5e-3)


def test_a_frame_lasts_as_long_as_it_says(serve, scene):
    """By the clock of the stage: one call a physics step, sixteen a frame."""
    with serve() as (server, simulator):
        load(simulator, scene)
        ctrl = simulator.reset({}, START).ctrl
        before = server.world.steps
        track = simulator.track(np.tile(ctrl, (30, 1)))
        assert [state.time_s for state in track.states] == pytest.approx(np.arange(1, 31) / 30)
        assert 480 <= server.world.steps - before < 490, (
            "16 a frame, one for the first look at the clock, and the objects of the last frame"
        )


def test_hands_close_where_the_arm_stands_and_stay_open_where_it_moves(serve, scene):
    """An opening that narrows on the way to an object cannot be had."""
    with serve() as (server, simulator):
        load(simulator, scene)
        start = simulator.reset({BLOCK: Pose(position_m=(1.0, 1.0, 0.021), quat_wxyz=(1.0, 0.0, 0.0, 0.0))}, START).ctrl
        ways = np.tile(start, (20, 1))
        ways[:, LEFT_GRIPPER] = np.linspace(0.1, 0.07, 20)
        moving = ways.copy()
        moving[:, scene.lift_joint] += scene.lift_sense * np.linspace(0.01, 0.2, 20)
        simulator.track(moving)
        assert server.world.hands["left"] == "open"
        closing = np.tile(moving[-1], (45, 1))
        closing[:, LEFT_GRIPPER] = np.interp(np.arange(45), [0, 30], [0.07, 0.0])
        track = simulator.track(closing)
        assert server.world.hands == {"left": "closed", "right": "open"}
        assert track.states[-1].gripper_width_m[0] == pytest.approx(0.0, abs=2e-3)
        widths = [float(state.gripper_width_m[0]) for state in track.states]
        assert len(set(widths[:3])) == 1, "while a hand moves nothing can be read, and nothing is made up"


def test_a_server_that_runs_on_is_noticed(serve, scene):
    """One step in between, now and then, is made up for; a motion of another speed is none that was planned."""
    with serve() as (server, simulator):
        load(simulator, scene)
        ctrl = simulator.reset({}, START).ctrl
        server.faults.hurried = 3
        with pytest.raises(NotInStep, match="cores of their own"):
            simulator.track(np.tile(ctrl, (5, 1)))


@pytest.mark.parametrize("hz", [60, 120, 240])
def test_another_rate_of_physics_is_noticed(serve, scene, hz):
    """No call tells it; the clock's hand goes farther a step."""
    with serve(physics_hz=hz) as (_, simulator), pytest.raises(RateDiffers, match="--physics_step 480"):
        load(simulator, scene)


def test_what_cannot_act_there_is_refused_before_the_server_is_asked(serve, scene):
    base = scene.placement.base_pose
    with serve() as (server, simulator):
        with pytest.raises(RobotUnknown, match="agibot_g2"):
            simulator.load(scene.folder, RobotPlacement(embodiment="franka_panda", base_pose=base), 30)
        with pytest.raises(RobotCannotStand, match="legs reach"):
            load(simulator, scene, base_pose=base.model_copy(update={"position_m": (0.0, 0.0, 1.2)}))
        with pytest.raises(RobotCannotStand, match="on its wheels"):
            load(simulator, scene, foot_m=0.1)
        with pytest.raises(RateNotWhole):
            simulator.load(scene.folder, scene.placement, 7)
        with pytest.raises(FrameTooShort, match="BPP__GENIE_SIM__PHYSICS_HZ"):
            simulator.load(scene.folder, scene.placement, 160)
        with pytest.raises(NotLoaded):
            simulator.observe()
        assert server.handled == []
    with pytest.raises(ServesItself):
        ENGINE.open_for_service(None)


def test_joints_that_are_missing_are_named(serve, scene):
    with serve(joints_lost=25) as (_, simulator), pytest.raises(RobotDiffers, match=r"none called .*idx26_arm_l_joint6"):
        load(simulator, scene)


def test_a_robot_that_loses_joints_on_the_way_is_noticed(serve, scene):
    with serve() as (server, simulator):
        load(simulator, scene)
        server.faults.joints_lost = 2
        with pytest.raises(RobotDiffers, match="it has 44 joints now, and had 46"):
            simulator.observe()


def test_a_pose_that_is_no_number_is_no_state(serve, scene):
    with serve() as (server, simulator):
        load(simulator, scene)
        server.faults.nan_pose = True
        with pytest.raises(AnswerUnusable, match="nan"):
            simulator.observe()


def test_a_failure_that_the_server_swallows_is_found_by_looking(serve, scene):
    """``set_joint_position`` answers "Move Joint" whatever becomes of it."""
    with serve() as (server, simulator):
        load(simulator, scene)
        bent = np.array(START)
        bent[3] += 0.3
        server.faults.swallows_joints = True
        with pytest.raises(NotPlaced, match="joint idx24_arm_l_joint4"):
            simulator.reset({}, tuple(bent))


def test_a_call_that_was_given_up_is_the_last(serve, scene):
    """Its answer would be taken for the next call's."""
    with serve(call_timeout_s=0.5) as (server, simulator):
        load(simulator, scene)
        server.faults.slow_s = 1.0
        with pytest.raises(SimulatorUnreachable, match="DEADLINE_EXCEEDED"):
            simulator.observe()
        server.faults.slow_s = 0.0
        with pytest.raises(AnswerOutstanding, match="Start the server anew"):
            simulator.observe()


def test_a_server_that_dies_in_a_motion_is_unreachable_then_left_alone(serve, scene):
    """A retry of the whole stage may find a new one; calls in between are held back."""
    with serve() as (server, simulator):
        load(simulator, scene)
        ctrl = simulator.reset({}, START).ctrl
        server.faults.dies_after = len(server.handled) + 100
        with pytest.raises(SimulatorUnreachable) as raised:
            simulator.track(np.tile(ctrl, (60, 1)))
        assert raised.value.retryable
        for _ in range(BREAKER_FAILURES - 1):
            with pytest.raises((SimulatorUnreachable, BreakerOpen)):
                simulator.observe()
        with pytest.raises(BreakerOpen):
            simulator.observe()
