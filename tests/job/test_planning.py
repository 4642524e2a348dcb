"""Tests of planning a job on the small scene: where the robot stands, what it does, and when it refuses."""

import re
from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest

from blueprint_pipeline.errors import PreemptedError
from blueprint_pipeline.job import planning
from blueprint_pipeline.job.placement import NoRoomForRobot
from blueprint_pipeline.job.planning import Crew, plan_job
from blueprint_pipeline.job.site import NothingToDo
from blueprint_pipeline.job.task_scene import TaskScene
from blueprint_pipeline.quality.metrics.spread import ellipse_share
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.scene.decompose import MAX_OVERFILL
from blueprint_pipeline.task.plan import JobPlan, dump_plan
from blueprint_pipeline.twin.footprint import find_supports, measure_footprint
from blueprint_pipeline.twin.model import build_scene_model
from blueprint_pipeline.twin.mount import PEDESTAL
from tests.simulation.small_job import small_options, task_scene
from tests.simulation.small_scene import SCENE_XML

EPISODES = 12
HALF_CELL_M = 0.0075
"""Start places are drawn within a cell of 1 cm, to its corner."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> TaskScene:
    return task_scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="module")
def plan(scene) -> JobPlan:
    return plan_job(scene, small_options(EPISODES))


def with_twin(scene: TaskScene, folder: Path, old: str, new: str) -> TaskScene:
    """The scene with something changed in its twin."""
    assert old in SCENE_XML
    path = folder / "scene.xml"
    path.write_text(SCENE_XML.replace(old, new))
    return replace(scene, twin=mujoco.MjModel.from_xml_path(str(path)), mjcf_path=path)


def test_same_request_gives_the_same_plan(scene, plan) -> None:
    """To the byte; another seed gives another job."""
    assert plan_job(scene, small_options(EPISODES)).model_dump_json() == plan.model_dump_json()
    assert plan_job(scene, small_options(EPISODES, seed=1)).job_id != plan.job_id


@pytest.mark.slow
def test_several_processes_plan_the_same_job_to_the_byte(scene, monkeypatch) -> None:
    """Episodes and held-out starts, in their order, and how far it is; asked to stop, it stops."""
    options = small_options(7, held_out=4, variation="wide")
    alone = plan_job(scene, options)
    monkeypatch.setattr("blueprint_pipeline.job.planning.CHUNK", 2)
    monkeypatch.setattr("blueprint_pipeline.job.planning.PARALLEL_FROM", 1)
    told: list[tuple[int, int]] = []
    crew = Crew(workers=2, progress=lambda done, total: told.append((done, total)))
    assert dump_plan(plan_job(scene, options, crew)) == dump_plan(alone)
    assert len(told) == 6
    assert told[-1] == (11, 11)

    def stop() -> None:
        raise PreemptedError

    with pytest.raises(PreemptedError):
        plan_job(scene, options, replace(crew, stop_if_asked=stop))


def test_a_shelf_of_two_tiers_is_planned(scene, tmp_path) -> None:
    """The can stands on the table, the box on a board above its back half: one tier is chosen, and all that is moved stands on it."""
    board = '<geom name="table_collision_1" type="box" pos="0 0.3 0.6" size="0.2 0.18 0.01" group="3"/>'
    table = '<body name="table" pos="0 0 0.35">'
    shelf = with_twin(scene, tmp_path, table, table + board)
    x, y, _ = scene.poses["box"].position_m
    poses = {**scene.poses, "box": scene.poses["box"].model_copy(update={"position_m": (x, y + 0.1, 0.35 + 0.61 + 0.04)})}
    plan = plan_job(replace(shelf, poses=poses), small_options(4))
    assert len({episode.task.target_object for episode in plan.episodes}) == 1
    heights = [{name: episode.object_poses[name].position_m[2] for name in ("can", "box")} for episode in plan.episodes]
    assert heights == [pytest.approx({"can": 0.76, "box": 1.0}, abs=0.001)] * 4


def test_more_episodes_do_not_change_the_first_ones(scene, plan) -> None:
    """Every episode has a generator of its own, and a job that grows keeps its id."""
    short = plan_job(scene, replace(small_options(3), shard_size=2))
    assert short.episodes == plan.episodes[:3]
    assert short.job_id == plan.job_id


def test_job_has_another_id_where_its_episodes_would_differ(scene, plan, tmp_path) -> None:
    """Another seed, another rate, or the same objects with other physics."""
    heavier = with_twin(scene, tmp_path, 'mass="0.2" diaginertia="0.0003 0.0003 0.0002"', 'mass="0.3" diaginertia="0.0003 0.0003 0.0002"')
    others = [
        plan_job(scene, small_options(1, seed=1)).job_id,
        plan_job(scene, replace(small_options(1), fps=60)).job_id,
        plan_job(heavier, small_options(1)).job_id,
    ]
    assert len({plan.job_id, *others}) == 4


def test_shards_cover_all_episodes_once(scene) -> None:
    """The last shard takes the rest."""
    job = plan_job(scene, replace(small_options(5), shard_size=2))
    assert [shard.episode_indices for shard in job.shards] == [(0, 1), (2, 3), (4,)]


def test_robot_stands_beside_the_table_at_its_height(plan) -> None:
    """Outside of the table's outline, base at its top."""
    x, y, z = plan.robot.base_pose.position_m
    assert abs(x) > 0.3 or abs(y) > 0.5
    assert z == pytest.approx(0.7, abs=0.002)


def test_every_start_is_at_rest_and_free_of_overlaps(scene, plan) -> None:
    """Nothing touches but the table, and nothing moves when let go."""
    compiled = build_scene_model(scene.mjcf_path, plan.robot, plan.fps)
    for episode in plan.episodes:
        data = mujoco.MjData(compiled.model)
        compiled.robot.place(data, episode.robot_qpos)
        for name, address in zip(compiled.object_ids, compiled.object_qpos, strict=True):
            pose = episode.object_poses[name]
            data.qpos[address : address + 7] = (*pose.position_m, *pose.quat_wxyz)
        mujoco.mj_forward(compiled.model, data)
        assert find_supports(compiled.model, data) == {"can": "table", "box": "table"}
        start = data.qpos.copy()
        for _ in range(240):
            mujoco.mj_step(compiled.model, data)
        assert np.abs(data.qpos - start)[list(compiled.object_qpos)].max() < 0.001


def test_starts_spread_over_the_surface_and_turn_all_ways(scene, plan) -> None:
    """No two episodes have the same start; both halves of the table and all quarters of headings occur, and the robot's start varies."""
    starts = np.array([episode.object_poses[name].position_m[:2] for episode in plan.episodes for name in ("can", "box")])
    assert len(np.unique(starts, axis=0)) == 2 * EPISODES
    assert (np.ptp(starts, axis=0) > (0.25, 0.5)).all()
    quats = np.array([episode.object_poses["box"].quat_wxyz for episode in plan.episodes])
    yaws = 2 * np.arctan2(quats[:, 3], quats[:, 0]) % (2 * np.pi)
    assert set(np.floor(yaws / (np.pi / 2)).astype(int)) == {0, 1, 2, 3}
    assert np.ptp([episode.robot_qpos[:7] for episode in plan.episodes], axis=0).min() > 0.05


def test_starts_spread_as_far_as_the_plan_says_that_they_can(plan) -> None:
    """Of each object the plan has where it has room; drawn evenly, starts spread over nearly all of that."""
    targets = [episode.task.target_object for episode in plan.episodes]
    starts = np.array([episode.object_poses[name].position_m[:2] for episode, name in zip(plan.episodes, targets, strict=True)])
    places = {name: np.array(found) for name, found in plan.start_area.covariances_m2.items()}
    assert set(places) == {"can", "box"}
    share = ellipse_share(starts, targets, places)
    assert share is not None
    assert 0.5 < share < 1.5


def test_every_object_has_its_turn(plan) -> None:
    """As often as any other."""
    targets = [episode.task.target_object for episode in plan.episodes]
    assert targets.count("can") == targets.count("box") == EPISODES // 2


def test_goals_lie_in_the_region_that_the_sentence_names_and_starts_do_not(scene, plan) -> None:
    """The whole object stands on the table, deep enough in its region, at least 10 cm from where it was, and clear of the other."""
    data = mujoco.MjData(scene.twin)
    mujoco.mj_forward(scene.twin, data)
    radius = {name: measure_footprint(scene.twin, data, name).radius_m for name in scene.poses}
    for episode in plan.episodes:
        target, goal = episode.task.target_object, np.array(episode.task.goal_position_m)
        start = np.array(episode.object_poses[target].position_m)
        other = "box" if target == "can" else "can"
        assert (np.abs(goal[:2]) + radius[target] < (0.3, 0.5)).all()
        assert np.linalg.norm(goal[:2] - start[:2]) >= 0.09
        assert np.linalg.norm(goal[:2] - np.array(episode.object_poses[other].position_m[:2])) > radius[target] + 0.025
        assert goal[2] == pytest.approx(start[2], abs=0.003)
        assert episode.task.region.depth_m(goal[:2]) > 0.02
        assert episode.task.region.depth_m(start[:2]) < 0


def test_instructions_name_the_target_and_a_place(plan) -> None:
    """Plain English, with the words of the manifest, in more than one way."""
    for episode in plan.episodes:
        target, other = ("can", "box") if episode.task.target_object == "can" else ("box", "can")
        assert re.fullmatch(
            rf"(put|place|set|pick up|move) the (red |blue )?{target}( down| and put it)? "
            rf"((on|in|at|to) the (left side|right side|front|back|middle) of the table"
            rf"|(to the left of|to the right of|in front of|behind) the (red |blue )?{other})",
            episode.task.instruction,
        )
    assert len({episode.task.instruction.split()[0] for episode in plan.episodes}) > 2


def test_directions_are_true_in_the_picture(scene, plan) -> None:
    """What is to the left of another lies left of it in the scene camera's picture; what is in front of it, below."""
    model = build_scene_model(scene.mjcf_path, plan.robot, plan.fps).model
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    camera = data.camera("scene")
    checked = set()
    for episode in plan.episodes:
        task = episode.task
        relation = re.search("to the left of|to the right of|in front of|behind", task.instruction)
        if relation is None:
            continue
        other = "box" if task.target_object == "can" else "can"
        points = np.array([[*np.array(task.region_m).mean(axis=0), 0.7], [*episode.object_poses[other].position_m[:2], 0.7]])
        local = (points - camera.xpos) @ camera.xmat.reshape(3, 3)
        (left, up), (left_of_other, up_of_other) = local[:, :2] / -local[:, 2:]
        true = {
            "to the left of": left < left_of_other,
            "to the right of": left > left_of_other,
            "in front of": up < up_of_other,
            "behind": up > up_of_other,
        }
        assert true[relation.group()], task.instruction
        checked.add(relation.group())
    assert len(checked) > 1


def test_objects_that_the_gripper_cannot_hold_are_no_targets(scene, tmp_path) -> None:
    """A can of 12 cm is left alone."""
    wide = with_twin(
        scene,
        tmp_path,
        'name="can_collision_0" type="cylinder" size="0.03 0.06"',
        'name="can_collision_0" type="cylinder" size="0.06 0.06"',
    )
    job = plan_job(wide, small_options(4))
    assert {episode.task.target_object for episode in job.episodes} == {"box"}
    assert set(job.left_out["pick_place"]) == {"can"}


def test_object_that_its_collision_pieces_close_is_no_target(scene) -> None:
    """A bowl that even the last cut closed would be no bowl in physics; the limit itself is allowed."""
    job = plan_job(replace(scene, overfill={"can": 0.12, "box": MAX_OVERFILL}), small_options(4))
    assert {episode.task.target_object for episode in job.episodes} == {"box"}
    reason = "its collision pieces close what is open: they fill 12.0% of the free space close to it (limit 3%)"
    assert job.left_out == {"pick_place": {"can": reason}}


def test_object_that_was_set_aside_is_told(scene) -> None:
    """It is none of the movable ones that a skill does not take; the plan, and with it the dataset's card, has the reason once."""
    job = plan_job(replace(scene, set_aside={"ball": "it does not come to rest: it moved 90 mm"}), small_options(4))
    assert job.left_out == {"pick_place": {}}
    assert job.set_aside == {"ball": "it does not come to rest: it moved 90 mm"}


def test_scene_without_anything_to_hold_is_refused(scene, tmp_path) -> None:
    """Every object says why it is no target."""
    text = SCENE_XML.replace('type="cylinder" size="0.03 0.06"', 'type="cylinder" size="0.06 0.06"')
    text = text.replace('type="box" size="0.025 0.035 0.04"', 'type="box" size="0.06 0.06 0.04"')
    path = tmp_path / "scene.xml"
    path.write_text(text)
    with pytest.raises(NothingToDo) as caught:
        plan_job(replace(scene, twin=mujoco.MjModel.from_xml_path(str(path)), mjcf_path=path), small_options(2))
    assert set(caught.value.reasons) == {"can", "box"}


def test_object_too_heavy_for_the_arm_is_no_target(scene, tmp_path) -> None:
    """The arm's payload counts."""
    heavy = with_twin(scene, tmp_path, 'mass="0.2" diaginertia="0.0003 0.0003 0.0002"', 'mass="4.0" diaginertia="0.006 0.006 0.004"')
    job = plan_job(heavy, small_options(4))
    assert {episode.task.target_object for episode in job.episodes} == {"box"}


def test_walled_in_table_has_no_room_for_a_robot(scene, tmp_path) -> None:
    """Walls on all sides, seen but not solid, as a reconstructed room has them."""
    walls = "".join(
        f'<geom type="box" pos="{x} {y} 1" size="{sx} {sy} 1" contype="0" conaffinity="0" group="2"/>'
        for x, y, sx, sy in ((0.4, 0, 0.02, 1), (-0.4, 0, 0.02, 1), (0, 0.6, 1, 0.02), (0, -0.6, 1, 0.02))
    )
    walled = with_twin(scene, tmp_path, '<body name="table"', walls + '<body name="table"')
    with pytest.raises(NoRoomForRobot, match="wall"):
        plan_job(walled, small_options(2))


DESK = '<body name="desk" pos="0 0 0.15"><geom name="desk_collision_0" type="box" size="2 2 0.15" group="3"/></body>'


def test_a_robot_stands_on_what_bears_the_support(scene, tmp_path) -> None:
    """All around the shelf there is desk: the pedestal stands on it, and is as much shorter."""
    plan = plan_job(with_twin(scene, tmp_path, '<body name="table"', DESK + '<body name="table"'), small_options(2))
    assert plan.robot.foot_m == pytest.approx(0.3)
    compiled = build_scene_model(tmp_path / "scene.xml", plan.robot, plan.fps)
    pedestal = compiled.model.geom(PEDESTAL)
    assert pedestal.pos[2] - pedestal.size[2] == pytest.approx(0.3)
    assert pedestal.pos[2] + pedestal.size[2] == pytest.approx(plan.robot.base_pose.position_m[2])


def test_a_robot_stands_on_the_floor_where_it_can(scene, plan, tmp_path) -> None:
    """A desk below one side of the shelf changes nothing, though more would be within reach from there."""
    half = DESK.replace('pos="0 0 0.15"', 'pos="1.9 0 0.15"')
    found = plan_job(with_twin(scene, tmp_path, '<body name="table"', half + '<body name="table"'), small_options(2)).robot
    assert plan.robot.foot_m == found.foot_m == 0.0


@pytest.mark.parametrize(
    "desk",
    [
        DESK.replace("/></body>", '/><geom type="box" pos="0 0 0.35" size="0.9 0.9 0.1" euler="0.09 0.09 0" group="3"/></body>'),
        DESK.replace("<geom ", '<freejoint/><geom mass="900" '),
    ],
    ids=["aslant", "not fixed"],
)
def test_a_robot_stands_on_nothing_that_is_aslant_or_moves(scene, tmp_path, desk) -> None:
    """It would fall with it."""
    twin = with_twin(scene, tmp_path, '<body name="table"', desk + '<body name="table"')
    place = next(iter(scene.poses.values())).model_copy(update={"position_m": (0.0, 0.0, 0.15)})
    with pytest.raises(NoRoomForRobot):
        plan_job(replace(twin, poses={**scene.poses, "desk": place} if "freejoint" in desk else scene.poses), small_options(2))


def test_the_scenes_camera_sees_the_work(scene, plan) -> None:
    """The target, the hand, the place of every goal and all that is named are in the picture, from the first instant to the last."""
    compiled = build_scene_model(scene.mjcf_path, plan.robot, plan.fps)
    camera = compiled.model.camera("scene")
    half = np.tan(np.radians(camera.fovy[0]) / 2) * np.array([plan.width / plan.height, 1.0])
    data = mujoco.MjData(compiled.model)
    for episode in plan.episodes:
        compiled.robot.place(data, episode.robot_qpos)
        mujoco.mj_forward(compiled.model, data)
        target = episode.object_poses[episode.task.target_object].position_m
        goal = (*episode.task.goal_xy_m, target[2])
        named = [pose.position_m for name, pose in episode.object_poses.items() if name in episode.task.instruction]
        points = np.array([target, goal, *named, *compiled.robot.tool_poses(data)[:, :3]])
        local = (points - data.camera("scene").xpos) @ data.camera("scene").xmat.reshape(3, 3)
        assert (np.abs(local[:, :2] / -local[:, 2:]) < half).all(), (episode.episode_id, local)


def test_a_hand_has_room_among_taller_things(scene, tmp_path) -> None:
    """Whatever is higher than the target stands a palm's half width from it, at the start and at the goal, fixed or not."""
    tower = with_twin(
        scene,
        tmp_path,
        '<geom name="floor"',
        '<body name="tower" pos="0.1 0.1 0.85"><geom type="box" size="0.04 0.04 0.15"/></body>\n    <geom name="floor"',
    )
    palm_m = load_embodiment("franka_panda").arms[0].gripper.palm.radius_m
    plan = plan_job(tower, small_options(24))
    seen = set()
    for episode in plan.episodes:
        task = episode.task
        target, other = task.target_object, "can" if task.target_object == "box" else "box"
        places = {name: np.array(pose.position_m[:2]) for name, pose in episode.object_poses.items()}
        for place in (places[target], np.array(task.goal_position_m[:2])):
            beside = np.maximum(np.abs(place - [0.1, 0.1]) - 0.04, 0.0)
            assert np.linalg.norm(beside) > palm_m - HALF_CELL_M
            if target == "box":  # the can is 4 cm higher
                assert np.linalg.norm(place - places[other]) > palm_m + 0.03 - HALF_CELL_M
        seen.add(target)
    assert seen == {"can", "box"}


def test_held_out_starts_are_drawn_from_numbers_of_their_own(tmp_path_factory):
    """Beside the episodes, which stay as they are; no shard is asked to simulate them."""
    scene = task_scene(tmp_path_factory.mktemp("scene"))
    alone, with_starts = (plan_job(scene, small_options(2, held_out=count)) for count in (0, 2))
    assert with_starts.episodes == alone.episodes
    assert with_starts.job_id == alone.job_id
    assert [spec.episode_id for spec in with_starts.held_out] == ["pick_place_held_out000000", "pick_place_held_out000001"]
    assert not {str(spec.object_poses) for spec in with_starts.held_out} & {str(spec.object_poses) for spec in with_starts.episodes}
    assert [part.held_out for part in with_starts.by_shard().values()] == [()]


def test_a_held_out_start_without_a_task_ends_no_job(scene, monkeypatch) -> None:
    """It is left out; an episode without one is told."""
    plain = planning._plan_episode

    def plan_but_one(scene, site, options, index, *, held_out=False, wish=None):
        if held_out and index == 1:
            raise NothingToDo("small", "pick_place", {})
        return plain(scene, site, options, index, held_out=held_out, wish=wish)

    monkeypatch.setattr(planning, "_plan_episode", plan_but_one)
    found = plan_job(scene, small_options(2, held_out=3))
    assert [spec.episode_index for spec in found.held_out] == [0, 2]
    assert len(found.episodes) == 2
