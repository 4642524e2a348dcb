"""Each gate on rendered episodes: a sound one passes, and one bent in a single way fails at that gate."""

from dataclasses import replace

import pytest

from blueprint_pipeline.episode.record import Execution, KOfN, KOfNEvidence
from blueprint_pipeline.origin import Origin
from blueprint_pipeline.quality.gate_inputs import load_render_case
from blueprint_pipeline.quality.gates.registry import RENDER_GATES, judge_render, verdict_of
from blueprint_pipeline.workspace.checksums import FileDigest
from tests.quality import synthetic, synthetic_scene


@pytest.fixture
def rendered(scene_root):
    """A rendered episode on disk, read as a case."""
    episode = synthetic.build_episode()
    record = synthetic_scene.write_episode(scene_root, episode)
    synthetic_scene.write_render(scene_root, record)
    return load_render_case(synthetic_scene.scene_at(scene_root), synthetic.build_plan([episode.spec]), 0, record.episode_id)


def certified(case, **edits):
    return replace(case, certificate=case.certificate.model_copy(update=edits))


def seen(case, camera="scene", **edits):
    videos = {**case.certificate.videos, camera: case.certificate.videos[camera].model_copy(update=edits)}
    return certified(case, videos=videos)


def on_disk(case, **edits):
    return replace(case, videos={**case.videos, "wrist": replace(case.videos["wrist"], **edits)})


def sighted(case, camera="scene", **edits):
    return seen(case, camera, sight=case.certificate.videos[camera].sight.model_copy(update=edits))


def unseen_by_all(case):
    return seen(seen(case, sight=None), "wrist", sight=None)


def barely_seen(case):
    return sighted(sighted(case, target_visible_ratio=0.5), "wrist", target_visible_ratio=0.7)


def no_certificate(case):
    return replace(case, certificate=None)


def executed(case, ends_m=(0.001, 0.002, 0.001, 0.003, 0.002), held=5, **edits):
    """The same episode, made by a simulator that is not deterministic: ``held`` executions did the task, the target ended so far off."""
    executions = tuple(
        Execution(held=number < held, failure=None, target_end_m=(0.5 + end_m, 0.0, 0.4), distance_m=end_m)
        for number, end_m in enumerate(ends_m)
    )
    evidence = KOfNEvidence(rule=KOfN(needed=4, attempts=5, spread_m=0.01), executions=executions)
    able = case.record.capabilities.model_copy(update={"deterministic": False})
    made = replace(case, record=case.record.model_copy(update={"capabilities": able}))
    return certified(made, **{"rule": "k_of_n", "k_of_n": evidence, "first_difference_frame": 1, "max_abs_qpos_difference": 0.01, **edits})


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
        lambda c: executed(c, k_of_n=None),
        lambda c: executed(c, rule="bit_identical", first_difference_frame=None),
        lambda c: replace(executed(c), record=c.record),
        lambda c: executed(c, replayed=False, refused="3 of 5 executions did the task"),
    ],
    "replay_agreement": [
        no_certificate,
        lambda c: certified(c, replayed=False),
        lambda c: executed(c, held=3),
        lambda c: executed(c, k_of_n=None),
        lambda c: executed(c, ends_m=(0.001,) * 4),
    ],
    "replay_spread": [
        no_certificate,
        lambda c: certified(c, replayed=False),
        lambda c: executed(c, ends_m=(0.001, 0.002, 0.011, 0.001, 0.001)),
        lambda c: executed(c, held=0),
        lambda c: executed(c, k_of_n=None),
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
    "ends_visible": [
        lambda c: sighted(c, target_ends_px=(3, 200)),
        lambda c: sighted(c, target_ends_px=(200, 0)),
        lambda c: seen(c, sight=None),
        lambda c: certified(c, videos={"wrist": c.certificate.videos["wrist"]}),
        no_certificate,
    ],
    "emptiness": [
        lambda c: sighted(c, emptiest_share=0.6),
        lambda c: sighted(c, "wrist", emptiest_share=1.0),
        lambda c: seen(c, sight=None),
        no_certificate,
    ],
    "sharpness": [lambda c: seen(c, "wrist", sharpness=2.0), lambda c: replace(c, cameras=())],
}


@pytest.mark.parametrize("tier", ["core", "plus", "full"])
def test_a_sound_render_passes_every_gate_of_every_tier(rendered, config, tier):
    gates = judge_render(rendered, config, tier)
    assert [gate for gate in gates if not gate.passed] == []
    assert verdict_of(gates) == "kept"


def test_a_k_of_n_certificate_is_named_as_one(rendered, config):
    """Four of five are enough for tier core, a target 3 mm off too; nothing says bit-identical."""
    gates = {gate.gate: gate for gate in judge_render(executed(rendered, held=4), config, "core")}
    assert [name for name, gate in gates.items() if not gate.passed] == []
    assert (gates["replay_agreement"].value, gates["replay_spread"].value) == (0.8, 0.003)
    for name in ("certificate", "replay_agreement", "replay_spread"):
        assert "k-of-n, 4 of 5 executions did the task, target within 3.0 mm" in gates[name].message
        assert "identical" not in gates[name].message


def test_full_asks_for_all_executions_and_half_the_spread(rendered, config):
    """What core takes, full refuses."""
    found = judge_render(executed(rendered, held=4, ends_m=(0.006,) * 5), config, "full")
    assert [gate.gate for gate in found if not gate.passed] == ["replay_agreement", "replay_spread"]


def test_what_was_estimated_in_the_twin_is_not_called_measured(rendered, config):
    case = sighted(sighted(rendered, origin=Origin.ESTIMATED), "wrist", origin=Origin.ESTIMATED)
    gates = {gate.gate: gate for gate in judge_render(case, config, "core")}
    for name in ("target_visible", "ends_visible", "emptiness"):
        assert (gates[name].passed, gates[name].origin) == (True, Origin.ESTIMATED)


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
    plan = synthetic.build_plan([rendered.record.spec])
    case = load_render_case(synthetic_scene.scene_at(scene_root), plan, 0, rendered.record.episode_id)
    assert case.certificate is None
    assert case.videos["wrist"].frames is None
    assert verdict_of(judge_render(case, config, "core")) == "rejected"
