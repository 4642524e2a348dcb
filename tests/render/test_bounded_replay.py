"""Episodes that are executed again on another class of machine: none that is good is lost, and what was checked is said.

The C library acts as on a CPU without FMA where ``GLIBC_TUNABLES`` asks for it; that takes a process of its own.
"""

import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from blueprint_pipeline.episode.certificates import count_rules, describe_replays
from blueprint_pipeline.episode.record import ReplayCertificate
from blueprint_pipeline.quality.gates.renders import expected_rule
from blueprint_pipeline.render.bounded_replay import BOUND, replay_anywhere
from blueprint_pipeline.render.render import RenderOptions, render_episode
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.simulation.platform_class import PlatformClass, describe_platform, platform_class

WITHOUT_FMA = {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-FMA,-FMA4"}
ELSEWHERE = PlatformClass(machine="riscv64", libm_sha256="0" * 64)
OPTIONS = RenderOptions(cameras=("scene",), width=160, height=120)
CLASS = "from blueprint_pipeline.simulation.platform_class import platform_class; print(platform_class().model_dump_json())"


def run_without_fma(code: str, *arguments: str) -> str:
    """The output of a program on what looks like a CPU without FMA."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=os.environ | WITHOUT_FMA, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_class_is_what_the_library_computes() -> None:
    """Another path through the library is another class, if the CPU has FMA to do without; the class of this process is one thing."""
    other = PlatformClass.model_validate_json(run_without_fma(CLASS))
    assert other.machine == platform_class().machine
    assert (other == platform_class()) == ("fma" not in describe_platform().cpu_features)
    assert describe_platform().platform_class == platform_class()
    assert describe_platform().wheel.startswith("mujoco ")


class Rounding(MujocoSimulator):
    """Rounds otherwise: the arm's first joint is so much off after every frame."""

    off_rad = 1e-7

    def advance(self, setpoint):
        contacts = super().advance(setpoint)
        self.data.qpos[0] += self.off_rad
        return contacts

    def advance_blind(self, setpoint):
        super().advance_blind(setpoint)
        self.data.qpos[0] += self.off_rad


def judge(one_episode, simulator, platform):
    scene, plan, record, states = one_episode
    loaded = simulator.load(scene, plan.robot, plan.fps)
    return replay_anywhere(simulator, loaded, record.model_copy(update={"platform": platform}), states)


@pytest.mark.slow
def test_a_recording_names_the_class_that_made_it(one_episode) -> None:
    """So that another machine knows what it may expect."""
    assert one_episode[2].platform == platform_class()


@pytest.mark.slow
def test_equal_bits_are_equal_bits_anywhere(one_episode) -> None:
    """Another class that happens to give the same bits is certified by them."""
    verdict = judge(one_episode, MujocoSimulator(), ELSEWHERE)
    assert (verdict.rule, verdict.replayed) == ("bit_identical", True)


@pytest.mark.slow
@pytest.mark.parametrize("platform", [platform_class(), None])
def test_on_its_own_class_a_difference_is_a_refusal(one_episode, platform) -> None:
    """And where the class is not known."""
    verdict = judge(one_episode, Rounding(), platform)
    assert (verdict.rule, verdict.replayed) == ("bit_identical", False)


@pytest.mark.slow
def test_on_another_class_small_differences_are_allowed(one_episode) -> None:
    """The task is done again, states stay within the bound, and both are in the verdict."""
    verdict = judge(one_episode, Rounding(), ELSEWHERE)
    assert (verdict.rule, verdict.replayed) == ("bounded", True)
    assert 0 < verdict.max_abs_qpos_difference <= BOUND
    assert verdict.first_difference_frame == 1
    assert verdict.k_of_n.held == 1


@pytest.mark.slow
def test_on_another_class_large_differences_are_refused(one_episode) -> None:
    """With what was found and what is allowed."""
    simulator = Rounding()
    simulator.off_rad = 3e-4
    verdict = judge(one_episode, simulator, ELSEWHERE)
    assert (verdict.rule, verdict.replayed) == ("bounded", False)
    assert f"{BOUND:g}" in str(verdict.refusal) or "did the task" in str(verdict.refusal)


RENDER = """
import sys
from pathlib import Path
from blueprint_pipeline.episode.record import EpisodeRecord
from blueprint_pipeline.render.render import RenderOptions, render_episode
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.task.plan import JobPlan
scene, plan, record, states, folder = sys.argv[1:]
plan, record = JobPlan.model_validate_json(plan), EpisodeRecord.model_validate_json(record)
simulator = MujocoSimulator()
loaded = simulator.load(Path(scene), plan.robot, plan.fps)
options = RenderOptions(cameras=("scene",), width=160, height=120)
print(render_episode(simulator, loaded, record, Path(states), folder=Path(folder), options=options).model_dump_json())
"""


def frames(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.mark.slow
def test_a_node_without_fma_draws_the_same_pictures(one_episode, tmp_path) -> None:
    """A cluster of mixed nodes loses no episode: the recorded states are drawn, and the certificate says by which rule it was judged."""
    scene, plan, record, states = one_episode
    said = run_without_fma(RENDER, str(scene), plan.model_dump_json(), record.model_dump_json(), str(states), str(tmp_path / "there"))
    there = ReplayCertificate.model_validate_json(said.splitlines()[-1])
    simulator = MujocoSimulator()
    loaded = simulator.load(scene, plan.robot, plan.fps)
    here = render_episode(simulator, loaded, record, states, folder=tmp_path / "here", options=OPTIONS)
    assert here.rule == "bit_identical"
    assert there.replayed
    assert there.platform is not None
    expected = "bounded" if there.first_difference_frame is not None else "bit_identical"
    assert there.rule == expected == expected_rule(there, record)
    np.testing.assert_array_equal(frames(tmp_path / "there/scene.mp4"), frames(tmp_path / "here/scene.mp4"))
    assert count_rules([here, there]) == {"bit_identical": 1, "bounded": 1} if expected == "bounded" else {"bit_identical": 2}
    assert there.platform.platform_class.libm_sha256[:12] in describe_replays([here, there])


@pytest.mark.slow
def test_a_certificate_cannot_claim_to_come_from_elsewhere(one_episode) -> None:
    """On the recording's own class the bounded rule does not count."""
    scene, plan, record, states = one_episode
    simulator = Rounding()
    loaded = simulator.load(scene, plan.robot, plan.fps)
    verdict = replay_anywhere(simulator, loaded, record.model_copy(update={"platform": ELSEWHERE}), states)
    assert verdict.replayed
    claimed = ReplayCertificate(
        episode_id=record.episode_id, states_sha256="0", model_sha256="0", frames=record.frames, rule="bounded", replayed=True,
        first_difference_frame=1, max_abs_qpos_difference=0.0, simulator=record.simulator, platform=describe_platform(), renderer="x",
        render_profile=None, videos={},
    )  # fmt: skip
    assert expected_rule(claimed, record) == "bit_identical"
