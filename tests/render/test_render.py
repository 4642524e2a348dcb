"""Tests of drawing episodes: only what replays has pictures, and they show the action."""

import json
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from blueprint_pipeline.render.render import RenderOptions, depth_mm, render_episode, write_contact_sheet
from blueprint_pipeline.render.video import PixelStatistics
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.placement import View
from blueprint_pipeline.task.variation import Variation
from blueprint_pipeline.twin.binding import bind_robot
from tests.motion.g2_table import build_spec
from tests.render.recorded import FRAMES, Recorded, record_lift

OPTIONS = RenderOptions(cameras=("scene", "wrist"), width=160, height=120, depth=True, segmentation=True)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Recorded:
    return record_lift(tmp_path_factory.mktemp("recorded"))


@pytest.fixture(scope="module")
def rendered(recorded, tmp_path_factory):
    """The episode, drawn with everything."""
    folder = tmp_path_factory.mktemp("rendered")
    return folder, draw(recorded, folder)


def draw(recorded: Recorded, folder: Path):
    simulator, loaded = recorded.load()
    certificate = render_episode(simulator, loaded, recorded.record, recorded.states, folder=folder, options=OPTIONS)
    simulator.close()
    return certificate


def frames_of(path: Path, pix_fmt: str) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format=pix_fmt) for frame in container.decode(video=0)]


def test_certificate_tells_of_every_video(rendered, recorded) -> None:
    """Both cameras have all frames, contrast, and see the target."""
    folder, certificate = rendered
    assert certificate.replayed
    assert set(certificate.videos) == {"scene", "wrist"}
    for camera, video in certificate.videos.items():
        assert (video.frames, video.width, video.height, video.fps) == (FRAMES, 160, 120, 30)
        assert 10 < video.mean_luma < 245
        assert video.std_luma > 10
        assert video.sight.target_visible_ratio == 1.0
        labels = frames_of(folder / f"{camera}.segmentation.mkv", "gray")
        names = json.loads((folder / "labels.json").read_text())
        (target,) = [int(number) for number, name in names.items() if name == recorded.record.spec.task.target_object]
        assert video.sight.target_ends_px == ((labels[0] == target).sum(), (labels[-1] == target).sum())
        assert video.sight.emptiest_share == max((labels[frame] == 0).mean() for frame in {*range(0, FRAMES, 15), FRAMES - 1})
        assert video.sharpness > 0


def test_video_starts_with_a_keyframe_and_has_no_b_frames(rendered) -> None:
    """Every second frame is a keyframe, and packets come in the order of display."""
    folder, _ = rendered
    with av.open(str(folder / "scene.mp4")) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    assert [packet.is_keyframe for packet in packets[:4]] == [True, False, True, False]
    assert all(packet.pts == packet.dts for packet in packets)


def test_same_episode_gives_the_same_bytes(rendered, recorded, tmp_path) -> None:
    """Videos, depth and segmentation are drawn again to the byte."""
    folder, certificate = rendered
    assert draw(recorded, tmp_path) == certificate
    for path in sorted(folder.iterdir()):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_pictures_show_the_motion(rendered) -> None:
    """First and last frames of both cameras differ."""
    folder, _ = rendered
    for camera in ("scene", "wrist"):
        frames = frames_of(folder / f"{camera}.mp4", "rgb24")
        assert len(frames) == FRAMES
        assert np.abs(frames[0].astype(int) - frames[-1].astype(int)).mean() > 0.5


def test_depth_and_segmentation_are_lossless(rendered) -> None:
    """Depth is in millimetres; labels are those of ``labels.json``, and the block is among them."""
    folder, _ = rendered
    labels = json.loads((folder / "labels.json").read_text())
    block = int(next(label for label, name in labels.items() if name == "block"))
    segments = frames_of(folder / "scene.segmentation.mkv", "gray")
    depth = frames_of(folder / "scene.depth.mkv", "gray16le")
    assert len(segments) == len(depth) == FRAMES
    assert {int(value) for value in np.unique(segments[0])} <= {int(label) for label in labels}
    distance = depth[0][segments[0] == block]
    assert len(distance) > 20
    assert 400 < np.median(distance) < 600


def test_nothing_is_drawn_of_an_episode_that_does_not_replay(recorded, tmp_path) -> None:
    """The certificate says why, and no file is left."""
    states = tmp_path / "states.parquet"
    states.write_bytes(recorded.states.read_bytes() + b" ")
    certificate = draw(replace(recorded, states=states), tmp_path / "out")
    assert (certificate.replayed, certificate.videos) == (False, {})
    assert "workspace.file_changed" in (certificate.refused or "")
    assert list((tmp_path / "out").iterdir()) == []


def test_depth_beyond_range_is_zero() -> None:
    """Nothing there, and too far away, are both 0."""
    assert depth_mm(np.array([[0.5, 70.0, np.inf]], dtype=np.float32)).tolist() == [[500, 0, 0]]


def test_frozen_frames_count_only_while_the_robot_moves() -> None:
    """Three equal frames in motion are a run of three; at rest they are none."""
    luma = np.full((4, 4), 100, dtype=np.uint8)
    moving, resting = PixelStatistics(), PixelStatistics()
    for _ in range(3):
        moving.add(luma, moving=True)
        resting.add(luma, moving=False)
    assert (moving.frozen_frames, resting.frozen_frames) == (3, 0)
    assert (moving.mean_luma, moving.std_luma, moving.sharpness) == (100.0, 0.0, 0.0)


def test_a_camera_on_an_arm_shows_the_motion_of_that_arm() -> None:
    """While it rests the picture may stand still, whatever the other arm does; a fixed camera sees both."""
    spec = build_spec()
    spec.worldbody.add_camera(name="scene")
    model = spec.compile()
    robot = bind_robot(model, load_embodiment("agibot_g2"))
    behind = {name: [arm.arm.name for arm in robot.arms_behind(model, model.camera(name).id)] for name in ("robot/wrist", "scene")}
    assert behind == {"robot/wrist": ["left"], "scene": ["left", "right"]}


def test_contact_sheet_shows_every_camera_over_time(rendered) -> None:
    """A row a camera, a picture a column; nothing where nothing was drawn."""
    folder, certificate = rendered
    path = write_contact_sheet(folder, certificate, pictures=5)
    assert path is not None
    with Image.open(path) as sheet:
        assert sheet.size == (5 * 160, 2 * 120)
    path.unlink()
    assert write_contact_sheet(folder, certificate.model_copy(update={"videos": {}})) is None


def test_a_varied_episode_is_drawn_as_it_was_varied(recorded, rendered, tmp_path) -> None:
    """It replays; half the light is a darker picture; another camera sees something else, and the wrist's stays."""
    home = recorded.record.robot.view
    view = View(position_m=(1.2, 0.3, 1.3), quat_wxyz=(0.56, 0.43, 0.43, 0.56), fovy_deg=60) if home is None else home
    plain = rendered[1].videos
    dim = draw(varied(recorded, light_level=0.5), tmp_path / "dim")
    assert dim.replayed
    assert all(dim.videos[camera].mean_luma < 0.8 * plain[camera].mean_luma for camera in plain)
    moved = draw(varied(recorded, view=view), tmp_path / "moved")
    assert moved.replayed
    assert moved.videos["scene"].mean_luma != plain["scene"].mean_luma
    assert moved.videos["wrist"] == plain["wrist"]


def test_an_episode_is_not_replayed_with_other_masses(recorded, tmp_path) -> None:
    """What the record says acts: this one was made in the plain scene."""
    heavier = varied(recorded, masses={recorded.record.spec.task.target_object: 1.5})
    assert not draw(heavier, tmp_path).replayed


def varied(recorded: Recorded, **fields: object) -> Recorded:
    spec = recorded.record.spec.model_copy(update={"variation": Variation(**fields)})
    return replace(recorded, record=recorded.record.model_copy(update={"spec": spec}))
