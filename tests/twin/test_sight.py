"""What rays find is what is drawn: counted against OpenGL's own picture, and where the answer is known."""

import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blueprint_pipeline.simulation.mujoco.renderer import Renderer
from blueprint_pipeline.simulation.mujoco.renderers import choose_backend
from blueprint_pipeline.twin.sight import Sight

ROOM = """
<mujoco>
  <worldbody>
    <geom type="plane" size="1 1 0.1" group="2"/>
    <camera name="scene" pos="0 -1.5 1" xyaxes="1 0 0 0 0.55 0.83" fovy="45"/>
    <body name="ball" pos="0 0 0.1"><freejoint/><geom type="sphere" size="0.1"/></body>
    <body name="board" pos="0 -0.4 0.2"><freejoint/><geom type="box" size="0.1 0.01 0.2"/></body>
    <body name="ghost" pos="0 -0.8 0.3"><freejoint/><geom type="box" size="0.5 0.01 0.5" group="3"/></body>
  </worldbody>
</mujoco>
"""
SIZE = (160, 120)


@pytest.fixture
def model():
    return mujoco.MjModel.from_xml_string(ROOM)


def standing(model, board_x):
    qpos = model.qpos0.copy()
    qpos[7] = board_x
    return qpos


@pytest.mark.parametrize("board_x", [-0.6, -0.12, -0.05, 0.0, 0.3])
def test_pixels_are_those_that_are_drawn(model, board_x):
    """The board hides none, some and all of the ball; what is collision geometry alone hides nothing."""
    sight, data = Sight(model), mujoco.MjData(model)
    data.qpos[:] = standing(model, board_x)
    mujoco.mj_forward(model, data)
    sight.stand(data.qpos)
    with Renderer(model, *SIZE, choose_backend("auto")) as renderer:
        renderer.look(data, 0)
        bodies = renderer.draw_bodies()
    ball = (bodies == model.body("ball").id).sum()
    assert sight.count_pixels(sight.lens(0), sight.geoms_of(["ball"]), *SIZE) == pytest.approx(ball, rel=0.05, abs=8)
    assert sight.share_empty(sight.lens(0), SIZE[0] / SIZE[1], across=80) == pytest.approx((bodies < 0).mean(), abs=0.02)


def test_what_is_not_shown_hides_nothing(model):
    sight = Sight(model)
    sight.stand(standing(model, 0.0))
    ball, eye = sight.geoms_of(["ball"]), sight.lens(0)
    before = sight.count_pixels(eye, ball, *SIZE)
    sight.show(ball)
    alone = sight.count_pixels(eye, ball, *SIZE)
    assert before < alone
    sight.show_all()
    assert sight.count_pixels(eye, ball, *SIZE) == before
    assert (model.geom_group == mujoco.MjModel.from_xml_string(ROOM).geom_group).all(), "the model itself is not changed"


@given(x=st.floats(-0.5, 0.5), z=st.floats(0.0, 0.5))
def test_a_point_is_seen_unless_the_board_is_before_it(x, z):
    """A plane that is one board: the way crosses it where the geometry says."""
    model = mujoco.MjModel.from_xml_string(ROOM)
    sight, eye = Sight(model), np.array([0.0, -1.5, 0.2])
    sight.stand(model.qpos0)
    sight.show(sight.geoms_of(["board"]))
    point = np.array([x, 0.0, z])
    crossing = eye + (point - eye) * (1.1 - 0.01) / 1.5
    off = max(abs(crossing[0]) - 0.1, abs(crossing[2] - 0.2) - 0.2)
    if abs(off) > 0.01:
        assert sight.sees(eye, point[None]).tolist() == [off > 0]
