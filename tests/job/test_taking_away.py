"""Which objects are taken away: none that a sentence needs; and where they then are, at rest and out of sight."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from blueprint_pipeline.episode.record import EpisodeRecord, recording_path
from blueprint_pipeline.episode.states import load_poses
from blueprint_pipeline.job.planning import plan_job
from blueprint_pipeline.rollout.shard import simulate_shard
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.simulation.mujoco.renderer import camera_id
from blueprint_pipeline.task.variation import VARIATIONS, VariationRanges
from tests.simulation.small_job import small_context, small_folder, small_options, task_scene, write_job
from tests.simulation.small_manifest import DESCRIPTIONS
from tests.simulation.small_scene import SCENE_XML
from tests.temporary_rows import with_row

EPISODES = 12
LID = """
    <body name="lid" pos="{0} 0.81">
      <freejoint name="lid"/>
      <inertial pos="0 0 0" mass="0.1" diaginertia="0.0003 0.0003 0.0003"/>
      <geom name="lid_collision_0" type="box" size="0.02 0.02 0.02" group="3" condim="4" friction="0.8 0.01 0.0001"/>
      <geom name="lid_visual" type="box" size="0.02 0.02 0.02" group="2" contype="0" conaffinity="0" rgba="0.1 0.8 0.2 1"/>
    </body>
  </worldbody>"""
THREE = DESCRIPTIONS | {"lid": "green lid"}


def plan_without(scene, share=1.0, episodes=EPISODES):
    with with_row(VARIATIONS, VariationRanges(name="cleared", taken_away=share)):
        return plan_job(scene, small_options(episodes, variation="cleared", held_out=2))


def scene_with_lid(folder, where):
    return task_scene(folder, SCENE_XML.replace("</worldbody>", LID.format(where)), THREE)


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return scene_with_lid(tmp_path_factory.mktemp("apart"), "0.1 -0.3")


@pytest.fixture(scope="module")
def plan(scene):
    return plan_without(scene)


def test_what_is_not_named_is_away_and_nothing_else(scene, plan):
    """The sentence, the target and all that stays are those of the same job with everything."""
    for spec, whole in zip(plan.episodes, plan_job(scene, small_options(EPISODES)).episodes, strict=True):
        assert (spec.task, spec.robot_qpos, spec.seed) == (whole.task, whole.robot_qpos, whole.seed)
        named = {name for name in THREE if name in spec.task.instruction or name == spec.task.target_object}
        assert set(spec.taken_away) == set(whole.object_poses) - named
        for name, pose in spec.object_poses.items():
            assert (pose != whole.object_poses[name]) is (name in spec.taken_away)
    assert {len(spec.taken_away) for spec in plan.episodes} == {1, 2}
    assert any(spec.taken_away for spec in plan.held_out)


def test_it_lies_at_rest_on_the_floor_and_no_camera_sees_it(scene, plan):
    """While the robot waits, by every pixel of every camera; on the table it would be seen."""
    simulator = MujocoSimulator()
    simulator.load(scene.mjcf_path.parents[1], plan.robot, plan.fps)
    for spec in plan.episodes[:4]:
        simulator.reset(spec.object_poses, spec.robot_qpos)
        held = simulator.observe().ctrl.copy()
        simulator.track(np.tile(held, (15, 1)))
        ids = [simulator.model.body(body).name for body in range(simulator.model.nbody)]
        for name in spec.taken_away:
            moved_m = np.linalg.norm(simulator.data.body(name).xpos - np.array(spec.object_poses[name].position_m))
            assert moved_m < 0.001
            assert simulator.data.body(name).xpos[2] < 0.1
            assert np.linalg.norm(simulator.data.body(name).xpos[:2]) > 2.5
        for camera in plan.cameras:
            renderer = simulator.renderer(320, 240)
            renderer.look(simulator.data, camera_id(simulator.model, camera))
            seen = {ids[body] for body in np.unique(renderer.draw_bodies()) if body >= 0}
            assert not seen & set(spec.taken_away)
            if camera == "scene":
                assert spec.task.target_object in seen


def test_recordings_have_it_where_the_plan_says(tmp_path):
    """From the first row to the last, and the episode succeeds."""
    scene = scene_with_lid(tmp_path, "0.1 -0.3")
    with with_row(VARIATIONS, VariationRanges(name="cleared", taken_away=1.0)):
        plan = write_job(tmp_path, 2, scene=scene, variation="cleared")
    simulate_shard(0, small_context(tmp_path))
    for spec in plan.episodes:
        folder = small_folder(tmp_path).local(recording_path(0, spec.episode_id))
        record = EpisodeRecord.model_validate_json((folder / "episode.json").read_bytes())
        assert record.outcome.success
        assert record.spec == spec
        poses = load_poses(folder / "states.parquet").object_poses
        for name in spec.taken_away:
            column = poses[:, record.object_ids.index(name)]
            np.testing.assert_allclose(column[0], spec.object_poses[name].as_tuple(), atol=1e-9)
            assert np.linalg.norm(column[:, :3] - column[0, :3], axis=1).max() < 0.001


def test_a_share_of_them_goes_and_the_seed_says_which(scene):
    found = plan_without(scene, 0.4, 24).episodes
    free = sum(len(spec.object_poses) - 1 for spec in found)
    gone = sum(len(spec.taken_away) for spec in found)
    assert 0.1 * free < gone < 0.6 * free
    assert plan_without(scene, 0.4, 24).episodes == found


def test_what_bears_something_and_what_stands_on_it_stay(tmp_path):
    """The lid stands on the box: whatever is named, neither goes."""
    for spec in plan_without(scene_with_lid(tmp_path, "0.05 0.2"), episodes=4).episodes:
        assert not {"box", "lid"} & set(spec.taken_away)


def test_where_the_floor_is_not_free_it_lies_farther_away(tmp_path, plan):
    """A wall stands where it would lie."""
    at = next(spec.object_poses[name] for spec in plan.episodes for name in spec.taken_away)
    x, y, _ = at.position_m
    wall = f'<geom name="wall" type="box" pos="{x} {y} 1" size="0.5 2.5 1" group="3"/></worldbody>'
    xml = SCENE_XML.replace("</worldbody>", LID.format("0.1 -0.3")).replace("</worldbody>", wall)
    away = [
        spec.object_poses[name].position_m for spec in plan_without(task_scene(tmp_path, xml, THREE)).episodes for name in spec.taken_away
    ]
    assert away
    assert all(abs(place[0] - x) > 0.5 or abs(place[1] - y) > 2.5 for place in away)


def test_a_record_in_which_the_target_is_away_is_none(plan):
    spec = plan.episodes[0]
    for wrong in (spec.task.target_object, "ghost"):
        assert wrong == "ghost" or spec.task.needs(wrong)
        with pytest.raises(ValidationError, match="cannot be taken away"):
            type(spec).model_validate(spec.model_dump() | {"taken_away": (wrong,)})
    assert "taken_away" not in spec.model_copy(update={"taken_away": ()}).model_dump(mode="json")
    assert type(spec).model_validate_json(spec.model_dump_json()) == spec
    assert replace(VARIATIONS["none"], taken_away=0.1).as_record()["taken_away"] == 0.1
