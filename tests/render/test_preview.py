"""Small pictures are made while an episode is drawn, and show it."""

import av
import numpy as np
import pytest

from blueprint_pipeline.render.preview import PREVIEW_STRIDE, read_preview, read_stills
from blueprint_pipeline.render.video import VideoWriter


def picture(number: int, width: int, height: int) -> np.ndarray:
    """A grey ramp with a bright square that moves to the right."""
    image = np.tile(np.linspace(60, 120, height, dtype=np.uint8)[:, None, None], (1, width, 3))
    left = number * width // 40
    image[height // 4 : height // 2, left : left + width // 4] = (230, 190, 30)
    return np.ascontiguousarray(image)


def write(path, frames: int, width: int = 640, height: int = 480) -> None:
    writer = VideoWriter(path, width, height, 30)
    for number in range(frames):
        writer.write(picture(number, width, height), moving=True)
    writer.close()


@pytest.mark.parametrize(
    ("size", "small"), [((640, 480), (240, 180)), ((160, 120), (160, 120)), ((640, 360), (240, 136))], ids=["large", "tiny", "wide"]
)
def test_every_fourth_frame_is_shown_small(tmp_path, size, small):
    """In order, from the first on, as it looks in the video."""
    write(tmp_path / "scene.mp4", 10, *size)
    with av.open(str(tmp_path / "scene.mp4")) as container:
        expected = [frame.to_ndarray(format="rgb24", width=small[0], height=small[1]) for frame in container.decode(video=0)]
    shown = list(read_preview(tmp_path / "scene.preview.mp4", small[0]))
    assert [image.shape for image in shown] == [(small[1], small[0], 3)] * 3
    for number, image in enumerate(shown):
        others = [np.abs(image.astype(int) - frame).mean() for frame in expected]
        assert int(np.argmin(others)) == number * PREVIEW_STRIDE
        assert min(others) < 4


def test_stills_are_spread_from_the_first_to_the_last(tmp_path):
    """Also more of them than there are pictures."""
    write(tmp_path / "scene.mp4", 17)
    shown = list(read_preview(tmp_path / "scene.preview.mp4"))
    for count, chosen in ((3, [0, 2, 4]), (6, [0, 1, 2, 2, 3, 4]), (7, [0, 1, 1, 2, 3, 3, 4])):
        stills = read_stills(tmp_path / "scene.preview.mp4", count)
        assert [image.tobytes() for image in stills] == [shown[index].tobytes() for index in chosen], count


def test_previews_are_small_and_the_same_again(tmp_path):
    """To the byte, whatever was in memory before."""
    write(tmp_path / "a/scene.mp4", 30)
    garbage = [bytes([index]) * 150_000 for index in range(100)]
    del garbage[::2]
    write(tmp_path / "b/scene.mp4", 30)
    for name in ("scene.mp4", "scene.preview.mp4"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert (tmp_path / "a/scene.preview.mp4").stat().st_size < (tmp_path / "a/scene.mp4").stat().st_size / 5


def test_index_stands_first(tmp_path):
    """Both play while they load."""
    write(tmp_path / "scene.mp4", 9)
    for name in ("scene.mp4", "scene.preview.mp4"):
        data = (tmp_path / name).read_bytes()
        assert 0 < data.index(b"moov") < data.index(b"mdat"), name


def test_what_is_abandoned_leaves_nothing(tmp_path):
    """Not a byte of either."""
    writer = VideoWriter(tmp_path / "scene.mp4", 64, 48, 30)
    writer.write(picture(0, 64, 48), moving=True)
    writer.abandon()
    assert list(tmp_path.iterdir()) == []
