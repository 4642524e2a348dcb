"""Tests of drawing."""

import mujoco
import numpy as np
import pytest
from numpy.typing import NDArray

from blueprint_pipeline.geometry.arrays import ImageArray
from blueprint_pipeline.simulation.errors import UnknownName
from blueprint_pipeline.simulation.mujoco.fixed_view import RESTING_FRAMES, FixedView
from blueprint_pipeline.simulation.mujoco.renderer import Renderer, camera_id
from blueprint_pipeline.simulation.mujoco.renderers import RendererMissing, choose_backend
from tests.simulation.small_scene import SCENE_XML


@pytest.fixture(scope="module")
def drawn() -> dict[str, np.ndarray]:
    """One view of the small scene, in colour, depth and bodies."""
    model = mujoco.MjModel.from_xml_string(SCENE_XML)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    with Renderer(model, 160, 120, choose_backend("auto")) as renderer:
        renderer.look(data, camera_id(model, "scene"))
        image = renderer.draw().copy()
        depth = renderer.draw_depth()
        bodies = renderer.draw_bodies()
        again = renderer.draw().copy()
    return {"image": image, "depth": depth, "bodies": bodies, "again": again, "can": model.body("can").id}


def test_frame_shows_the_scene_with_its_colours(drawn) -> None:
    """The can's pixels are red, and the frame is neither black nor blank."""
    pixels = drawn["image"][drawn["bodies"] == drawn["can"]]
    assert len(pixels) > 20
    assert pixels[:, 0].mean() > 2 * pixels[:, 2].mean()
    assert drawn["image"].std() > 20


def test_drawing_ids_leaves_colour_as_it_was(drawn) -> None:
    """Depth and bodies are drawn between two equal colour frames."""
    assert np.array_equal(drawn["image"], drawn["again"])


def test_depth_is_the_distance_along_the_axis(drawn) -> None:
    """The middle of the view is about as far as the camera is from the table's top or the floor."""
    assert drawn["depth"].shape == (120, 160)
    middle = drawn["depth"][60, 80]
    assert 1.2 < middle < 2.2
    assert drawn["depth"][drawn["bodies"] == drawn["can"]].max() < middle + 0.5


def test_unknown_camera_names_those_that_exist() -> None:
    """A camera that is missing is refused, with the list."""
    model = mujoco.MjModel.from_xml_string(SCENE_XML)
    with pytest.raises(UnknownName, match="scene"):
        camera_id(model, "overhead")


def test_backend_that_does_not_work_says_why() -> None:
    """A backend that this machine lacks is refused, with what it said."""
    with pytest.raises(RendererMissing) as caught:
        choose_backend("cgl")
    assert "cgl" in caught.value.tried


def test_a_fixed_view_gives_the_pixels_of_a_whole_drawing() -> None:
    """While a thing moves, comes to rest, is at rest and moves again; a transparent geom forbids it."""
    model = mujoco.MjModel.from_xml_string(SCENE_XML)
    data = mujoco.MjData(model)
    camera = camera_id(model, "scene")
    with Renderer(model, 160, 120, choose_backend("auto")) as renderer:
        view = renderer.fixed_view(camera)
        assert view is not None
        for x in (-0.02, 0.1, 0.2, *[0.05] * (RESTING_FRAMES + 2), 0.1, -0.3, 0.9):
            data.joint("can").qpos[0] = x
            mujoco.mj_forward(model, data)
            layered = view.draw(data).copy()
            renderer.look(data, camera)
            assert np.array_equal(layered, renderer.draw())
        model.geom_rgba[model.geom("box_visual").id, 3] = 0.5
        assert renderer.fixed_view(camera) is None


def test_a_fixed_view_tells_surfaces_apart_that_nearly_touch() -> None:
    """A plate whose top is 5 µm above the table's is before it in every pixel, as when all is drawn at once."""
    model = mujoco.MjModel.from_xml_string("""
        <mujoco><statistic extent="2"/><worldbody>
          <camera name="scene" pos="0 0 2" fovy="50"/>
          <geom type="box" size="0.8 0.8 0.1" rgba="0.2 0.2 0.8 1"/>
          <body name="plate" pos="0 0 0.090005"><freejoint/><geom type="box" size="0.3 0.3 0.01" rgba="0.8 0.2 0.2 1"/></body>
        </worldbody></mujoco>""")
    data = mujoco.MjData(model)
    with Renderer(model, 160, 120, choose_backend("auto")) as renderer:
        view = renderer.fixed_view(0)
        assert view is not None
        for x in (0.0, 0.1, 0.2, 0.3):
            data.qpos[0] = x
            mujoco.mj_forward(model, data)
            layered = view.draw(data).copy()
            renderer.look(data, 0)
            assert np.array_equal(layered, renderer.draw())


def test_what_rests_is_drawn_once() -> None:
    """Of frames in which nothing moves all is drawn at the first; what moves is taken out at once, and kept again after its rest."""
    model = mujoco.MjModel.from_xml_string(SCENE_XML)
    data = mujoco.MjData(model)
    drawn: list[set[str]] = []

    def draw_geoms(_data: mujoco.MjData, chosen: NDArray[np.bool_]) -> tuple[ImageArray, NDArray[np.float32]]:
        drawn.append({model.geom(int(geom)).name for geom in np.flatnonzero(chosen)})
        return np.zeros((2, 2, 3), dtype=np.uint8), np.zeros((2, 2), dtype=np.float32)

    view = FixedView(draw_geoms, model.ngeom)
    every = {model.geom(geom).name for geom in range(model.ngeom)}
    can = {model.geom(geom).name for geom in range(model.ngeom) if model.geom_bodyid[geom] == model.body("can").id}
    for x in (0.0, 0.0, 0.1, *[0.1] * RESTING_FRAMES):
        data.joint("can").qpos[0] = x
        mujoco.mj_kinematics(model, data)
        view.draw(data)
    still, moving = [set()], [can]
    assert drawn == [every, *still, *still, every - can, *moving, *(moving * (RESTING_FRAMES - 1)), every, *still]


def test_the_room_is_drawn_last() -> None:
    """A pixel behind another is not worked out; which geom is drawn first changes none of them."""
    model = mujoco.MjModel.from_xml_string(SCENE_XML)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    camera = camera_id(model, "scene")
    with Renderer(model, 160, 120, choose_backend("auto")) as renderer:
        renderer.look(data, camera)
        order = [model.geom(geom.objid).name for geom in renderer._scene.geoms[: renderer._scene.ngeom]]
        ordered = renderer.draw().copy()
        mujoco.mjv_updateScene(model, data, renderer._option, None, renderer._camera, mujoco.mjtCatBit.mjCAT_ALL.value, renderer._scene)
        assert [model.geom(geom.objid).name for geom in renderer._scene.geoms[: renderer._scene.ngeom]] != order
        assert np.array_equal(ordered, renderer.draw())
    assert order.index("can_visual") < order.index("table_visual") < order.index("floor")


def test_leaving_out_what_is_out_of_sight_changes_no_pixel(monkeypatch) -> None:
    """From above, beside and far away, with objects in part within the picture."""
    model = mujoco.MjModel.from_xml_string(SCENE_XML)
    data = mujoco.MjData(model)
    camera = camera_id(model, "scene")
    with Renderer(model, 160, 120, choose_backend("auto")) as renderer:
        for y, fovy in ((-0.15, 50.0), (0.35, 20.0), (0.6, 8.0), (3.0, 30.0)):
            data.joint("can").qpos[1] = y
            model.cam_fovy[camera] = fovy
            mujoco.mj_forward(model, data)
            renderer.look(data, camera)
            culled = renderer.draw().copy()
            with monkeypatch.context() as patch:
                patch.setattr(Renderer, "_in_sight", lambda self, _data, _camera: np.ones(self._model.ngeom, dtype=bool))
                renderer.look(data, camera)
            assert np.array_equal(culled, renderer.draw())
        assert not renderer._in_sight(data, camera)[model.geom("can_visual").id]
    assert model.geom_group[model.geom("can_visual").id] == 2


def test_a_dropped_renderer_takes_nothing_from_another() -> None:
    """Textures and meshes of two OpenGL contexts have the same numbers: the one that is dropped frees its own."""
    model = mujoco.MjModel.from_xml_string(SCENE_XML)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    camera, backend = camera_id(model, "scene"), choose_backend("auto")
    with Renderer(model, 160, 120, backend) as renderer:
        renderer.look(data, camera)
        expected = renderer.draw().copy()
    dropped = Renderer(model, 160, 120, backend)
    with Renderer(model, 160, 120, backend) as renderer:
        del dropped
        renderer.look(data, camera)
        assert np.array_equal(renderer.draw(), expected)
    assert expected.std() > 20
