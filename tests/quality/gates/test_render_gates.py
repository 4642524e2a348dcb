"""Each gate on rendered episodes: a sound one passes, and one bent in a single way fails at that gate."""

from dataclasses import replace

import pytest

from blueprint.quality.cases import load_render_case
from blueprint.quality.gates.registry import RENDER_GATES, judge_render, verdict_of
from blueprint.workspace.checksums import FileDigest
from tests.quality import synthetic


@pytest.fixture
def rendered(scene_root):
    """A rendered episode on disk, read as a case."""
    episode = synthetic.build_episode()
    record = synthetic.write_episode(scene_root, episode)
    synthetic.write_render(scene_root, record)
    return load_render_case(synthetic.scene_at(scene_root), synthetic.build_plan([episode.spec]), 0, record.episode_id)


def certified(case, **edits):
    return replace(case, certificate=case.certificate.model_copy(update=edits))


def seen(case, camera="scene", **edits):
    videos = {**case.certificate.videos, camera: case.certificate.videos[camera].model_copy(update=edits)}
    return certified(case, videos=videos)


def on_disk(case, **edits):
    return replace(case, videos={**case.videos, "wrist": replace(case.videos["wrist"], **edits)})


def unseen_by_all(case):
    return seen(seen(case, target_visible_ratio=None), "wrist", target_visible_ratio=None)


def barely_seen(case):
    return seen(seen(case, target_visible_ratio=0.5), "wrist", target_visible_ratio=0.7)


def no_certificate(case):
    return replace(case, certificate=None)


BENT = {
    "certificate": [
        no_certificate,
        lambda c: certified(c, replayed=False, first_difference_frame=7, max_abs_qpos_difference=0.1),
        lambda c: certified(c, first_difference_frame=7),
        lambda c: certified(c, states_sha256="b" * 64),
        lambda c: certified(c, model_sha256="b" * 64),
        lambda c: certified(c, episode_id="ep_000009"),
        lambda c: certified(c, frames=249),
        lambda c: certified(c, simulator=synthetic.SIMULATOR.model_copy(update={"version": "3.9.9"})),
    ],
    "videos": [
        no_certificate,
        lambda c: replace(c, videos={"scene": c.videos["scene"]}),
        lambda c: certified(c, videos={"scene": c.certificate.videos["scene"]}),
        lambda c: on_disk(c, frames=249),
        lambda c: on_disk(c, frames=None),
        lambda c: on_disk(c, digest=FileDigest(sha256="c" * 64, size_bytes=1)),
        lambda c: on_disk(c, frame_rate_hz=25.0),
        lambda c: replace(c, width=320),
        lambda c: seen(c, frames=249),
        lambda c: replace(c, cameras=("scene", "wrist", "left")),
        lambda c: certified(c, depth={"scene": FileDigest(sha256="d" * 64, size_bytes=1)}),
        lambda c: certified(c, segmentation={"wrist": FileDigest(sha256="d" * 64, size_bytes=1)}),
    ],
    "not_black": [lambda c: seen(c, std_luma=0.4), no_certificate],
    "exposure": [lambda c: seen(c, mean_luma=4.0), lambda c: seen(c, mean_luma=250.0), no_certificate],
    "not_frozen": [lambda c: seen(c, frozen_frames=40), no_certificate],
    "target_visible": [barely_seen, unseen_by_all, no_certificate],
    "sharpness": [lambda c: seen(c, "wrist", sharpness=2.0), lambda c: replace(c, cameras=())],
}


@pytest.mark.parametrize("tier", ["core", "plus", "full"])
def test_a_sound_render_passes_every_gate_of_every_tier(rendered, config, tier):
    gates = judge_render(rendered, config, tier)
    assert [gate for gate in gates if not gate.passed] == []
    assert verdict_of(gates) == "kept"


def test_every_gate_has_a_bent_render():
    assert set(BENT) == set(RENDER_GATES)


@pytest.mark.parametrize(("name", "change"), [(name, change) for name, changes in BENT.items() for change in changes])
def test_a_bent_render_fails_at_its_gate(rendered, config, name, change):
    gate = next(gate for gate in judge_render(change(rendered), config, "core") if gate.gate == name)
    assert not gate.passed
    assert gate.message


def test_files_that_are_no_video_and_no_certificate_fail(rendered, config, scene_root):
    folder = scene_root / "geniesim/renders/shard_0000" / rendered.record.episode_id
    (folder / "wrist.mp4").write_bytes(b"no video")
    (folder / "certificate.json").write_text("{")
    case = load_render_case(synthetic.scene_at(scene_root), synthetic.build_plan([rendered.record.spec]), 0, rendered.record.episode_id)
    assert case.certificate is None
    assert case.videos["wrist"].frames is None
    assert verdict_of(judge_render(case, config, "core")) == "rejected"
