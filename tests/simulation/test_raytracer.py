"""Tests of drawing without OpenGL, and of the choice between the ways to draw."""

from importlib.util import find_spec

import mujoco
import numpy as np
import pytest

from blueprint_pipeline.simulation.mujoco import renderers
from blueprint_pipeline.simulation.mujoco.drawing import apply_lights
from blueprint_pipeline.simulation.mujoco.raytracer import RayTracer, shrink
from blueprint_pipeline.simulation.mujoco.renderer import camera_id
from blueprint_pipeline.simulation.mujoco.renderers import RendererMissing, choose_backend
from blueprint_pipeline.simulation.render_profiles import RENDER_PROFILES
from tests.simulation.small_scene import SCENE_XML

WIDTH, HEIGHT = 160, 120
needs_warp = pytest.mark.skipif(find_spec("mujoco_warp") is None, reason="mujoco-warp is not installed: requirements-raytracer.txt")


@pytest.fixture
def fresh_choice():
    """No choice is remembered, before or after."""
    choose_backend.cache_clear()
    yield
    choose_backend.cache_clear()


@pytest.fixture(scope="module")
def scene() -> tuple[mujoco.MjModel, mujoco.MjData]:
    """The small scene, at its first state."""
    model = mujoco.MjModel.from_xml_string(SCENE_XML)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return model, data


@pytest.mark.usefixtures("fresh_choice")
def test_ray_tracer_is_taken_where_opengl_is_absent(monkeypatch) -> None:
    """Neither EGL nor OSMesa draws: the ray tracer, after both were tried."""
    tried = []

    def probe(backend: str) -> str | None:
        tried.append(backend)
        return None if backend == "warp" else f"no {backend} here"

    monkeypatch.setattr(renderers, "_probe", probe)
    monkeypatch.setattr(renderers.sys, "platform", "linux")
    assert choose_backend("auto") == "warp"
    assert tried == ["egl", "osmesa", "warp"]


@pytest.mark.usefixtures("fresh_choice")
def test_opengl_goes_before_the_ray_tracer(monkeypatch) -> None:
    """OSMesa draws: the ray tracer is not even tried."""
    monkeypatch.setattr(renderers, "_probe", lambda backend: None if backend in {"osmesa", "warp"} else "absent")
    monkeypatch.setattr(renderers.sys, "platform", "linux")
    assert choose_backend("auto") == "osmesa"


@pytest.mark.usefixtures("fresh_choice")
def test_nothing_to_draw_with_says_what_to_install(monkeypatch) -> None:
    """No OpenGL and no mujoco-warp: a typed error that names the packages of each."""
    probe = renderers._probe
    monkeypatch.setattr(renderers, "_probe", lambda backend: probe(backend) if backend == "warp" else "absent")
    monkeypatch.setattr(renderers, "find_spec", lambda name: None)
    with pytest.raises(RendererMissing, match=r"libegl1.*libosmesa6.*requirements-raytracer\.txt") as caught:
        choose_backend("auto")
    assert "not installed" in caught.value.tried["warp"]


def test_shrinking_averages_whole_squares() -> None:
    """A fine checker becomes even grey; what is left over at the border is cut off."""
    checker = np.indices((9, 5)).sum(axis=0) % 2 * np.uint8(255)
    small = shrink(checker[..., None].astype(np.uint8), 2)
    assert small.shape == (4, 2, 1)
    assert np.allclose(small, 0.5)
    assert shrink(np.full((1, 8, 3), 51, dtype=np.uint8), 4).shape == (1, 2, 3)


@needs_warp
@pytest.mark.slow
@pytest.mark.usefixtures("fresh_choice")
def test_probe_finds_that_the_ray_tracer_draws() -> None:
    """Asked for by name, it is probed in a process of its own, and chosen."""
    assert choose_backend("warp") == "warp"


@needs_warp
@pytest.mark.slow
def test_traced_frame_shows_colour_texture_depth_and_bodies(scene) -> None:
    """The can is red, the table is chequered, the middle is as far as the table's top, and beyond the floor is nothing."""
    model, data = scene
    with RayTracer(model, WIDTH, HEIGHT) as tracer:
        tracer.look(data, camera_id(model, "scene"))
        image, depth, bodies = tracer.draw(), tracer.draw_depth(), tracer.draw_bodies()
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert image.dtype == np.uint8
    can = image[bodies == model.body("can").id]
    assert len(can) > 20
    assert can[:, 0].mean() > 2 * can[:, 2].mean()
    assert image[bodies == model.body("table").id].std(axis=0).max() > 8
    assert 1.2 < depth[HEIGHT // 2, WIDTH // 2] < 2.2
    assert np.array_equal(np.isinf(depth), bodies == -1)


@needs_warp
@pytest.mark.slow
def test_traced_pixels_repeat_and_follow_what_moves(scene) -> None:
    """The same state gives the same bytes, from a second tracer too; a moved can gives others."""
    model, _ = scene
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    camera = camera_id(model, "scene")
    with RayTracer(model, WIDTH, HEIGHT) as tracer, RayTracer(model, WIDTH, HEIGHT) as second:
        tracer.look(data, camera)
        first = tracer.draw()
        second.look(data, camera)
        assert np.array_equal(first, second.draw())
        data.joint("can").qpos[0] += 0.1
        mujoco.mj_forward(model, data)
        tracer.look(data, camera)
        assert not np.array_equal(first, tracer.draw())
        mujoco.mj_resetData(model, data)
        mujoco.mj_forward(model, data)
        tracer.look(data, camera)
        assert np.array_equal(first, tracer.draw())


@needs_warp
@pytest.mark.slow
def test_traced_bodies_and_distances_are_those_of_mujocos_own_rays(scene) -> None:
    """A ray of MuJoCo's through the middle of every fourth pixel meets the same body, as far away."""
    model, data = scene
    camera = camera_id(model, "scene")
    with RayTracer(model, WIDTH, HEIGHT) as tracer:
        tracer.look(data, camera)
        depth, bodies = tracer.draw_depth(), tracer.draw_bodies()
    half = np.tan(np.deg2rad(model.cam_fovy[camera]) / 2)
    groups = np.array([1, 1, 1, 0, 0, 0], dtype=np.uint8)
    met = set()
    for row in range(0, HEIGHT, 4):
        for column in range(0, WIDTH, 4):
            local = np.array([(2 * column + 1 - WIDTH) / HEIGHT * half, (HEIGHT - 2 * row - 1) / HEIGHT * half, -1.0])
            geom = np.full(1, -1, dtype=np.int32)
            ray = data.cam_xmat[camera].reshape(3, 3) @ local
            distance = mujoco.mj_ray(model, data, data.cam_xpos[camera], ray, groups, 1, -1, geom)
            met.add(int(bodies[row, column]))
            assert bodies[row, column] == (-1 if distance < 0 else model.geom_bodyid[geom[0]])
            assert depth[row, column] == (np.inf if distance < 0 else pytest.approx(distance, rel=1e-3))
    assert met >= {0, model.body("table").id, model.body("can").id}


@needs_warp
@pytest.mark.slow
def test_rays_draw_the_realistic_profile() -> None:
    """With shadows and smooth edges, the same to the pixel when traced again."""
    drawn = []
    for name in ("fast", "realistic", "realistic"):
        model = mujoco.MjModel.from_xml_string(SCENE_XML)
        apply_lights(model, RENDER_PROFILES[name])
        with RayTracer(model, WIDTH, HEIGHT, RENDER_PROFILES[name]) as tracer:
            data = mujoco.MjData(model)
            mujoco.mj_forward(model, data)
            tracer.look(data, camera_id(model, "scene"))
            drawn.append(tracer.draw())
    colours = [len(np.unique(image.reshape(-1, 3), axis=0)) for image in drawn]
    assert colours[1] > colours[0]
    assert np.array_equal(drawn[1], drawn[2])
