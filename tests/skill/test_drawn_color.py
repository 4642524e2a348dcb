"""Words for colours are true of the picture: of what is drawn, not of what an id says."""

import mujoco
import numpy as np
import pytest

from blueprint_pipeline.job.planning import plan_job
from blueprint_pipeline.skill.drawn_color import COLOURS, is_colour_of, mean_color
from tests.simulation.small_job import small_options, task_scene
from tests.simulation.small_manifest import DESCRIPTIONS
from tests.simulation.small_scene import SCENE_XML

TEXTURED = """
<mujoco>
  <asset>
    <texture name="half" type="2d" builtin="flat" rgb1="0.1 0.1 0.1" width="8" height="8"/>
    <material name="half" texture="half" rgba="1 1 1 1"/>
    <material name="plain" rgba="0.9 0.1 0.1 1"/>
    <mesh name="sheet" vertex="0 0 0 1 0 0 0 1 0 0 0 1" texcoord="0.1 0.1 0.9 0.1 0.1 0.9 0.5 0.5" face="0 2 1 0 1 3 0 3 2 1 2 3"/>
  </asset>
  <worldbody>
    <body name="textured"><freejoint/><geom type="mesh" mesh="sheet" material="half" mass="1"/></body>
    <body name="plain" pos="3 0 0"><freejoint/><geom type="box" size="1 1 1" material="plain"/>
      <geom type="box" size="2 2 2" rgba="0 1 0 1" group="3"/></body>
  </worldbody>
</mujoco>
"""


@pytest.mark.parametrize(
    ("display", "words"),
    [
        ((0.05, 0.05, 0.05), {"black"}),
        ((0.95, 0.95, 0.93), {"white"}),
        ((0.45, 0.45, 0.45), {"grey", "gray", "silver"}),
        ((0.8, 0.1, 0.1), {"red"}),
        ((0.95, 0.5, 0.1), {"orange"}),
        ((0.4, 0.25, 0.1), {"brown"}),
        ((0.98, 0.85, 0.2), {"yellow"}),
        ((0.1, 0.6, 0.2), {"green"}),
        ((0.1, 0.2, 0.8), {"blue"}),
        ((0.5, 0.1, 0.6), {"purple"}),
        ((0.95, 0.6, 0.7), {"pink"}),
    ],
)
def test_every_word_names_its_colour(display, words) -> None:
    """And no word of another family names it: red is not green, and what is pale is not black."""
    found = {word for word in COLOURS if is_colour_of(word, np.array(display))}
    assert words <= found
    neighbours = {
        "red": {"pink", "brown", "orange"},
        "orange": {"brown", "yellow"},
        "brown": {"orange"},
        "blue": {"purple"},
        "pink": {"red"},
    }
    assert found <= words.union(*(neighbours.get(word, set()) for word in words))


def test_the_colour_is_that_of_what_is_drawn() -> None:
    """A texture's, or a material's; collision geometry has none."""
    model = mujoco.MjModel.from_xml_string(TEXTURED)
    assert mean_color(model, "textured") == pytest.approx(np.full(3, 26 / 255), abs=0.01)
    assert mean_color(model, "plain") == pytest.approx([0.9, 0.1, 0.1], abs=1e-6)


def test_what_is_not_drawn_has_no_colour_and_ends_no_job(tmp_path) -> None:
    """A can that only collides: no word for its colour is said, and what stands beside it is handled in light of any kind."""
    drawn = 'name="can_visual" type="cylinder" size="0.03 0.06" group="2"'
    assert drawn in SCENE_XML
    unseen = SCENE_XML.replace(drawn, drawn.replace('group="2"', 'group="3"'))
    scene = task_scene(tmp_path, unseen)
    assert mean_color(scene.twin, "can") is None
    facts = scene.facts("can", {"can": "table"})
    assert (facts.colour, facts.drawn_rgb) == (None, None)
    assert {spec.task.target_object for spec in plan_job(scene, small_options(2, variation="wide")).episodes} == {"box"}


def test_a_word_that_the_picture_denies_is_not_said(tmp_path) -> None:
    """The can is drawn red, the box blue, whatever their descriptions say; the first true word counts."""
    told = {"can": "black soda can with a red ring", "box": "yellow box"}
    scene = task_scene(tmp_path, descriptions={**DESCRIPTIONS, **told})
    assert [scene.facts(name, {}).colour for name in ("can", "box")] == ["red", None]
    true = task_scene(tmp_path, descriptions=DESCRIPTIONS)
    assert [true.facts(name, {}).colour for name in ("can", "box")] == ["red", "blue"]
