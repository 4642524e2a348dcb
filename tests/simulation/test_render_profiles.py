"""Profiles of drawing: what each changes, and what none may change."""

import mujoco
import numpy as np
import pytest
from pydantic import ValidationError

from blueprint_pipeline.render.stages import RenderShardRequest
from blueprint_pipeline.simulation.mujoco.drawing import apply_lights
from blueprint_pipeline.simulation.mujoco.renderer import Renderer, SamplesMissing, camera_id
from blueprint_pipeline.simulation.mujoco.renderers import choose_backend
from blueprint_pipeline.simulation.render_profiles import FAST, RENDER_PROFILES, RenderProfile
from tests.simulation.small_scene import SCENE_XML

REALISTIC = RENDER_PROFILES["realistic"]


def draw(profile: RenderProfile) -> dict[str, np.ndarray]:
    """The small scene in colour, depth and bodies."""
    model = mujoco.MjModel.from_xml_string(SCENE_XML)
    apply_lights(model, profile)
    with Renderer(model, 160, 120, choose_backend("auto"), profile) as renderer:
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        renderer.look(data, camera_id(model, "scene"))
        return {
            "image": renderer.draw().copy(),
            "bodies": renderer.draw_bodies(),
            "depth": renderer.draw_depth(),
            "can": model.body("can").id,
        }


@pytest.fixture(scope="module")
def drawn() -> dict[str, dict[str, np.ndarray]]:
    return {name: draw(profile) for name, profile in RENDER_PROFILES.items()}


def test_depth_and_bodies_are_the_same_in_every_profile(drawn) -> None:
    """Several samples a pixel average colours, and never the number of a body."""
    for found in drawn.values():
        assert np.array_equal(found["bodies"], drawn["fast"]["bodies"])
        assert np.array_equal(found["depth"], drawn["fast"]["depth"])


def test_realistic_pictures_have_shadows_and_smooth_edges(drawn) -> None:
    """Beside the can it is darker than elsewhere on what it stands on; along its outline stand colours between two."""
    fast, realistic = drawn["fast"], drawn["realistic"]
    assert len(np.unique(realistic["image"].reshape(-1, 3), axis=0)) > len(np.unique(fast["image"].reshape(-1, 3), axis=0))
    around = fast["bodies"] != fast["can"]
    darker = realistic["image"].sum(axis=2).astype(int) < 0.6 * np.median(realistic["image"][around].sum(axis=1))
    assert (darker & around).sum() > (fast["image"].sum(axis=2) < 0.6 * np.median(fast["image"][around].sum(axis=1)))[around].sum()


def test_a_profile_is_drawn_again_to_the_pixel(drawn) -> None:
    """Its settings are all there is to it."""
    again = draw(RenderProfile.model_validate_json(REALISTIC.model_dump_json()))
    assert np.array_equal(again["image"], drawn["realistic"]["image"])


def test_where_shadows_move_every_frame_is_drawn_whole() -> None:
    """What moves would cast no shadow on a picture of what stands still."""
    model = mujoco.MjModel.from_xml_string(SCENE_XML)
    apply_lights(model, REALISTIC)
    with Renderer(model, 160, 120, choose_backend("auto"), REALISTIC) as renderer:
        assert renderer.fixed_view(camera_id(model, "scene")) is None


def test_lights_do_not_move_anything() -> None:
    """A hundred steps with lamps are a hundred steps without, bit by bit."""
    ends = []
    for profile in RENDER_PROFILES.values():
        model = mujoco.MjModel.from_xml_string(SCENE_XML)
        data = mujoco.MjData(model)
        with Renderer(model, 64, 48, choose_backend("auto"), profile):
            for _ in range(100):
                mujoco.mj_step(model, data)
        ends.append((data.qpos.tobytes(), data.qvel.tobytes()))
    assert ends[0] == ends[1]


def test_samples_that_opengl_does_not_take_are_an_error() -> None:
    """Never fewer in silence: the certificate says how many."""
    with pytest.raises(SamplesMissing, match="takes 4096 samples a pixel"):
        draw(REALISTIC.model_copy(update={"samples": 4096}))


def test_a_request_names_a_row() -> None:
    """The usual one is fast; an unknown one is refused with those that exist."""
    assert RenderShardRequest(scene_id="s", shard_index=0).render_profile == FAST.name
    with pytest.raises(ValidationError, match="Known: fast, realistic"):
        RenderShardRequest(scene_id="s", shard_index=0, render_profile="pretty")
