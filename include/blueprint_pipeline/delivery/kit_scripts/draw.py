"""Draw a frame of an episode as it was drawn for the dataset, before its video was encoded.

Usage: python draw.py EPISODE CAMERA FRAME      writes EPISODE_CAMERA_FRAME.png; needs mujoco, numpy, pyarrow and pillow
Without a screen: MUJOCO_GL=egl (or osmesa) python draw.py …

OpenGL of another make rounds otherwise: shapes and shades are the same, single levels of a colour may differ.
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

if __name__ == "__main__":
    match sys.argv[1:]:
        case [episode, camera, frame]:
            pass
        case _:
            sys.exit(__doc__)
    sys.dont_write_bytecode = True  # a file that nobody signed would make the bundle one that was altered
    from blueprint_kit.painter import Painter
    from blueprint_kit.starts import load_starts
    from blueprint_kit.world import load_kit, load_scene

    here = Path(__file__).resolve().parent
    states = pq.read_table(here / "episodes" / episode / "states.parquet", columns=["qpos"])
    painter = Painter(load_scene(here).compile(), load_kit(here))
    qpos = np.array(states.column(0)[int(frame)].as_py())
    Image.fromarray(painter.draw(qpos, camera, load_starts(here)[episode].variation)).save(f"{episode}_{camera}_{frame}.png")
    painter.close()
