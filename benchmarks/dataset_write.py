"""Write a dataset's tables and compute statistics: blueprint_pipeline against lerobot's own writer, interleaved, CPU time.

Usage: python -m benchmarks.run_all dataset_write, in the environment that holds lerobot (make certify-env).

Both write the same episodes (state and action of 14, 300 frames, no video) as v3.0, from arrays in memory to a closed
dataset. Statistics are those of one episode for each, of the same columns.
"""

import argparse
import json
import logging
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from blueprint_pipeline.dataset.certify.in_compat import prepare_torchvision
from blueprint_pipeline.dataset.contract import DatasetSpec
from blueprint_pipeline.dataset.features import VectorFeature
from blueprint_pipeline.dataset.formats import STORE, usual_formats
from blueprint_pipeline.dataset.frames import EpisodeFrames, PhaseRun
from blueprint_pipeline.dataset.images import count_pixels, empty_counts, image_statistics
from blueprint_pipeline.dataset.statistics import compute_statistics, constant_statistics, ramp_statistics
from blueprint_pipeline.dataset.writer import DatasetWriter
from blueprint_pipeline.simulation.render_profiles import FAST

FPS, FRAMES, JOINTS = 30, 300, 14
NAMES = tuple(f"joint_{joint}" for joint in range(JOINTS))
PARTS = {"arm": slice(0, JOINTS)}
VECTORS = (VectorFeature("observation.state", NAMES, parts=PARTS), VectorFeature("action", NAMES, parts=PARTS))
FEATURES: dict[str, dict[str, object]] = {vector.key: {"dtype": "float32", "shape": (JOINTS,), "names": list(NAMES)} for vector in VECTORS}
COLUMNS: dict[str, dict[str, object]] = {
    name: {"dtype": "int64", "shape": (1,), "names": None} for name in ("frame_index", "index", "episode_index", "task_index")
}
COLUMNS |= {**FEATURES, "timestamp": {"dtype": "float32", "shape": (1,), "names": None}}


def make_episodes(count: int) -> list[EpisodeFrames]:
    """Smooth movements with noise."""
    rng = np.random.default_rng(0)
    time_s = np.arange(FRAMES)[:, None] / FPS
    found = []
    for number in range(count):
        vectors = {
            vector.key: (np.sin(time_s * rng.uniform(0.3, 2, JOINTS)) + rng.normal(0, 0.01, (FRAMES, JOINTS))).astype(np.float32)
            for vector in VECTORS
        }
        found.append(EpisodeFrames(f"ep_{number:04d}", f"task {number % 3}", vectors, (PhaseRun("move", FRAMES),), success=True))
    return found


def write_ours(episodes: list[EpisodeFrames], root: Path, *, formats: tuple[str, ...]) -> None:
    """Ours, in some formats."""
    writer = DatasetWriter(root, DatasetSpec(fps=FPS, robot_type="bench", vectors=VECTORS, render_profile=FAST), formats=formats)
    for episode in episodes:
        writer.add(episode, {}, {})
    writer.close()


def write_peer(episodes: list[EpisodeFrames], root: Path) -> None:
    """The writer of lerobot itself, used as its documentation says."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    dataset = LeRobotDataset.create("local/bench", FPS, FEATURES, root=root, robot_type="bench", use_videos=False)
    for episode in episodes:
        state, action = (episode.vectors[vector.key] for vector in VECTORS)
        for frame in range(episode.length):
            dataset.add_frame({"observation.state": state[frame], "action": action[frame], "task": episode.task})
        dataset.save_episode()
    dataset.finalize()


def statistics_ours(episodes: list[EpisodeFrames]) -> None:
    """All columns of each episode, as the writer does."""
    timestamp = (np.arange(FRAMES) / FPS).astype(np.float32)[None]
    for number, episode in enumerate(episodes):
        compute_statistics(np.concatenate([*(np.ascontiguousarray(value.T) for value in episode.vectors.values()), timestamp]))
        ramp_statistics(0, FRAMES)
        ramp_statistics(number * FRAMES, FRAMES)
        constant_statistics(number, FRAMES)
        constant_statistics(0, FRAMES)


def statistics_peer(episodes: list[EpisodeFrames]) -> None:
    """lerobot's, of the same columns."""
    from lerobot.datasets.compute_stats import compute_episode_stats

    number = np.arange(FRAMES)
    for index, episode in enumerate(episodes):
        data = dict(episode.vectors) | {"timestamp": (number / FPS).astype(np.float32), "frame_index": number}
        data |= {"index": number + index * FRAMES, "episode_index": np.full(FRAMES, index), "task_index": np.zeros(FRAMES, dtype=np.int64)}
        compute_episode_stats(data, COLUMNS)


def images_ours(images: np.ndarray) -> list[float]:
    """Statistics of RGB images (N, H, W, 3); the deviation."""
    counts = empty_counts()
    for image in images:
        counts += count_pixels(image)
    return [float(value) for value in np.asarray(image_statistics(counts)["std"], dtype=np.float64).ravel()]


def images_peer(images: np.ndarray) -> list[float]:
    """lerobot's, of the same images (N, 3, H, W); the deviation."""
    from lerobot.datasets.compute_stats import get_feature_stats

    found = get_feature_stats(images, axis=(0, 2, 3), keepdims=True)
    return [float(value) for value in np.ravel(found["std"] / 255.0)]


def cpu_s(work: Callable[[], object]) -> float:
    """CPU seconds of one call, of all threads."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def compare(ours: Callable[[], object], peer: Callable[[], object], pairs: int) -> dict[str, float]:
    """Medians of both and of their ratio, pair by pair."""
    rows = [(cpu_s(ours), cpu_s(peer)) for _ in range(pairs)]
    ratios = [peer_s / our_s for our_s, peer_s in rows]
    return {
        "ours_cpu_s": statistics.median(row[0] for row in rows),
        "peer_cpu_s": statistics.median(row[1] for row in rows),
        "ratio": statistics.median(ratios),
        "ratio_least": min(ratios),
        "ratio_most": max(ratios),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    prepare_torchvision()
    episodes = make_episodes(args.episodes)
    images = np.random.default_rng(1).integers(0, 256, (100, 224, 224, 3), dtype=np.uint8)
    channels_first = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)

        def fresh(name: str) -> Path:
            shutil.rmtree(root / name, ignore_errors=True)
            return root / name

        write_ours(episodes[:1], fresh("warm"), formats=usual_formats())
        write_peer(episodes[:1], fresh("warm"))
        found = {
            "write_v30": compare(
                lambda: write_ours(episodes, fresh("ours"), formats=(STORE,)), lambda: write_peer(episodes, fresh("peer")), args.pairs
            ),
            "write_v30_and_v21": compare(
                lambda: write_ours(episodes, fresh("ours"), formats=usual_formats()),
                lambda: write_peer(episodes, fresh("peer")),
                args.pairs,
            ),
            "statistics": compare(lambda: statistics_ours(episodes), lambda: statistics_peer(episodes), args.pairs),
            "image_statistics": compare(lambda: images_ours(images), lambda: images_peer(channels_first), args.pairs),
        }
    deviation = {"true": float(images.std() / 255), "ours": images_ours(images)[0], "peer": images_peer(channels_first)[0]}
    if args.json:
        print(json.dumps({"episodes": args.episodes, "frames": args.episodes * FRAMES, **found, "image_deviation": deviation}))
        return
    for name, row in found.items():
        spread = f"{row['ratio_least']:.0f} to {row['ratio_most']:.0f}"
        print(f"{name}: {row['ours_cpu_s']:.4f} against {row['peer_cpu_s']:.3f} CPU s, {row['ratio']:.0f} times [{spread}]")
    print("deviation of images: " + ", ".join(f"{name} {value:.4f}" for name, value in deviation.items()))


if __name__ == "__main__":
    main()
