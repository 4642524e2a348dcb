"""Execute the episodes of this folder again and compare every state with the recording.

On the class of machine that an episode was made on (the same processor architecture, and a mathematics library that rounds the same; see
libm_probe.py) every bit must be equal. On another class the last bits of sines differ, so every state must stay within a bound. The script
says for each episode which of the two it checked; it does not judge whether the task was done.

Usage: python replay.py [EPISODE ...]      needs mujoco (the version in kit.json), numpy and pyarrow, and nothing else
"""

import json
import platform
import runpy
import sys
from pathlib import Path
from typing import Any

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
            away = float(np.nan_to_num(np.abs(data.qpos - qpos[frame + 1]), nan=np.inf).max())
            worst = max(worst, away, sys.float_info.min)
    return worst


def judge(record: dict[str, Any], difference: float, here: dict[str, str], bound: float) -> tuple[bool, str]:
    """Whether an episode replays on this machine, and in words what was checked.

    Args:
        record: ``episode.json``; ``platform`` is the class of machine that it was made on.
        difference: What :func:`replay` gave.
        here: The class of this machine.
        bound: Largest difference on another class, in any position [m], angle [rad] or part of a quaternion.
    """
    if difference == 0.0:
        return True, "bit-identical"
    if record.get("platform") in (None, here):
        return False, f"DIFFERS by up to {difference:.3g}"
    where = "another class of machine than it was made on"
    if difference <= bound:
        return True, f"within {bound:g} of the recording (up to {difference:.3g}), not bit-identical: {where}"
    return False, f"DIFFERS by up to {difference:.3g}, more than {bound:g}, on {where}"


def load_scene(folder: Path) -> mujoco.MjSpec:
    """The scene with the robot on its pedestal, as it was simulated."""
    kit = json.loads((folder / "kit.json").read_text())
    scene, robot = (mujoco.MjSpec.from_file(str(folder / kit[name])) for name in ("scene_mjcf", "robot_mjcf"))
    for added in kit["robot_cameras"]:
        robot.body(added["body"]).add_camera(**added["camera"])
    for added in kit["robot_boxes"]:
        robot.body(added["body"]).add_body(**added["frame"]).add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, **added["box"])
    robot.option.integrator, robot.option.cone, robot.option.impratio = scene.option.integrator, scene.option.cone, scene.option.impratio
    scene.attach(robot, prefix=kit["robot_prefix"], frame=scene.worldbody.add_frame(**kit["robot_base"]))
    for name, view in kit["scene_cameras"].items():
        camera = scene.camera(name)
        camera.alt.type = mujoco.mjtOrientation.mjORIENTATION_QUAT
        camera.pos, camera.quat, camera.fovy = view["pos"], view["quat"], view["fovy"]
    for name, value in kit["option"].items():
        setattr(scene.option, name, value)
    for geom in kit["scene_boxes"]:
        scene.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, **geom)
    return scene


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    kit = json.loads((here / "kit.json").read_text())
    made_with = kit["mujoco"]
    if mujoco.__version__ != made_with:
        sys.exit(f"These episodes were made with mujoco {made_with}; this is {mujoco.__version__}: pip install mujoco=={made_with}")
    probe = runpy.run_path(str(here / "libm_probe.py"))
    compiled, own = load_scene(here).compile(), {"machine": platform.machine(), "libm_sha256": probe["libm_sha256"]()}
    every = True
    for name in sys.argv[1:] or sorted(path.name for path in (here / "episodes").iterdir()):
        episode = here / "episodes" / name
        held, told = judge(json.loads((episode / "episode.json").read_text()), replay(compiled, episode), own, kit["bound"])
        sys.stdout.write(f"{name}: {told}\n")
        every = every and held
    sys.exit(not every)
