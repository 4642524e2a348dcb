"""Which surfaces get another picture, and that what the sentence names stands out from it."""

from dataclasses import replace

import mujoco
import numpy as np
import pytest

from blueprint_pipeline.job.pictured import find_pictured
from blueprint_pipeline.job.planning import plan_job
from blueprint_pipeline.job.site import Film, choose_site
from blueprint_pipeline.kit.textures import paint
from blueprint_pipeline.skill.drawn_color import difference
from blueprint_pipeline.task.variation import PLAIN, VARIATIONS
from tests.job.test_varying import as_planned
from tests.simulation.pictured_scene import ROOM_XML, SIDE_M, TOP
from tests.simulation.small_job import small_options, task_scene
from tests.temporary_rows import with_row

EPISODES = 16


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return task_scene(tmp_path_factory.mktemp("picturing"), ROOM_XML)


@pytest.fixture(scope="module")
def plans(scene):
    return {name: plan_job(scene, small_options(EPISODES, variation=name)) for name in VARIATIONS}


def pictured(xml=ROOM_XML, bodies=("table",)):
    return find_pictured(mujoco.MjModel.from_xml_string(xml), bodies)


def test_a_surface_that_is_laid_out_by_length_has_room():
    """With the side of its picture, and its mean colour."""
    (found,) = pictured()
    assert (found.material, found.body) == (TOP, "table")
    assert found.side_m == pytest.approx(SIDE_M, rel=1e-4)
    np.testing.assert_allclose(found.rgb, [0.65, 0.525, 0.375], atol=0.01)


UV = 'texcoord="-0.75 -1.25  0.75 -1.25  0.75 1.25  -0.75 1.25"'


@pytest.mark.parametrize(
    ("given", "instead"),
    [
        (UV, 'texcoord="-0.75 -1.25  0.75 -1.25  0.9 1.25  -0.75 1.25"'),
        (UV, 'texcoord="0 0  1 0  1 1  0 1"'),
        (UV, 'texcoord="-0.05 -0.083  0.05 -0.083  0.05 0.083  -0.05 0.083"'),
        (UV, 'texcoord="-75 -125  75 -125  75 125  -75 125"'),
        (UV, ""),
        (f'<material name="{TOP}" texture="{TOP}"/>', f'<material name="{TOP}" texture="{TOP}" rgba="1 1 1 0.5"/>'),
        (f'<material name="{TOP}" texture="{TOP}"/>', f'<material name="{TOP}" texture="{TOP}"/><material name="b" texture="{TOP}"/>'),
        ('<geom name="can_visual" type="cylinder"', f'<geom name="can_visual" material="{TOP}" type="cylinder"'),
    ],
    ids=["sheared", "stretched", "coarse", "fine", "no layout", "transparent", "texture shared", "material shared"],
)
def test_others_have_none(given, instead):
    assert given in ROOM_XML
    assert pictured(ROOM_XML.replace(given, instead)) == []


def test_a_picture_that_breaks_off_within_a_side_leaves_no_room():
    """As in a scan that was unfolded into pieces: each triangle has a place of its own."""
    pieces = (
        'vertex="-0.3 -0.5 0  0.3 -0.5 0  0.3 0.5 0  -0.3 -0.5 0  0.3 0.5 0  -0.3 0.5 0"',
        'texcoord="-0.75 -1.25  0.75 -1.25  0.75 1.25  {0} -1.25  {1} 1.25  {0} 1.25"',
        'face="0 1 2  3 4 5"',
    )
    whole = 'vertex="-0.3 -0.5 0  0.3 -0.5 0  0.3 0.5 0  -0.3 0.5 0"\n      ' + UV + ' face="0 1 2  0 2 3"'
    assert whole in ROOM_XML
    in_step = ROOM_XML.replace(whole, " ".join(pieces).format(1.25, 2.75))  # two whole pictures further
    apart = ROOM_XML.replace(whole, " ".join(pieces).format(-0.45, 1.05))
    assert len(pictured(in_step)) == 1
    assert pictured(apart) == []


def test_bodies_whose_looks_are_told_keep_them():
    assert pictured(bodies=("can", "world")) == []


def test_tasks_and_all_other_draws_are_the_same(plans):
    """Pictures are drawn last: what a job without them has is there."""
    tasks = {name: [as_planned(spec) for spec in plan.episodes] for name, plan in plans.items()}
    assert tasks["none"] == tasks["mild"] == tasks["wide"]
    assert all(spec.variation == PLAIN for spec in plans["none"].episodes)


@pytest.mark.parametrize("name", ["mild", "wide"])
def test_what_is_drawn_lies_within_the_ranges(scene, plans, name):
    ranges, drawn = VARIATIONS[name], [spec.variation for spec in plans[name].episodes]
    textures = [item.textures[TOP] for item in drawn if TOP in item.textures]
    assert 0.25 * EPISODES < len(textures) <= min(EPISODES, (ranges.textured + 0.35) * EPISODES)
    assert len({texture.seed for texture in textures}) == len(textures)
    assert len({texture.kind for texture in textures}) >= 3
    assert {len(item.textures) for item in drawn} <= {0, 1}
    own = np.array([0.65, 0.525, 0.375])
    middles = [np.mean([texture.low_rgb, texture.high_rgb], axis=0) for texture in textures]
    far = max(float(np.abs(middle - own).max()) for middle in middles)
    assert 0.05 < far <= ranges.texture_colour * 0.7 + 0.05
    skies = [item.backdrop for item in drawn if item.backdrop is not None]
    assert len(skies) > 0.5 * EPISODES
    assert max(float(np.abs(np.array(sky.above_rgb) - 0.7).max()) for sky in skies) <= 0.5 * ranges.backdrop
    assert len(set(skies)) == len(skies)
    assert plan_job(scene, small_options(3, variation=name)).episodes == plans[name].episodes[:3]


def test_what_is_named_stands_out_from_what_is_painted(scene):
    """The can would not, on cloth of its own colour: by the pixels that are really painted, tinted as they are."""
    with with_row(VARIATIONS, replace(VARIATIONS["wide"], name="all", textured=1.0)):
        plan = plan_job(scene, small_options(24, variation="all"))
    site = choose_site(scene, "franka_panda", ("pick_place",), Film(fps=30, width=160, height=120), seed=0)
    seen = 0
    for spec in plan.episodes:
        target = site.place.objects[spec.task.target_object].drawn_rgb
        for texture in spec.variation.textures.values():
            tint, pixels = np.array(spec.variation.tints["table"]), paint(texture.model_dump(mode="json"), 64, 64).reshape(-1, 3) / 255
            assert min(difference(target, pixel * tint) for pixel in pixels[::37]) >= 18
            seen += 1
    assert seen > 12


def test_a_surface_like_what_is_named_keeps_its_picture(tmp_path):
    """Where every usual colour were nearer to the can than its table is now, nothing is laid on the table."""
    with with_row(VARIATIONS, replace(VARIATIONS["wide"], name="all", textured=1.0, tint=0.0)):
        wood = 'rgba="0.8 0.1 0.1 1"'
        assert wood in ROOM_XML
        alike = task_scene(tmp_path, ROOM_XML.replace(wood, 'rgba="0.65 0.525 0.375 1"'))
        site = choose_site(alike, "franka_panda", ("pick_place",), Film(fps=30, width=160, height=120), seed=0)
        plan = plan_job(alike, small_options(8, variation="all"))
    target = site.place.objects["can"].drawn_rgb
    before = difference(target, np.array([0.65, 0.525, 0.375]))
    assert before < 5
    for spec in plan.episodes:
        for texture in spec.variation.textures.values() if spec.task.target_object == "can" else ():
            assert min(difference(target, np.array(rgb)) for rgb in (texture.low_rgb, texture.high_rgb)) >= before


def test_a_job_without_pictures_keeps_its_name():
    """Keys of jobs without variation have what they had, and those of others name every range."""
    assert list(VARIATIONS["none"].as_record()) == [
        *("name", "camera_m", "camera_rad", "zoom", "light_level", "warmth", "light_turn_rad", "tint", "friction", "mass")
    ]
    assert {"textured", "texture_colour", "backdrop"} <= VARIATIONS["mild"].as_record().keys()
