"""Loads a v3.0 dataset with the real lerobot and compares every frame with what was simulated and rendered.

Runs in the certifying environment: ``python -m blueprint_pipeline.dataset.certify.in_lerobot REQUEST ANSWERS``.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from blueprint_pipeline.dataset.certify.in_expected import (
    TIMESTAMP_TOLERANCE_S,
    check_columns,
    image_difference,
    load_subtasks,
    recorded_phases,
    require,
    table_columns,
)
from blueprint_pipeline.dataset.certify.in_program import certify_loaded, read_by, run
from blueprint_pipeline.dataset.certify.request import Answer, CertifyRequest, ExpectedEpisode

_ITEMS_AN_EPISODE = 8
"""Frames that are also loaded one by one, as a training loop does; the first, the second and the last are among them."""
_BATCH = 64
_ROWS = 100_000
_LEAST_DEVIATION = 1e-3
"""Of an image's levels (0 to 1): less is a blank camera, or a wrong statistic."""
_ROUNDING = 1e-6


def load(request: CertifyRequest, **options: Any) -> Any:
    """The dataset, as lerobot sees it."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    return LeRobotDataset("local/dataset", root=request.dataset, video_backend="torchcodec", **options)


def check_loads(dataset: Any, request: CertifyRequest) -> str:
    """Totals, rate, robot and instructions are those of the episodes."""
    frames = sum(episode.frames for episode in request.episodes)
    found = (dataset.num_episodes, dataset.num_frames, len(dataset), dataset.fps, dataset.meta.robot_type)
    expected = (len(request.episodes), frames, frames, request.fps, request.robot_type)
    require(found == expected, f"episodes, frames, length, fps, robot_type are {found}, expected {expected}")
    tasks = {episode.instruction for episode in request.episodes}
    require(set(dataset.meta.tasks.index) == tasks, f"tasks are {sorted(dataset.meta.tasks.index)}, expected {sorted(tasks)}")
    return f"loaded {found[0]} episodes, {found[1]} frames"


def check_frames(dataset: Any, request: CertifyRequest, subtasks: Sequence[str]) -> str:
    """Every frame of every episode, as lerobot's own table gives it."""
    return compare_table(dataset.hf_dataset, request, subtasks, lambda number: str(dataset.meta.tasks.iloc[number].name))


def compare_table(rows: Any, request: CertifyRequest, subtasks: Sequence[str], task_of: Callable[[int], str]) -> str:
    """Every row of a table of ``datasets`` with the recordings; ``task_of`` gives the sentence of a ``task_index``."""
    table = rows.with_format("arrow")
    first = 0
    for index, episode in enumerate(request.episodes):
        found = table_columns(table[first : first + episode.frames])
        check_columns(found, episode, subtasks=subtasks, index=index, first=first, fps=request.fps)
        texts = {task_of(int(number)) for number in np.unique(found["task_index"])}
        require(texts == {episode.instruction}, f"episode {index}: instruction is {sorted(texts)}, expected '{episode.instruction}'")
        first += episode.frames
    return f"{first} frames equal the recordings' states, bit by bit, and have the names of their phases"


def check_videos(dataset: Any, request: CertifyRequest) -> str:
    """Every frame of every video decodes, at its time, to the same pixels as the rendered file."""
    from torchcodec.decoders import VideoDecoder

    compared = 0
    decoder_of = lru_cache(16)(lambda path: VideoDecoder(str(path)))  # opening a file reads where all of its frames are
    for index, episode in enumerate(request.episodes):
        meta = dataset.meta.episodes[index]
        for camera, rendered in episode.videos.items():
            key = f"observation.images.{camera}"
            start = round(meta[f"videos/{key}/from_timestamp"] * request.fps)
            path = request.dataset / dataset.meta.get_video_file_path(index, key)
            compared += _compare_video(decoder_of(path), start, rendered, episode, fps=request.fps)
    return f"{compared} video frames decode and equal the rendered ones, pixel by pixel"


def _compare_video(joined: Any, start: int, rendered: Path, episode: ExpectedEpisode, *, fps: int) -> int:
    from torchcodec.decoders import VideoDecoder

    where = f"{episode.episode_id}, {rendered.stem}"
    single = VideoDecoder(str(rendered))
    require(single.metadata.num_frames == episode.frames, f"{where}: rendered video has {single.metadata.num_frames} frames")
    for first in range(0, episode.frames, _BATCH):
        last = min(first + _BATCH, episode.frames)
        own = joined.get_frames_in_range(start + first, start + last)
        other = single.get_frames_in_range(first, last)
        worst = image_difference(own.data.numpy(), other.data.numpy())
        require(worst == 0, f"{where}: frames {first} to {last - 1} differ from the rendered ones by up to {worst} levels")
        times = (start + np.arange(first, last)) / fps
        require(
            bool(np.abs(own.pts_seconds.numpy() - times).max() <= TIMESTAMP_TOLERANCE_S),
            f"{where}: a frame from {first} on is late",
        )
    return episode.frames


def check_items(dataset: Any, request: CertifyRequest, *, names_phases: bool) -> str:
    """Some frames one by one through ``dataset[i]``: images, instruction and phase belong together.

    Args:
        dataset: As lerobot loaded it.
        request: What it is compared with.
        names_phases: Whether this version of lerobot gives an item the name of its phase.
    """
    from torchcodec.decoders import VideoDecoder

    loaded = 0
    first = 0
    for index, episode in enumerate(request.episodes):
        phases = recorded_phases(episode)
        decoders = {camera: VideoDecoder(str(path)) for camera, path in episode.videos.items()}
        for frame in _sample(episode.frames):
            item = dataset[first + frame]
            require(item["task"] == episode.instruction, f"item {first + frame}: task is '{item['task']}'")
            require(int(item["frame_index"]) == frame and int(item["episode_index"]) == index, f"item {first + frame}: wrong indices")
            require(not names_phases or item.get("subtask") == phases[frame], f"item {first + frame}: subtask is {item.get('subtask')}")
            for camera, decoder in decoders.items():
                image = (item[f"observation.images.{camera}"] * 255).round().byte().numpy()
                worst = image_difference(image, decoder[frame].numpy())
                require(worst == 0, f"item {first + frame}: {camera} differs from rendered frame {frame} by up to {worst} levels")
            loaded += 1
        first += episode.frames
    return f"{loaded} items load with images of their own frame"


def _sample(frames: int) -> list[int]:
    return sorted({min(1, frames - 1), *np.linspace(0, frames - 1, min(frames, _ITEMS_AN_EPISODE)).round().astype(int).tolist()})


def check_windows(request: CertifyRequest) -> str:
    """Windows of observations and actions, in batches, as policies are trained; none reaches into another episode."""
    from torch.utils.data import DataLoader

    step = 1 / request.fps
    dataset = load(request, delta_timestamps={"observation.state": [-step, 0.0], "action": [number * step for number in range(8)]})
    last = request.episodes[0].frames - 1
    item = dataset[last]
    require(item["action_is_pad"].tolist() == [False] + [True] * 7, f"padding at the end of episode 0 is {item['action_is_pad'].tolist()}")
    batch = next(iter(DataLoader(dataset, batch_size=min(4, len(dataset)), shuffle=False)))
    shape = tuple(batch["action"].shape[1:])
    require(shape == (8, item["action"].shape[-1]), f"a batch of actions has shape {shape}")
    return "windows of 2 observations and 8 actions load in batches, and are padded at an episode's end"


def check_statistics(dataset: Any, request: CertifyRequest) -> str:
    """``stats.json`` against all frames, recomputed: moments and quantiles of vectors, deviation of images."""
    quantiles = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
    for key, feature in dataset.meta.features.items():
        own = dataset.meta.stats[key]
        if feature["dtype"] == "video":
            require(own["std"].shape == (3, 1, 1), f"{key}: std has shape {own['std'].shape}")
            require(bool((own["std"] > _LEAST_DEVIATION).all()), f"{key}: std is {own['std'].ravel().tolist()}")
            continue
        values = np.concatenate(list(_column(dataset.hf_dataset, key))).astype(np.float64)
        expected = {"min": values.min(0), "max": values.max(0), "mean": values.mean(0), "std": values.std(0)}
        expected |= {name: np.quantile(values, share, axis=0) for name, share in quantiles.items()}
        scale = np.maximum(values.max(0) - values.min(0), 1e-6)
        for name, value in expected.items():
            worst = float((np.abs(own[name].ravel() - np.asarray(value).ravel()) / scale.ravel()).max())
            require(worst <= _ROUNDING, f"{key}: {name} is off by {worst:.2e} of the range")
    require(int(dataset.meta.stats["action"]["count"][0]) == len(dataset), "count of action is not the number of frames")
    return f"ten statistics of {len(dataset.meta.features)} features agree with all {sum(e.frames for e in request.episodes)} frames"


def _column(rows: Any, key: str) -> Iterator[npt.NDArray[Any]]:
    """A column of lerobot's table in blocks (n, width), read alone: all others are not converted with it."""
    column = rows.select_columns([key]).with_format("arrow")
    for first in range(0, len(column), _ROWS):
        values = table_columns(column[first : first + _ROWS])[key]
        yield values.reshape(len(values), -1)


def certify(request: CertifyRequest) -> list[Answer]:
    """All checks."""
    from lerobot.datasets.backward_compatibility import CompatibilityError

    def load_it() -> Any:
        with read_by("LeRobotDataset", CompatibilityError):
            return load(request)

    return certify_loaded(
        "lerobot.loads",
        load_it,
        lambda dataset: check_loads(dataset, request),
        {
            "lerobot.frames_match_states": lambda dataset: check_frames(dataset, request, load_subtasks(request.dataset)),
            "lerobot.videos_match_renders": lambda dataset: check_videos(dataset, request),
            "lerobot.items_load": lambda dataset: check_items(dataset, request, names_phases=True),
            "lerobot.windows_load": lambda _dataset: check_windows(request),
            "lerobot.statistics_agree": lambda dataset: check_statistics(dataset, request),
        },
    )


if __name__ == "__main__":
    run(certify)
