"""A small scene for tests: a table with a can and a box on it, in the form that assemble_scene writes."""

from pathlib import Path

SCENE_XML = """
<mujoco model="small">
  <compiler angle="radian"/>
  <option timestep="0.0020833333333333333" integrator="implicitfast" cone="elliptic" impratio="10" gravity="0 0 -9.81"/>
  <statistic extent="2" center="0 0 0.7"/>
  <visual><headlight ambient="0.4 0.4 0.4" diffuse="0.6 0.6 0.6"/></visual>
  <asset>
    <texture name="checks" type="2d" builtin="checker" rgb1="0.8 0.7 0.6" rgb2="0.6 0.5 0.4" width="64" height="64"/>
    <material name="wood" texture="checks" texrepeat="6 6"/>
  </asset>
  <worldbody>
    <light pos="0 0 3" dir="0 0 -1" castshadow="false"/>
    <geom name="floor" type="plane" size="3 3 0.1" rgba="0.5 0.5 0.5 1"/>
    <camera name="scene" pos="1.4 0 1.5" xyaxes="0 1 0 -0.5 0 0.85" fovy="50"/>
    <body name="table" pos="0 0 0.35">
      <geom name="table_collision_0" type="box" size="0.3 0.5 0.35" group="3" condim="4" friction="0.8 0.01 0.0001"/>
      <geom name="table_visual" type="box" size="0.3 0.5 0.35" group="2" contype="0" conaffinity="0" material="wood"/>
    </body>
    <body name="can" pos="-0.02 -0.15 0.76">
      <freejoint name="can"/>
      <inertial pos="0 0 0" mass="0.2" diaginertia="0.0003 0.0003 0.0002"/>
      <geom name="can_collision_0" type="cylinder" size="0.03 0.06" group="3" condim="4" friction="0.8 0.01 0.0001"/>
      <geom name="can_visual" type="cylinder" size="0.03 0.06" group="2" contype="0" conaffinity="0" rgba="0.8 0.1 0.1 1"/>
    </body>
    <body name="box" pos="0.05 0.2 0.74">
      <freejoint name="box"/>
      <inertial pos="0 0 0" mass="0.2" diaginertia="0.0003 0.0003 0.0003"/>
      <geom name="box_collision_0" type="box" size="0.025 0.035 0.04" group="3" condim="4" friction="0.8 0.01 0.0001"/>
      <geom name="box_visual" type="box" size="0.025 0.035 0.04" group="2" contype="0" conaffinity="0" rgba="0.1 0.2 0.8 1"/>
    </body>
  </worldbody>
</mujoco>
"""
SLIPPERY_XML = SCENE_XML.replace('friction="0.8 ', 'friction="0.25 ')
"""The same, polished: on the rough table every hold of its objects is so high that they would tip if they were slid."""


def write_scene(folder: Path, xml: str = SCENE_XML) -> Path:
    """Write the scene as ``mjcf/scene.xml`` below ``folder``; returns ``folder``."""
    (folder / "mjcf").mkdir(parents=True, exist_ok=True)
    (folder / "mjcf" / "scene.xml").write_text(xml)
    return folder
