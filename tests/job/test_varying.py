"""What a job varies: within its ranges, from a seed of its own, and never so that the target is not seen."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from blueprint_pipeline.job.plan_tasks import load_task_scene
from blueprint_pipeline.job.planning import plan_job
from blueprint_pipeline.job.site import Film, choose_site
from blueprint_pipeline.skill.drawn_color import is_colour_of
from blueprint_pipeline.task.variation import PLAIN, VARIATIONS
from tests.simulation.small_job import small_options, task_scene
from tests.simulation.small_scene import SCENE_XML
from tests.temporary_rows import with_row

EPISODES = 12


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return task_scene(tmp_path_factory.mktemp("varying"))


@pytest.fixture(scope="module")
def plans(scene):
    return {name: plan_job(scene, small_options(EPISODES, held_out=2, variation=name)) for name in VARIATIONS}


def as_planned(spec):
    """Without variation, and with poses of what it needs alone."""
    needed = {name: pose for name, pose in spec.object_poses.items() if name == spec.task.target_object}
    return spec.model_copy(update={"variation": PLAIN, "taken_away": (), "object_poses": needed})


def test_tasks_are_the_same_in_every_variation(plans):
    """Only how the scene looks and weighs differs; the job's id says so."""
    tasks = {name: [as_planned(spec) for spec in plan.episodes] for name, plan in plans.items()}
    assert tasks["none"] == tasks["mild"] == tasks["wide"]
    assert all(spec.variation == PLAIN and not spec.taken_away for spec in plans["none"].episodes)
    assert len({plan.job_id for plan in plans.values()}) == len(plans)
    assert {name: plan.variation for name, plan in plans.items()} == {name: name for name in VARIATIONS}


@pytest.mark.parametrize("name", ["mild", "wide"])
def test_what_is_drawn_lies_within_the_ranges_and_fills_them(plans, name):
    ranges, plan = VARIATIONS[name], plans[name]
    drawn = [spec.variation for spec in (*plan.episodes, *plan.held_out)]
    levels, frictions = [item.light_level for item in drawn], [item.friction for item in drawn]
    masses = [item.masses["can"] for item in drawn]
    for values, (low, high) in ((levels, ranges.light_level), (frictions, ranges.friction), (masses, ranges.mass)):
        assert low <= min(values) <= max(values) <= high
        assert np.ptp(values) > 0.5 * (high - low)
    home = np.array(plan.robot.view.position_m)
    away_m = [float(np.linalg.norm(np.array(item.view.position_m) - home)) for item in drawn if item.view]
    assert 0.3 * ranges.camera_m < max(away_m) <= ranges.camera_m + 1e-3
    assert len(away_m) == len(drawn)
    assert all(1 - ranges.tint <= channel <= 1 for item in drawn for channel in item.tints["table"])
    assert len({item.model_dump_json() for item in drawn}) == len(drawn)


@pytest.mark.parametrize("name", ["mild", "wide"])
def test_cameras_on_the_robot_are_mounted_within_the_ranges(plans, name):
    ranges, plan = VARIATIONS[name], plans[name]
    mounts = [spec.variation.mounts["wrist"] for spec in (*plan.episodes, *plan.held_out)]
    away_m = np.abs([mount.shift_m for mount in mounts]).max(axis=0)
    turns = Rotation.from_quat([mount.turn_quat_wxyz for mount in mounts], scalar_first=True).magnitude()
    wider = [mount.widening - 1 for mount in mounts]
    assert (away_m > 0.4 * ranges.mount_m).all()
    assert (away_m <= ranges.mount_m + 1e-6).all()
    assert max(mount.shift_m[2] for mount in mounts) <= 0  # its housing is behind it
    assert 0.5 * ranges.mount_rad < turns.max() <= np.sqrt(3) * ranges.mount_rad + 1e-9
    assert min(wider) < 0 < max(wider)
    assert 0.4 * ranges.mount_zoom < np.abs(wider).max() <= ranges.mount_zoom + 1e-4
    assert len(set(mounts)) == len(mounts)


def test_mounts_are_drawn_from_numbers_of_their_own(scene, plans, monkeypatch):
    """Without them everything else of a plan is the same."""
    fixed = replace(VARIATIONS["wide"], mount_m=0.0, mount_rad=0.0, mount_zoom=0.0)
    monkeypatch.setattr("blueprint_pipeline.job.planning.VARIATIONS", {"wide": fixed})
    found = plan_job(scene, small_options(3, variation="wide")).episodes
    for without, spec in zip(found, plans["wide"].episodes, strict=False):
        assert without.variation.mounts == {} != spec.variation.mounts
        assert without == spec.model_copy(update={"variation": spec.variation.model_copy(update={"mounts": {}})})


def test_the_same_request_gives_the_same_variation(scene, plans):
    assert plan_job(scene, small_options(3, variation="wide")).episodes == plans["wide"].episodes[:3]


@pytest.mark.parametrize("name", ["mild", "wide"])
def test_no_light_is_brighter_than_it_was(plans, name):
    """What is brighter than all of a scene's light clips, and then neither brightness nor tint are what is recorded."""
    for spec in plans[name].episodes:
        assert spec.variation.light_level * max(spec.variation.light_tint) <= 1.0


def test_words_for_colours_stay_true(scene, plans):
    """By the measure that chose the words."""
    site = choose_site(scene, "franka_panda", ("pick_place",), Film(fps=30, width=160, height=120), seed=0)
    coloured = [item for item in site.place.objects.values() if item.colour]
    assert coloured
    for spec in plans["wide"].episodes:
        light = spec.variation.light_level * np.array(spec.variation.light_tint)
        assert all(is_colour_of(item.colour, item.drawn_rgb * light) for item in coloured)


def test_lights_are_not_turned_behind_walls(scene, tmp_path):
    """Between the work and every direction but the one that the light has there is something."""
    wall = '<geom name="wall_{0}" type="box" size="0.02 2 1.5" pos="{1} 0 2.3" euler="0 0 {0}" group="2" contype="0" conaffinity="0"/>'
    light = '<light pos="0 0 3" dir="0 -0.8 -1" castshadow="false"/>'
    walls = wall.format(0, 1.2) + wall.format(0, -1.2).replace("wall_0", "wall_1")
    xml = SCENE_XML.replace('<light pos="0 0 3" dir="0 0 -1" castshadow="false"/>', light + walls)
    walled = task_scene(tmp_path, xml)
    turns = [abs(spec.variation.light_turn_rad) for spec in plan_job(walled, small_options(10, variation="wide")).episodes]
    free = [abs(spec.variation.light_turn_rad) for spec in plan_job(scene, small_options(10, variation="wide")).episodes]
    assert max(turns) < 0.6 < max(free)


def test_the_target_is_seen_from_where_the_camera_stands(scene, plans):
    site = choose_site(scene, "franka_panda", ("pick_place",), Film(fps=30, width=160, height=120), seed=0)
    for spec in plans["wide"].episodes:
        assert site.place.view.shows(spec.object_poses, spec.robot_qpos, spec.task.target_object, spec.variation.view)


def test_what_opens_keeps_its_colour(cabinet):
    """Sentences tell the white cabinet's door; the room with its table is tinted."""
    plan = plan_job(load_task_scene(cabinet), small_options(2, skills=("open",), variation="wide"))
    for spec in plan.episodes:
        assert set(spec.variation.tints) == {"background"}


def test_a_camera_that_would_not_show_the_target_comes_nearer_or_stays(scene):
    """From up to ten metres away it is a few pixels, or out of the picture."""
    with with_row(VARIATIONS, replace(VARIATIONS["wide"], name="far", camera_m=10.0)):
        plan = plan_job(scene, small_options(6, variation="far"))
    home = np.array(plan.robot.view.position_m)
    views = [spec.variation.view for spec in plan.episodes]
    assert all(view is None or np.linalg.norm(np.array(view.position_m) - home) < 5.0 for view in views)
