"""The k-of-n rule on real executions: MuJoCo stands in for an engine that promises no same bits, and is made to err in known ways."""

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from blueprint_pipeline.episode.record import KOfN
from blueprint_pipeline.quality.replay_rule import load_replay_rule
from blueprint_pipeline.render.k_of_n_replay import execute_episode
from blueprint_pipeline.render.playback import PlaybackScene, play_episode
from blueprint_pipeline.render.render import RenderOptions, render_episode
from blueprint_pipeline.simulation.errors import SimulationDiverged
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.simulation.protocol import Capabilities
from blueprint_pipeline.twin.model import build_scene_model

pytestmark = pytest.mark.slow

RULE = KOfN(needed=4, attempts=5, spread_m=0.01)
OPTIONS = RenderOptions(cameras=("scene", "wrist"), width=160, height=120)


class Restless(MujocoSimulator):
    """Promises nothing. In execution i of an episode the target is reported ``drift_m[i]`` away by the end, or nothing is held at all."""

    def __init__(self, drift_m=(0.0,), slips=(), diverges=()):
        super().__init__()
        self.drift_m, self.slips, self.diverges = drift_m, slips, diverges
        self.execution = -1

    def capabilities(self):
        return Capabilities(deterministic=False, restores_state=False, renders=True, contacts=True, varies=True)

    def track(self, setpoints):
        self.execution += 1
        if self.execution in self.diverges:
            raise SimulationDiverged(1.0, "qpos")
        friction = self.model.geom_friction.copy()
        if self.execution in self.slips:
            self.model.geom_friction[:] = 1e-4
        track = super().track(setpoints)
        self.model.geom_friction[:] = friction
        end_m = self.drift_m[self.execution % len(self.drift_m)]
        states = []
        for state, share in zip(track.states, np.linspace(0.0, 1.0, len(track.states)), strict=True):
            poses, qpos = state.object_poses.copy(), state.qpos.copy()
            poses[:, 0] += share * end_m
            qpos[0] += share * end_m
            states.append(replace(state, object_poses=poses, qpos=qpos))
        return replace(track, states=tuple(states))


def opened(one_episode, simulator):
    scene, plan, *_ = one_episode
    return simulator, simulator.load(scene, plan.robot, plan.fps)


def execute(one_episode, simulator, rule=RULE):
    _, _, record, states = one_episode
    return execute_episode(*opened(one_episode, simulator), record, states, rule)


def test_an_episode_that_does_its_task_again_is_certified(one_episode) -> None:
    """Not as the same: how far it was off is told."""
    verdict = execute(one_episode, Restless(drift_m=(0.001, 0.0, 0.004, 0.002, 0.0)))
    assert (verdict.rule, verdict.replayed, verdict.refusal) == ("k_of_n", True, None)
    assert (verdict.k_of_n.held, verdict.k_of_n.rule) == (5, RULE)
    assert verdict.k_of_n.spread_m == pytest.approx(0.004, abs=1e-6)
    assert verdict.first_difference_frame is not None
    assert verdict.max_abs_qpos_difference == pytest.approx(0.004, abs=1e-6)


def test_one_execution_in_five_may_fail(one_episode) -> None:
    """And its end does not count; the reason is kept."""
    verdict = execute(one_episode, Restless(slips=(2,)))
    assert (verdict.replayed, verdict.k_of_n.held) == (True, 4)
    failed = verdict.k_of_n.executions[2]
    assert "lifted" in failed.failure
    assert failed.distance_m > RULE.spread_m
    assert verdict.k_of_n.spread_m < 1e-6


def test_k_below_the_bound_is_rejected(one_episode) -> None:
    verdict = execute(one_episode, Restless(slips=(1, 3)))
    assert (verdict.replayed, verdict.k_of_n.held) == (False, 3)
    assert verdict.refusal.code == "episode.not_replayed"
    assert "3 of 5 executions did the task, 4 must" in verdict.refusal.message


def test_a_spread_above_the_bound_is_rejected(one_episode) -> None:
    """Though the task was done every time."""
    verdict = execute(one_episode, Restless(drift_m=(0.0, 0.0, 0.012, 0.0, 0.0)))
    assert (verdict.replayed, verdict.k_of_n.held) == (False, 5)
    assert "0.01 m are allowed" in verdict.refusal.message


def test_an_execution_that_diverges_has_failed(one_episode) -> None:
    verdict = execute(one_episode, Restless(diverges=(0,)))
    assert verdict.k_of_n.executions[0].model_dump() == {
        "held": False,
        "failure": "simulation.diverged",
        "target_end_m": None,
        "distance_m": None,
    }
    assert verdict.replayed


def test_where_all_executions_diverge_no_difference_is_told(one_episode) -> None:
    """Not 0.0, which would say that the states were the same."""
    verdict = execute(one_episode, Restless(diverges=tuple(range(RULE.attempts))))
    assert (verdict.replayed, verdict.max_abs_qpos_difference) == (False, None)


def test_an_episode_of_another_simulator_is_not_executed(one_episode) -> None:
    """Which is named."""
    scene, plan, record, states = one_episode
    other = record.model_copy(update={"simulator": record.simulator.model_copy(update={"name": "isaac_sim"})})
    simulator = Restless()
    verdict = execute_episode(simulator, simulator.load(scene, plan.robot, plan.fps), other, states, RULE)
    assert (verdict.replayed, verdict.k_of_n, simulator.execution) == (False, None, -1)
    assert "made with isaac_sim, and mujoco acts here" in verdict.refusal.message


def pixels(path: Path):
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]).astype(int)


def play(one_episode, simulator, folder: Path):
    scene, plan, record, states = one_episode
    twin = build_scene_model(scene / "mjcf/scene.xml", plan.robot, plan.fps)
    stage = PlaybackScene(simulator=simulator, loaded=simulator.load(scene, plan.robot, plan.fps), twin=twin)
    return play_episode(stage, record, states, folder=folder, options=OPTIONS, rule=RULE)


def test_the_pictures_show_the_recorded_states(one_episode, tmp_path) -> None:
    """Though every execution drifted: drawn as the embedded path draws the recording itself, and the target is seen as often."""
    _, _, record, states = one_episode
    played = play(one_episode, Restless(drift_m=(0.004,)), tmp_path / "played")
    embedded = render_episode(*opened(one_episode, MujocoSimulator()), record, states, folder=tmp_path / "embedded", options=OPTIONS)
    assert (played.rule, embedded.rule) == ("k_of_n", "bit_identical")
    for camera, video in embedded.videos.items():
        there, here = (pixels(tmp_path / f"{folder}/{camera}.mp4") for folder in ("played", "embedded"))
        assert there.shape == here.shape
        # Fingers stand symmetrically when they are put; all else is the same.
        assert np.abs(there - here).mean() < 0.2
        assert (np.abs(there - here) > 30).mean() < 0.002
        drawn = played.videos[camera]
        assert (drawn.sight.origin, video.sight.origin) == ("estimated", "measured")
        assert drawn.sight.target_visible_ratio == pytest.approx(video.sight.target_visible_ratio, abs=0.06)
        assert drawn.sight.target_ends_px == pytest.approx(video.sight.target_ends_px, rel=0.2, abs=5)
        assert drawn.sight.emptiest_share == pytest.approx(video.sight.emptiest_share, abs=0.05)
        assert drawn.frozen_frames == video.frozen_frames


def test_nothing_is_drawn_of_an_episode_that_is_rejected(one_episode, tmp_path) -> None:
    certificate = play(one_episode, Restless(slips=(0, 1)), tmp_path / "played")
    assert (certificate.replayed, certificate.videos) == (False, {})
    assert certificate.k_of_n.held == 3
    assert list((tmp_path / "played").iterdir()) == []


class Misplaced(Restless):
    """Stands otherwise than it was put."""

    def __init__(self, what):
        super().__init__()
        self.what = what

    def reset(self, object_poses, robot_qpos):
        state = super().reset(object_poses, robot_qpos)
        poses, widths_m = state.object_poses.copy(), state.gripper_width_m.copy()
        if self.what == "moved":
            poses[0, 2] += 0.002
        elif self.what == "turned":
            turned = Rotation.from_quat(poses[0, 3:], scalar_first=True) * Rotation.from_rotvec([0.0, 0.0, 0.3])
            poses[0, 3:] = -turned.as_quat(scalar_first=True)
        else:
            widths_m -= 0.005
        return replace(state, object_poses=poses, gripper_width_m=widths_m)


@pytest.mark.parametrize(("what", "told"), [("moved", "0.002 m"), ("turned", "0.3 rad"), ("closed", "0.005 m")])
def test_a_simulator_that_does_not_stand_as_it_was_put_is_not_drawn(one_episode, tmp_path, what, told) -> None:
    """Its pictures would show another state than the row beside them: an object elsewhere or turned, or other fingers."""
    certificate = play(one_episode, Misplaced(what), tmp_path / "played")
    assert (certificate.replayed, certificate.videos) == (False, {})
    assert "to be drawn, it stands" in certificate.refused
    assert told in certificate.refused
    assert list((tmp_path / "played").iterdir()) == []


def test_the_shipped_rule_is_that_of_the_tiers() -> None:
    """As many as the gates want, and what the mildest tier takes."""
    assert load_replay_rule() == KOfN(needed=4, attempts=5, spread_m=0.01)
