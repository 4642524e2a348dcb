"""What draws is part of the key of a drawn shard: another machine's way to draw never finds its pictures."""

import pytest

from blueprint_pipeline.render.stages import RENDER_SHARD, RenderShardRequest
from blueprint_pipeline.settings import SimulationSettings
from blueprint_pipeline.simulation.mujoco import renderers
from blueprint_pipeline.workspace.commits import commit_key


@pytest.fixture
def draws(monkeypatch):
    """Makes this machine one where only the named backend draws."""

    def only(name):
        renderers.choose_backend.cache_clear()
        monkeypatch.setattr(renderers, "_probe", lambda backend: None if backend == name else "absent")

    yield only
    renderers.choose_backend.cache_clear()


def completed(settings, **asked):
    return RENDER_SHARD.complete(RenderShardRequest(scene_id="s", shard_index=0, **asked), settings)


def test_pictures_of_another_backend_are_not_found(settings, draws):
    """The settings say `auto` on both machines; the request names what each draws with."""
    keys = {}
    for name in ("egl", "osmesa", "warp"):
        draws(name)
        request = completed(settings)
        assert request.backend == name
        keys[name] = commit_key("render_shard", "shard_0000", request.model_dump(mode="json"), {}, "0.1.0+0")
    assert len(set(keys.values())) == 3


def test_another_release_of_the_ray_tracer_draws_anew(settings, draws, monkeypatch):
    """It is imported by its name, and no machine needs it: the key of pictures alone has it, and only where it draws."""
    draws("warp")
    inputs = []
    for release in ("4.0.0", "4.1.0"):
        monkeypatch.setattr(renderers, "version", lambda name, release=release: f"{name}-{release}")
        inputs.append(RENDER_SHARD.external_inputs(completed(settings), settings))
    assert inputs[0] != inputs[1]
    draws("egl")
    assert RENDER_SHARD.external_inputs(completed(settings), settings) == {}


def test_a_simulator_that_draws_by_itself_is_not_asked(settings, draws):
    """Nothing of ours need draw on the machine of Isaac Sim."""
    draws("nothing")
    there = settings.model_copy(update={"simulation": SimulationSettings(simulator="isaac_sim")})
    assert completed(there).backend is None
