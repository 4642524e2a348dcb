"""The scene's camera goes where it sees the work: around the robot, around walls, and not into furniture."""

import mujoco
import numpy as np
import pytest

from blueprint_pipeline.job.planning import plan_job
from blueprint_pipeline.twin.model import build_scene_model
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
    sight.show(~sight.geoms_below(compiled.object_ids))
    grid = np.stack(np.meshgrid(np.linspace(-0.25, 0.25, 8), np.linspace(-0.4, 0.4, 10)), axis=-1).reshape(-1, 2)
    points = np.column_stack([grid, np.full(len(grid), 0.75)])
    return 1.0 - sight.sees(sight.lens(compiled.model.camera("scene").id).position_m, points).mean()


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


def test_nothing_stands_before_a_target_or_its_goal(scene, tmp_path):
    """A screen beside the middle of the table hides what is behind it, wherever the camera stands: nothing starts or ends there unseen."""
    screen = '<body name="screen" pos="0 0 0.85"><geom type="box" size="0.2 0.01 0.15" contype="0" conaffinity="0" group="2"/></body>'
    screened = with_twin(scene, tmp_path, '<body name="can"', screen + '<body name="can"')
    plan = plan_job(screened, small_options(16))
    compiled = build_scene_model(screened.mjcf_path, plan.robot, plan.fps)
    sight, data = Sight(compiled.model), mujoco.MjData(compiled.model)
    lens = sight.lens(compiled.model.camera("scene").id)
    for episode in plan.episodes:
        target = episode.task.target_object
        compiled.robot.place(data, episode.robot_qpos)
        for name, address in zip(compiled.object_ids, compiled.object_qpos, strict=True):
            pose = episode.object_poses[name]
            data.qpos[address : address + 7] = (*pose.position_m, *pose.quat_wxyz)
        sight.stand(data.qpos)
        lens = sight.lens(compiled.model.camera("scene").id)
        sight.show_all()
        seen = sight.count_pixels(lens, sight.geoms_below([target]), plan.width, plan.height)
        sight.show(sight.geoms_below([target]))
        whole = sight.count_pixels(lens, sight.geoms_below([target]), plan.width, plan.height)
        assert seen >= max(40, 0.5 * whole), (episode.episode_id, seen, whole)
        sight.show(~sight.geoms_below([target]))
        goal = np.array([*episode.task.goal_position_m[:2], episode.object_poses[target].position_m[2]])
        assert sight.sees(lens.position_m, goal[None]).all(), (episode.episode_id, goal)
