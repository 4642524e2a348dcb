"""CPU seconds of replaying, drawing and encoding recorded episodes.

Usage: python benchmarks/render.py WORKSPACE SCENE [WIDTH HEIGHT]

The scene's shard 0 must be simulated. Prints frames per CPU second and camera, and where the time goes.
"""

import sys
import tempfile
import time
from pathlib import Path

from blueprint_pipeline.episode.record import EpisodeRecord
from blueprint_pipeline.episode.states import load_motion
from blueprint_pipeline.render.render import RenderOptions, render_episode
from blueprint_pipeline.render.replay import compare_motion
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.simulation.mujoco.renderer import camera_id
from blueprint_pipeline.task.plan import JobPlan

CAMERAS = ("scene", "wrist")


def main(workspace: str, scene_id: str, width: int = 320, height: int = 240) -> None:
    """Print one line an episode, and the parts of one."""
    scene = Path(workspace) / "scenes" / scene_id
    plan = JobPlan.model_validate_json((scene / "geniesim/plan.json").read_bytes())
    simulator = MujocoSimulator()
    sha256 = simulator.load(scene, plan.robot, plan.fps).model_sha256
    options = RenderOptions(cameras=CAMERAS, width=width, height=height)
    simulator.renderer(width, height)
    folders = sorted((scene / "geniesim/recordings/shard_0000").iterdir())[:4]
    with tempfile.TemporaryDirectory() as out:
        for folder in folders:
            record = EpisodeRecord.model_validate_json((folder / "episode.json").read_bytes())
            started = time.process_time()
            certificate = render_episode(simulator, sha256, record, folder / "states.parquet", folder=Path(out), options=options)
            seconds = time.process_time() - started
            pictures = len(CAMERAS) * record.frames
            print(f"{record.episode_id} replayed={certificate.replayed} {seconds:.2f} CPU s, {pictures / seconds:.0f} pictures per CPU s")
    motion = load_motion(folders[0] / "states.parquet")
    started = time.process_time()
    compare_motion(simulator, motion)
    print(f"replay alone: {(time.process_time() - started) / motion.frames * 1e3:.2f} ms a frame")
    renderer = simulator.renderer(width, height)
    for camera in CAMERAS:
        started = time.process_time()
        for _ in range(100):
            renderer.look(simulator.data, camera_id(simulator.model, camera))
            renderer.draw()
        print(f"drawing {camera} alone: {(time.process_time() - started) * 10:.2f} ms a picture")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *(int(value) for value in sys.argv[3:5]))
