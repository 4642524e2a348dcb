"""Where a robot may stand: before the doors of what it works on, never where a wall is."""

import mujoco
import numpy as np
import pytest

from blueprint_pipeline.job.placement import BACKGROUND, _meets_wall

SCENE = """
<mujoco>
  <worldbody>
    <body name="background"><geom type="box" size="0.05 2 2" pos="2 0 0"/></body>
    <body name="counter">
      <geom type="box" size="0.4 1 0.5" pos="0 0 0.5"/>
      <body name="counter/door" pos="0.42 0 0.5">
        <joint type="hinge" axis="0 0 1" range="0 1.5"/>
        <geom type="box" size="0.01 0.3 0.4"/>
        <geom type="box" size="0.005 0.1 0.01" pos="0.05 0 0"/>
      </body>
    </body>
    <body name="stool" pos="1 1 0.3"><geom type="box" size="0.2 0.2 0.3"/></body>
  </worldbody>
</mujoco>
"""


@pytest.fixture(scope="module")
def scene():
    model = mujoco.MjModel.from_xml_string(SCENE)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return model, data


@pytest.mark.parametrize(
    ("start_m", "far_m", "support", "meets"),
    [
        ((0.405, 0, 0.5), 1.0, "counter", False),
        ((0.405, 0, 0.5), 2.0, "counter", True),
        ((0.405, 1, 0.5), 1.0, "counter", True),
        ((0.405, 0, 0.5), 1.0, BACKGROUND, True),
    ],
    ids=["its own door and handle are no wall", "the wall behind is one", "a stool is one", "of a support in the room all else is one"],
)
def test_what_is_a_wall(scene, start_m, far_m, support, meets):
    assert _meets_wall(*scene, np.array(start_m), np.array([far_m, 0.0, 0.0]), support) is meets
