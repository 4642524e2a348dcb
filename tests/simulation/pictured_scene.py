"""The small scene with a table top that has a picture of its own, laid out by length, and with a sky."""

from tests.simulation.small_scene import SCENE_XML

TOP = "top"
"""The material of the table top."""
SIDE_M = 0.4
"""Of one repetition of its picture."""
ROOM_XML = SCENE_XML.replace(
    "<asset>",
    f"""<asset>
    <texture type="skybox" builtin="gradient" rgb1="0.7 0.7 0.7" rgb2="0.5 0.5 0.5" width="8" height="48"/>
    <texture name="{TOP}" type="2d" builtin="checker" rgb1="0.7 0.55 0.4" rgb2="0.6 0.5 0.35" width="64" height="64"/>
    <material name="{TOP}" texture="{TOP}"/>
    <mesh name="{TOP}" inertia="shell" vertex="-0.3 -0.5 0  0.3 -0.5 0  0.3 0.5 0  -0.3 0.5 0"
      texcoord="-0.75 -1.25  0.75 -1.25  0.75 1.25  -0.75 1.25" face="0 1 2  0 2 3"/>""",
).replace(
    'size="0.3 0.5 0.35" group="2" contype="0" conaffinity="0" material="wood"/>',
    f"""size="0.29 0.49 0.349" group="2" contype="0" conaffinity="0" rgba="0.5 0.4 0.3 1"/>
      <geom name="table_top" type="mesh" mesh="{TOP}" pos="0 0 0.351" group="2" contype="0" conaffinity="0" material="{TOP}"
        density="0"/>""",
)
