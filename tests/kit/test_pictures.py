"""Other pictures and backdrops: what is recorded is what is drawn, by whatever draws, in whatever order."""

from functools import partial
from itertools import pairwise

import mujoco
import numpy as np
import pytest
from PIL import Image

from blueprint_pipeline.kit.painter import Painter
from blueprint_pipeline.kit.pictures import VariedPictures
from blueprint_pipeline.kit.textures import paint
from blueprint_pipeline.kit.variation import check_variation
from blueprint_pipeline.kit.world import KitNotUsable, World
from blueprint_pipeline.policy.draw import KitDrawing
from blueprint_pipeline.render.render import RenderOptions, render_episode
from blueprint_pipeline.simulation.errors import UnknownName
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.simulation.mujoco.context import make_context
from blueprint_pipeline.simulation.mujoco.renderers import choose_backend
from blueprint_pipeline.task.variation import PLAIN, Backdrop, SurfaceTexture, Variation
from tests.kit.test_variation import as_kit, bytes_of, picture
from tests.simulation.pictured_scene import ROOM_XML, TOP

TILES = SurfaceTexture(kind="tiles", seed=3, cells=2, turned=False, low_rgb=(0.4, 0.4, 0.45), high_rgb=(0.8, 0.8, 0.9))
DUSK = Backdrop(above_rgb=(0.2, 0.3, 0.6), below_rgb=(0.4, 0.2, 0.1))
VARIED = Variation(textures={TOP: TILES}, backdrop=DUSK)
LEVEL = 'pos="1.4 0 0.9" xyaxes="0 1 0 0 0 1" fovy="50"'
"""A camera that looks over the edge of the table."""


def room(xml=ROOM_XML):
    return mujoco.MjModel.from_xml_string(xml)


def drawn(model, variation):
    VariedPictures(model).apply(as_kit(variation))
    return picture(model)[0]


def test_a_surface_shows_what_a_scene_shows_that_was_made_with_that_picture(tmp_path):
    """Pixel by pixel; and what is not named shows what it showed."""
    path = tmp_path / "tiles.png"
    Image.fromarray(paint(TILES.model_dump(mode="json"), 64, 64)).save(path)
    made = f'<texture name="{TOP}" type="2d" file="{path}"/>'
    given = f'<texture name="{TOP}" type="2d" builtin="checker" rgb1="0.7 0.55 0.4" rgb2="0.6 0.5 0.35" width="64" height="64"/>'
    assert given in ROOM_XML
    expected, (plain, bodies) = picture(room(ROOM_XML.replace(given, made)))[0], picture(room())
    found = drawn(room(), Variation(textures={TOP: TILES}))
    np.testing.assert_array_equal(found, expected)
    top = bodies == room().body("table").id
    assert np.abs(found[top] - plain[top]).mean() > 20
    np.testing.assert_array_equal(found[~top], plain[~top])


def test_a_backdrop_is_that_of_a_scene_that_was_made_with_it():
    before = ROOM_XML.replace('pos="1.4 0 1.5" xyaxes="0 1 0 -0.5 0 0.85" fovy="50"', LEVEL)
    made = before.replace('rgb1="0.7 0.7 0.7" rgb2="0.5 0.5 0.5"', 'rgb1="0.2 0.3 0.6" rgb2="0.4 0.2 0.1"')
    assert before != ROOM_XML
    assert made != before
    found, (plain, bodies) = drawn(room(before), Variation(backdrop=DUSK)), picture(room(before))
    np.testing.assert_array_equal(found, picture(room(made))[0])
    assert (bodies < 0).mean() > 0.2
    assert np.abs(found[bodies < 0] - plain[bodies < 0]).mean() > 20
    np.testing.assert_array_equal(found[bodies >= 0], plain[bodies >= 0])


def test_every_recorded_value_acts():
    """Each one changed: other pixels."""
    seen = drawn(room(), VARIED)
    changes = {"seed": 4, "cells": 3, "kind": "stone", "low_rgb": (0.2, 0.4, 0.4), "high_rgb": (0.9, 0.8, 0.9)}
    for name, value in changes.items():
        other = TILES.model_copy(update={name: value})
        assert not np.array_equal(drawn(room(), VARIED.model_copy(update={"textures": {TOP: other}})), seen), name
    turned = [TILES.model_copy(update={"kind": "wood", "turned": turned}) for turned in (False, True)]
    straight, across = (drawn(room(), VARIED.model_copy(update={"textures": {TOP: texture}})) for texture in turned)
    assert not np.array_equal(straight, across)


def test_nothing_is_left_behind():
    model = room()
    before = bytes_of(model)
    pictures = VariedPictures(model)
    assert len(pictures.apply(as_kit(VARIED))) == 2
    assert bytes_of(model) != before
    assert len(pictures.apply(as_kit(Variation(backdrop=DUSK)))) == 2
    assert len(pictures.apply(as_kit(PLAIN))) == 1
    assert bytes_of(model) == before
    assert pictures.apply(as_kit(PLAIN)) == frozenset()


def with_table_top(small_kit):
    """A variation of the table of the kit's scene."""
    record = next(iter(small_kit.records.values()))
    return record, record.spec.variation.model_copy(update={"textures": {"wood": TILES}})


def test_whatever_draws_shows_the_same(small_kit, monkeypatch):
    """The simulator, what draws for policies, and the kit's own painter: one after the other, and back."""
    monkeypatch.setattr(mujoco, "GLContext", partial(make_context, choose_backend("auto")))  # as MUJOCO_GL says before the import
    record, tiled = with_table_top(small_kit)
    wooden = tiled.model_copy(update={"textures": {"wood": TILES.model_copy(update={"kind": "wood", "cells": 5})}})
    simulator, worlds = MujocoSimulator(), [World(small_kit.folder), World(small_kit.folder)]
    simulator.load(small_kit.mjcf.parent, record.robot, record.fps)
    simulator.reset(record.spec.object_poses, record.spec.robot_qpos)
    drawing, painter, seen = KitDrawing(worlds[0]), Painter(worlds[1].model, worlds[1].kit), []
    drawing.draw(simulator.data.qpos.copy(), "scene", as_kit(PLAIN))
    before = [bytes_of(world.model) for world in worlds]
    for variation in (tiled, wooden, record.spec.variation, tiled, PLAIN):
        simulator.vary(variation)
        seen.append(simulator.render("scene", 160, 120))
        for other in (drawing, painter):
            np.testing.assert_array_equal(other.draw(simulator.data.qpos.copy(), "scene", as_kit(variation)), seen[-1])
    np.testing.assert_array_equal(seen[0], seen[3])
    assert all(not np.array_equal(one, other) for one, other in pairwise(seen))
    for closed in (drawing, painter, simulator):
        closed.close()
    assert [bytes_of(world.model) for world in worlds] == before


def test_videos_show_the_pictures_that_the_record_names(small_kit, tmp_path):
    """Of an episode that is executed again: it replays whatever its table shows, and each seed is another film."""
    name, record = next(iter(small_kit.records.items()))
    simulator, films = MujocoSimulator(), []
    loaded = simulator.load(small_kit.mjcf.parent, record.robot, record.fps)
    for index, textures in enumerate(({}, {"wood": TILES}, {"wood": TILES.model_copy(update={"seed": 4})}, {})):
        varied = record.spec.variation.model_copy(update={"textures": textures})
        episode = record.model_copy(update={"spec": record.spec.model_copy(update={"variation": varied})})
        options = RenderOptions(cameras=("scene",), width=160, height=120)
        certificate = render_episode(simulator, loaded, episode, small_kit.states(name), folder=tmp_path / str(index), options=options)
        assert certificate.replayed
        films.append((tmp_path / str(index) / "scene.mp4").read_bytes())
    assert films[0] == films[3]
    assert len(set(films)) == 3


def test_pictures_that_a_scene_does_not_have_are_refused(small_kit):
    """By the simulator and by the kit, before anything is drawn."""
    record, tiled = with_table_top(small_kit)
    simulator, world = MujocoSimulator(), World(small_kit.folder)
    simulator.load(small_kit.mjcf.parent, record.robot, record.fps)
    state = np.zeros(mujoco.mj_stateSize(world.model, mujoco.mjtState.mjSTATE_INTEGRATION.value))
    ghost = tiled.model_copy(update={"textures": {"ghost": TILES}})
    for variation, told in ((ghost, "ghost"), (tiled.model_copy(update={"backdrop": DUSK}), "skybox|backdrop")):
        with pytest.raises(UnknownName, match=told):
            simulator.vary(variation)
        with pytest.raises(KitNotUsable, match=told):
            world.restore(state, as_kit(variation))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda data: data["textures"][TOP].update(kind="fur"), "no kind that is known"),
        (lambda data: data["textures"][TOP].update(low_rgb=[0.1, 0.2, 1.2]), "from 0 to 1"),
        (lambda data: data["textures"][TOP].update(cells=0), "cannot be"),
        (lambda data: data["textures"][TOP].pop("seed"), "another form"),
        (lambda data: data["textures"][TOP].update(low_rgb=[0.1, 0.2]), "another form"),
        (lambda data: data.update(textures=[1]), "another form"),
        (lambda data: data["backdrop"].update(above_rgb=[0.1, float("nan"), 0.2]), "from 0 to 1"),
    ],
)
def test_damaged_pictures_are_told(damage, told):
    data = as_kit(VARIED)
    assert check_variation(data) is None
    damage(data)
    assert told in (check_variation(data) or "")


def test_a_scene_with_its_own_pictures_is_recorded_as_it_always_was():
    """Not a byte more."""
    names = ["view", "light_level", "light_tint", "light_turn_rad", "tints", "friction", "masses"]
    assert list(PLAIN.model_dump(mode="json")) == names
    assert Variation.model_validate_json(VARIED.model_dump_json()) == VARIED
