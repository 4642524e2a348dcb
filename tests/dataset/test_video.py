"""Videos are joined packet by packet, or refused."""

from pathlib import Path

import numpy as np
import pytest

from blueprint_pipeline.dataset.video import VideoFile, VideoMismatch, decode_frames, load_episode_video
from tests.dataset.conftest import FPS, write_video


def decoded(path: Path) -> list[np.ndarray]:
    return [image for _, image in decode_frames(path) if image is not None]


def test_joined_videos_decode_to_the_same_frames(tmp_path: Path) -> None:
    """Three episodes joined give all their frames, in order, with the very same pixels; twice the same bytes."""
    lengths = [11, 20, 7]
    for number, length in enumerate(lengths):
        write_video(tmp_path / f"{number}.mp4", length, number)
    videos = [
        load_episode_video(tmp_path / f"{n}.mp4", "observation.images.scene", frames=length, fps=FPS) for n, length in enumerate(lengths)
    ]
    assert videos[0].feature.codec == "h264"
    assert videos[0].feature.gop == 2
    for name in ("joined.mp4", "again.mp4"):
        with VideoFile(tmp_path / name, videos[0]) as file:
            for video in videos:
                file.append(video)
    assert (tmp_path / "joined.mp4").read_bytes() == (tmp_path / "again.mp4").read_bytes()
    expected = [image for number in range(3) for image in decoded(tmp_path / f"{number}.mp4")]
    found = decoded(tmp_path / "joined.mp4")
    assert len(found) == sum(lengths)
    assert all(np.array_equal(one, two) for one, two in zip(found, expected, strict=True))
    whole = load_episode_video(tmp_path / "joined.mp4", "observation.images.scene", frames=sum(lengths), fps=FPS)
    assert whole.frames == sum(lengths)
    assert not list(tmp_path.glob(".*.part"))


def test_a_lost_frame_is_refused(tmp_path: Path) -> None:
    """A video with fewer frames than its episode never gets into a dataset."""
    write_video(tmp_path / "short.mp4", 9, 0)
    with pytest.raises(VideoMismatch, match="number of frames is 9, expected 10"):
        load_episode_video(tmp_path / "short.mp4", "observation.images.scene", frames=10, fps=FPS)


def test_b_frames_are_refused(tmp_path: Path) -> None:
    """Frames that are decoded out of order cannot be joined."""
    write_video(tmp_path / "b.mp4", 20, 0, b_frames=2)
    with pytest.raises(VideoMismatch, match="no B-frames"):
        load_episode_video(tmp_path / "b.mp4", "observation.images.scene", frames=20, fps=FPS)


def test_another_rate_is_refused(tmp_path: Path) -> None:
    """Frames must stand at frame / fps."""
    write_video(tmp_path / "a.mp4", 5, 0)
    with pytest.raises(VideoMismatch, match=r"frame 1: time \[s\]"):
        load_episode_video(tmp_path / "a.mp4", "observation.images.scene", frames=5, fps=25)


def test_a_missing_video_is_refused(tmp_path: Path) -> None:
    """A video that is missing is named."""
    with pytest.raises(VideoMismatch, match=r"gone\.mp4: file is missing"):
        load_episode_video(tmp_path / "gone.mp4", "observation.images.scene", frames=5, fps=FPS)


def test_other_encodings_cannot_be_joined(tmp_path: Path) -> None:
    """A video of another size would not decode behind the first one's parameters."""
    write_video(tmp_path / "a.mp4", 5, 0)
    write_video(tmp_path / "b.mp4", 5, 0, width=160)
    one, two = (load_episode_video(tmp_path / f"{name}.mp4", "observation.images.scene", frames=5, fps=FPS) for name in "ab")
    file = VideoFile(tmp_path / "joined.mp4", one)
    file.append(one)
    with pytest.raises(VideoMismatch, match="encoding"):
        file.append(two)
