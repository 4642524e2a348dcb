"""Execute the episodes of this folder again and compare every state with the recording, bit by bit.

Usage: python replay.py [EPISODE ...]      needs mujoco (the version below), numpy and pyarrow, and nothing else
"""

import json
import sys
from pathlib import Path

import mujoco
import numpy as np
import pyarrow.parquet as pq


def replay(model: mujoco.MjModel, folder: Path) -> float:
    """Replay one episode; 0.0 if every position and velocity is bit-identical, else the largest difference, or the smallest float."""
    record, rows = json.loads((folder / "episode.json").read_text()), pq.read_table(folder / "states.parquet").to_pydict()
    qpos, qvel, ctrl = (np.array(rows[name]) for name in ("qpos", "qvel", "ctrl"))
    share = np.arange(1, record["simulator"]["substeps"] + 1)[:, None] / record["simulator"]["substeps"]
    data, worst = mujoco.MjData(model), 0.0
    mujoco.mj_setState(model, data, np.array(rows["integration_state"][0]), mujoco.mjtState.mjSTATE_INTEGRATION)
    for frame in range(record["frames"]):
        ramp = data.ctrl + share * (ctrl[frame] - data.ctrl)
        ramp[-1] = ctrl[frame]
        for data.ctrl[:] in ramp:
            mujoco.mj_step(model, data)
        if data.qpos.tobytes() != qpos[frame + 1].tobytes() or data.qvel.tobytes() != qvel[frame + 1].tobytes():
            worst = max(worst, float(np.abs(data.qpos - qpos[frame + 1]).max()), sys.float_info.min)
    return worst


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    made_with = json.loads((here / "kit.json").read_text())["mujoco"]
    if mujoco.__version__ != made_with:
        sys.exit(f"These episodes were made with mujoco {made_with}; this is {mujoco.__version__}: pip install mujoco=={made_with}")
    scene = mujoco.MjModel.from_binary_path(str(here / "model.mjb"))
    differences = {
        name: replay(scene, here / "episodes" / name) for name in sys.argv[1:] or sorted(p.name for p in (here / "episodes").iterdir())
    }
    for name, difference in differences.items():
        sys.stdout.write(f"{name}: {'bit-identical' if difference == 0.0 else f'DIFFERS by up to {difference:.3g}'}\n")
    sys.exit(any(differences.values()))
