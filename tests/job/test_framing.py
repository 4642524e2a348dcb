"""The scene's camera goes where it sees the work: around the robot, around walls, and not into furniture."""

import warnings

import numpy as np
import pytest

from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.job.framing import WIDEST_DEG, choose_view
from blueprint_pipeline.job.planning import plan_job
from blueprint_pipeline.motion.scene import build_motion_scene
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.placement import RobotPlacement
from blueprint_pipeline.skill.goals import Reach
from blueprint_pipeline.skill.pick_place import PickPlaceTask
from blueprint_pipeline.skill.push import _strokes, _ways
from blueprint_pipeline.skill.push_contact import Sides, observe_pushed
from blueprint_pipeline.skill.support_surface import scan_surface
from blueprint_pipeline.twin.model import build_scene_model, planning_copy
from blueprint_pipeline.twin.sight import Sight
from tests.job.test_planning import with_twin
from tests.simulation.small_job import small_options, task_scene

WALL = '<geom type="box" pos="{} {} 1.2" size="{} {} 1.2" contype="0" conaffinity="0" group="2"/>'
CAMERA = 'pos="1.4 0 1.5" xyaxes="0 1 0 -0.5 0 0.85"'
SIDES = WALL.format(0, 0.75, 0.4, 0.02) + WALL.format(0, -0.75, 0.4, 0.02)
BEHIND_THE_ROBOT = 'pos="-1.6 0 1.5" xyaxes="0 -1 0 0.5 0 0.85"'
ROOMS = {
    "as it is": "",
    "a wall at its back": WALL.format(0.6, 0, 0.02, 3),
    "in a corner": WALL.format(0.6, 0, 0.02, 3) + WALL.format(0, 0.8, 3, 0.02),
    "a lamp over it": '<geom type="sphere" pos="0 0 1.35" size="0.12" contype="0" conaffinity="0" group="2"/>',
}


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return task_scene(tmp_path_factory.mktemp("scene"))


def hidden_share(scene, robot, fps):
    """Of points all over the table, at the height of what stands there, with the robot at home."""
    compiled = build_scene_model(scene.mjcf_path, robot, fps)
    sight = Sight(compiled.model)
    sight.stand(compiled.model.key_qpos[0] if compiled.model.nkey else compiled.model.qpos0)
    sight.show(~sight.geoms_of(compiled.object_ids))
    grid = np.stack(np.meshgrid(np.linspace(-0.25, 0.25, 8), np.linspace(-0.4, 0.4, 10)), axis=-1).reshape(-1, 2)
    points = np.column_stack([grid, np.full(len(grid), 0.75)])
    return 1.0 - sight.sees(sight.lens(compiled.model.camera("scene").id).position_m, points).mean()


def end_of(task, compiled, episode, tmp_path):
    """Where the target is brought, (2,): the spot of a pick, the end of a push's first stroke."""
    if isinstance(task, PickPlaceTask):
        return task.goal_position_m[:2]
    embodiment = load_embodiment("franka_panda")
    planner = build_motion_scene(planning_copy(compiled.model), embodiment, embodiment.arms[0].name, fps=30, cache_dir=tmp_path)
    pushed = observe_pushed(planner, compiled.qpos_at(episode.object_poses, episode.robot_qpos), task.target_object, task.support_object)
    stroke = next(_strokes(planner, pushed, _ways(Sides(planner, pushed), pushed.center_m, task.region), []))
    return pushed.center_m + stroke.way_m


def test_a_photo_taken_from_too_near_is_no_candidate(scene, tmp_path):
    """It would have to stretch the picture, and cut off some of the work all the same."""
    near = with_twin(scene, tmp_path, CAMERA, 'pos="0 0.1 1.3" xyaxes="0 1 0 -1 0 0"')
    view = plan_job(near, small_options(1)).robot.view
    assert view.fovy_deg <= WIDEST_DEG
    assert view.position_m != (0.0, 0.1, 1.3)


def test_where_no_place_is_open_the_photos_view_is_left(scene, tmp_path):
    """A low ceiling over all of it: no camera fits between it and the table, and the job goes on."""
    ceiling = '<geom type="box" pos="0 0 1.9" size="9 9 0.6" contype="0" conaffinity="0" group="2"/>'
    low = with_twin(scene, tmp_path, '<body name="table"', ceiling + '<body name="table"')
    unseen = RobotPlacement(embodiment="franka_panda", base_pose=Pose(position_m=(-0.47, 0.0, 0.7), quat_wxyz=(1, 0, 0, 0)))
    assert choose(low, unseen, tmp_path).position_m == (1.4, 0.0, 1.5)


def test_where_a_resting_arm_is_held_is_no_work(scene, tmp_path):
    """However high the right hand of a robot is held, beside and behind all that its left one does, the picture shows the same."""
    robot = load_embodiment("agibot_g2")
    left, right = robot.arms
    hanging = robot.model_copy(update={"arms": (left, right.model_copy(update={"rest_qpos_rad": (0.0, 1.3, 0.0, 0.0, 0.0, 0.0, 0.0)}))})
    placement = RobotPlacement(embodiment=robot.name, base_pose=Pose(position_m=(-0.61, 0.0, 0.7), quat_wxyz=(1, 0, 0, 0)))
    folded, down = (choose(scene, placement, tmp_path, robot=held) for held in (robot, hanging))
    assert folded.fovy_deg == pytest.approx(down.fovy_deg, abs=1e-6)


def choose(scene, placement, tmp_path, farthest_m=0.7, robot=None):
    embodiment = robot or load_embodiment("franka_panda")
    compiled = build_scene_model(scene.mjcf_path, placement, 30)
    planner = build_motion_scene(planning_copy(compiled.model), embodiment, embodiment.arms[0].name, fps=30, cache_dir=tmp_path)
    surface = scan_surface(scene.twin, scene.twin.qpos0, "table", 0.7)
    reach = Reach(center_m=np.array(placement.base_pose.position_m[:2]), yaw_rad=0.0, nearest_m=0.3, farthest_m=farthest_m)
    return choose_view(compiled, planner, embodiment, surface, reach, aspect=4 / 3)


@pytest.mark.parametrize("farthest_m", [0.36, 0.3001])
def test_a_place_under_the_hand_alone_is_seen_too(scene, tmp_path, farthest_m):
    """All that is within reach is hidden by the hand in every pose, so nothing is asked there; the rest still decides."""
    lamp = '<geom type="box" pos="0 -0.45 1.2" size="0.5 0.02 0.5" contype="0" conaffinity="0" group="2"/>'
    lit = with_twin(scene, tmp_path, '<body name="table"', lamp + '<body name="table"')
    placement = RobotPlacement(embodiment="franka_panda", base_pose=Pose(position_m=(-0.47, 0.0, 0.7), quat_wxyz=(1, 0, 0, 0)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        view = choose(lit, placement, tmp_path, farthest_m=farthest_m)
    assert view.position_m[1] > -0.45


@pytest.mark.parametrize("room", ROOMS)
def test_the_camera_sees_the_table_and_stands_free(scene, tmp_path, room):
    """Of what the walls leave; a camera in a wall, or behind it, would see nothing."""
    walled = with_twin(scene, tmp_path, '<body name="table"', ROOMS[room] + '<body name="table"')
    plan = plan_job(walled, small_options(1))
    assert hidden_share(walled, plan.robot, plan.fps) < 0.1
    compiled = build_scene_model(walled.mjcf_path, plan.robot, plan.fps)
    sight, eye = Sight(compiled.model), np.array(plan.robot.view.position_m)
    sight.stand(compiled.model.qpos0)
    assert sight.sees(eye, eye + 0.1 * np.concatenate([np.eye(3), -np.eye(3)])).all()


def test_a_robot_that_stands_before_the_reconstructions_camera_is_looked_around(scene, tmp_path):
    """A person took the photo from where the robot works best."""
    camera = '<camera name="scene" '
    photo = with_twin(scene, tmp_path, camera + CAMERA, WALL.format(0.5, 0, 0.02, 3) + SIDES + camera + BEHIND_THE_ROBOT)
    plan = plan_job(photo, small_options(1))
    from_the_photo = plan.robot.model_copy(update={"view": None})
    assert hidden_share(photo, from_the_photo, plan.fps) > 0.2
    assert hidden_share(photo, plan.robot, plan.fps) < 0.1


@pytest.mark.parametrize("skill", ["pick_place", "push"])
def test_nothing_stands_before_a_target_or_its_goal(scene, tmp_path, skill):
    """A screen beside the middle of the table hides what is behind it, wherever the camera stands: nothing starts or ends there unseen."""
    screen = '<body name="screen" pos="0 0 0.85"><geom type="box" size="0.2 0.01 0.15" contype="0" conaffinity="0" group="2"/></body>'
    screened = with_twin(scene, tmp_path, '<body name="can"', screen + '<body name="can"')
    plan = plan_job(screened, small_options(12, skills=(skill,)))
    compiled = build_scene_model(screened.mjcf_path, plan.robot, plan.fps)
    sight = Sight(compiled.model)
    for episode in plan.episodes:
        target = episode.task.target_object
        sight.stand(compiled.qpos_at(episode.object_poses, episode.robot_qpos))
        lens = sight.lens(compiled.model.camera("scene").id)
        sight.show_all()
        seen = sight.count_pixels(lens, sight.geoms_of([target]), plan.width, plan.height)
        sight.show(sight.geoms_of([target]))
        whole = sight.count_pixels(lens, sight.geoms_of([target]), plan.width, plan.height)
        assert seen >= max(40, 0.5 * whole), (episode.episode_id, seen, whole)
        sight.show(~sight.geoms_of([target]))
        ends = np.array([*end_of(episode.task, compiled, episode, tmp_path), episode.object_poses[target].position_m[2]])
        assert sight.sees(lens.position_m, ends[None]).all(), (episode.episode_id, ends)
