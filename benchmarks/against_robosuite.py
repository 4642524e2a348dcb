"""CPU seconds of a simulated second: our attempts against robosuite's PickPlaceCan, interleaved in one run.

Usage: python -m benchmarks.against_robosuite WORKSPACE SCENE [--episodes 4] [--peer PYTHON]

The scene's shard 0 must be planned and simulated. Ours: motion planned, simulated at the twin's step, observed, recorded and written;
with pictures also replayed, two cameras of 320 x 240 drawn at 30 Hz, encoded and certified. Theirs: ``env.step`` with random actions at
20 Hz, with pictures two cameras of 256 x 256 in memory; no planning, no file. robosuite has an environment of its own (``make peer-env``).
"""

import argparse
import json
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import IO, Self, cast

from benchmarks.render import cpu_s
from benchmarks.simulation import attempt, open_worker
from blueprint_pipeline.episode.record import EpisodeRecord
from blueprint_pipeline.render.render import RenderOptions, render_episode
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator

PEER = Path(__file__).parent / "peers" / "robosuite_steps.py"
PYTHON = Path(__file__).parents[1] / ".venv-robosuite" / "bin" / "python"
SLICE_S = 1.0
"""Simulated seconds of the peer beside each of our episodes; it has no start-up and no end that a longer slice would thin out."""


class Robosuite:
    """The peer, in a process of its own.

    Args:
        python: Interpreter of an environment with robosuite.
    """

    def __init__(self, python: Path) -> None:
        self._process = subprocess.Popen([python, PEER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def cpu_s(self, seconds: float, *, cameras: bool) -> float:
        """CPU seconds of so many simulated seconds."""
        orders, answers = cast(IO[str], self._process.stdin), cast(IO[str], self._process.stdout)
        print(json.dumps({"seconds": seconds, "cameras": cameras}), file=orders, flush=True)
        answer = answers.readline()
        if not answer:
            raise SystemExit(f"robosuite ended with {self._process.wait()}: {cast(IO[str], self._process.stderr).read()[-2000:]}")
        return float(json.loads(answer)["cpu_s"])


def main(arguments: list[str]) -> None:
    """Print one line an episode and a summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("scene")
    parser.add_argument("--episodes", type=int, default=4)
    parser.add_argument("--peer", type=Path, default=PYTHON, help="interpreter with robosuite")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, Robosuite(chosen.peer) as peer:
        compare(chosen.workspace / "scenes" / chosen.scene, chosen.episodes, peer, Path(folder))


def compare(scene: Path, episodes: int, peer: Robosuite, folder: Path) -> None:
    """Take turns: an episode of ours, a slice of theirs."""
    worker, plan = open_worker(scene, folder)
    simulator = MujocoSimulator()
    loaded = simulator.load(scene, plan.robot, plan.fps)
    options = RenderOptions(cameras=plan.cameras, width=plan.width, height=plan.height)
    simulator.renderer(options.width, options.height)
    for cameras in (False, True):
        peer.cpu_s(SLICE_S, cameras=cameras)
    simulated_s, states_s, pictures_s, their_states_s, their_pictures_s = 0.0, 0.0, 0.0, 0.0, 0.0
    for spec in plan.episodes[1 : episodes + 1]:
        cost = attempt(worker, spec)
        recording = scene / "geniesim/recordings/shard_0000" / spec.episode_id
        record = EpisodeRecord.model_validate_json((recording / "episode.json").read_bytes())
        draw = partial(render_episode, simulator, loaded, record, recording / "states.parquet", folder=folder, options=options)
        simulated_s, states_s, pictures_s = simulated_s + cost.frames / plan.fps, states_s + cost.cpu_s, pictures_s + cpu_s(draw)
        their_states_s += peer.cpu_s(SLICE_S, cameras=False)
        their_pictures_s += peer.cpu_s(SLICE_S, cameras=True)
    theirs = episodes * SLICE_S
    tell("states", states_s / simulated_s, their_states_s / theirs)
    tell(f"{len(plan.cameras)} cameras", (states_s + pictures_s) / simulated_s, their_pictures_s / theirs)


def tell(what: str, ours: float, theirs: float) -> None:
    """Print CPU seconds of a simulated second, ours against theirs."""
    print(f"{what}: {ours:.3f} against {theirs:.3f} CPU s a simulated second, {theirs / ours:.1f} times")


if __name__ == "__main__":
    main(sys.argv[1:])
