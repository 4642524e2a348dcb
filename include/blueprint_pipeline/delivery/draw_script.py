"""Draw a frame of an episode as it was drawn for the dataset, before its video was encoded.

Usage: python draw.py EPISODE CAMERA FRAME      writes EPISODE_CAMERA_FRAME.png; needs mujoco, numpy, pyarrow and pillow
Without a screen: MUJOCO_GL=egl (or osmesa) python draw.py …

OpenGL of another make rounds otherwise: shapes and shades are the same, single levels of a colour may differ.
"""

import json
import sys
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

_COLLISION_GROUP = 3


def draw(model: mujoco.MjModel, kit: dict[str, Any], states: Path, camera: str, frame: int) -> NDArray[np.uint8]:
    """One frame, (height, width, 3) RGB.

    Args:
        model: The scene with the robot, compiled.
        kit: ``kit.json``.
        states: ``states.parquet`` of the episode.
        camera: Its name, without the robot's prefix.
        frame: From 0.
    """
    profile, (width, height) = kit["render_profile"], kit["frame_px"]
    set_up(model, profile, width, height)
    data = mujoco.MjData(model)
    data.qpos[:] = pq.read_table(states, columns=["qpos"]).column(0)[frame].as_py()
    mujoco.mj_forward(model, data)
    option = mujoco.MjvOption()
    option.geomgroup[_COLLISION_GROUP] = 0
    option.sitegroup[:] = 0
    option.flags[mujoco.mjtVisFlag.mjVIS_TENDON] = 0
    names = [model.camera(index).name for index in range(model.ncam)]
    with mujoco.Renderer(model, height, width) as renderer:
        renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = profile["shadow_map_px"] > 0
        renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = profile["reflections"]
        renderer.scene.flags[mujoco.mjtRndFlag.mjRND_HAZE] = 0
        renderer.update_scene(data, next(index for index, name in enumerate(names) if name.rsplit("/", 1)[-1] == camera), option)
        image: NDArray[np.uint8] = renderer.render()
    return image


def set_up(model: mujoco.MjModel, profile: dict[str, Any], width: int, height: int) -> None:
    """Set the model's lights and its quality of drawing as the profile says."""
    model.vis.global_.offwidth, model.vis.global_.offheight = width, height
    model.vis.quality.offsamples = profile["samples"] if profile["samples"] > 1 else 0
    model.vis.quality.shadowsize = profile["shadow_map_px"]
    if profile["headlight"] is not None:
        model.vis.headlight.ambient[:], model.vis.headlight.diffuse[:] = profile["headlight"]
    if profile["lamps"] is None:
        return
    for light in range(model.nlight):
        towards = model.light_dir[light] / np.linalg.norm(model.light_dir[light])
        model.light_type[light] = mujoco.mjtLightType.mjLIGHT_SPOT.value
        model.light_pos[light] = model.stat.center - profile["lamps"]["distance_m"] * towards
        model.light_cutoff[light] = profile["lamps"]["cutoff_deg"]
        model.light_exponent[light] = 0.0
        model.light_diffuse[light] = profile["lamps"]["diffuse"]


if __name__ == "__main__":
    match sys.argv[1:]:
        case [episode, camera_name, number]:
            pass
        case _:
            sys.exit(__doc__)
    sys.dont_write_bytecode = True  # a file that nobody signed would make the bundle one that was altered
    from replay import load_scene  # type: ignore[import-not-found]  # beside this file in the kit

    here = Path(__file__).resolve().parent
    known = json.loads((here / "kit.json").read_text())
    drawn = draw(load_scene(here).compile(), known, here / "episodes" / episode / "states.parquet", camera_name, int(number))
    Image.fromarray(drawn).save(f"{episode}_{camera_name}_{number}.png")
