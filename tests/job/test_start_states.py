"""What may be moved before an episode starts, and what others rest on."""

import mujoco
import pytest

from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.job.start_states import StartStates

SCENE = """
<mujoco>
  <compiler angle="degree"/>
  <option timestep="0.002" cone="elliptic" impratio="10"/>
  <default><geom friction="0.8 0.01 0.0001" condim="4"/></default>
  <worldbody>
    <body name="table" pos="0 0 0.35"><geom type="box" size="0.5 0.5 0.35"/></body>
    <body name="block" pos="-0.05 0 0.7601"><freejoint/><geom type="box" size="0.05 0.06 0.06" mass="0.6"/></body>
    <body name="plank" pos="0.0235 0 0.799" euler="0 -18 0"><freejoint/><geom type="box" size="0.005 0.05 0.1" mass="0.1"/></body>
    <body name="left" pos="0.2 0.2 0.7301"><freejoint/><geom type="box" size="0.03 0.03 0.03" mass="0.1"/></body>
    <body name="right" pos="0.2 0.26005 0.7301"><freejoint/><geom type="box" size="0.03 0.03 0.03" mass="0.1"/></body>
  </worldbody>
</mujoco>
"""


@pytest.fixture(scope="module")
def starts() -> StartStates:
    model = mujoco.MjModel.from_xml_string(SCENE)
    data = mujoco.MjData(model)
    mujoco.mj_step(model, data, 1500)
    names = ("block", "plank", "left", "right")
    poses = {name: Pose(position_m=tuple(data.body(name).xpos), quat_wxyz=tuple(data.body(name).xquat)) for name in names}
    assert abs(data.body("plank").xmat[0]) < 0.99, "it leans"
    return StartStates(model, poses)


def test_what_leans_stands_on_what_holds_it(starts) -> None:
    """A plank alone would fall: neither it nor the block that it leans on may be put elsewhere, or taken."""
    assert starts.supports["plank"] == "block"
    assert not starts.is_free("plank")
    assert not starts.is_free("block")


def test_what_only_touches_may_be_moved(starts) -> None:
    """Two boxes side by side stand without each other."""
    assert starts.supports["left"] == starts.supports["right"] == starts.supports["block"] == "table"
    assert starts.is_free("left")
    assert starts.is_free("right")
