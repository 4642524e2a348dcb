"""Replay, draw, encode and certify recorded episodes: ours against the usual way, interleaved, CPU time.

Usage: python -m benchmarks.render WORKSPACE SCENE [EPISODES]

The scene's shard 0 must be simulated. The usual way: set the recorded ``qpos``, draw whole frames with ``mujoco.Renderer``, encode with
PyAV and libx264's defaults; it proves no replay and measures no pixels. Both draw with the backend that ``MUJOCO_GL`` names.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import av
import mujoco

from blueprint_pipeline.episode.record import EpisodeRecord
from blueprint_pipeline.episode.states import load_motion
from blueprint_pipeline.render.render import RenderOptions, render_episode
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.simulation.mujoco.renderer import camera_id
from blueprint_pipeline.task.plan import JobPlan


def draw_as_usual(renderer: mujoco.Renderer, states: Path, folder: Path, options: RenderOptions, fps: int) -> None:
    """One video a camera, from recorded positions."""
    model = renderer.model
    data = mujoco.MjData(model)
    motion = load_motion(states)
    for camera in options.cameras:
        with av.open(str(folder / f"{camera}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=fps)
            stream.width, stream.height, stream.pix_fmt = options.width, options.height, "yuv420p"
            stream.codec_context.thread_count = 1
            for qpos in motion.qpos[:-1]:
                data.qpos[:] = qpos
                mujoco.mj_forward(model, data)
                renderer.update_scene(data, camera_id(model, camera))
                container.mux(stream.encode(av.VideoFrame.from_ndarray(renderer.render(), format="rgb24")))
            container.mux(stream.encode())


def cpu_s(work: Callable[[], object]) -> float:
    """CPU seconds of one call, of all threads."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def main(workspace: str, scene_id: str, episodes: int = 4) -> None:
    """Print one line an episode."""
    scene = Path(workspace) / "scenes" / scene_id
    plan = JobPlan.model_validate_json((scene / "geniesim/plan.json").read_bytes())
    simulator = MujocoSimulator()
    loaded = simulator.load(scene, plan.robot, plan.fps)
    options = RenderOptions(cameras=plan.cameras, width=plan.width, height=plan.height)
    simulator.renderer(options.width, options.height)
    recordings = sorted((scene / "geniesim/recordings/shard_0000").iterdir())
    with tempfile.TemporaryDirectory() as folder, mujoco.Renderer(simulator.model, options.height, options.width) as renderer:
        ours, peers = Path(folder) / "ours", Path(folder)
        for recording in [path for path in recordings if (path / "states.parquet").exists()][:episodes]:
            record = EpisodeRecord.model_validate_json((recording / "episode.json").read_bytes())
            states = recording / "states.parquet"
            our_s = cpu_s(partial(render_episode, simulator, loaded, record, states, folder=ours, options=options))
            peer_s = cpu_s(partial(draw_as_usual, renderer, states, peers, options, plan.fps))
            pictures = len(options.cameras) * record.frames
            rates = f"{pictures / our_s:.0f} against {pictures / peer_s:.0f} pictures per CPU s"
            print(f"{record.episode_id}: {rates}, {peer_s / our_s:.2f} times")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *(int(value) for value in sys.argv[3:4]))
