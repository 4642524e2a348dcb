"""Do the gates catch bad episodes? Faults of many kinds are planted in real kept episodes, one at a time, and judged.

Usage: python -m benchmarks.planted WORKSPACE SCENE [--attempts 504] [--each 24] [--drawn 2]

Plans, simulates and gates a job in a copy of the scene. Prints how many of the attempts that did their task are kept, and what stands
against the others; then, for each kind of fault, in how many episodes it was planted, how many of these are refused, and by which gates
first. Faults of states are judged by the gates alone, without a replay, which would refuse most of them for being altered. Ends with 1 if
a planted fault passed.
"""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.faults.cameras import CAMERA_FAULTS
from benchmarks.faults.labels import LABEL_FAULTS, REPLAY_FAULTS
from benchmarks.faults.states import STATE_FAULTS
from benchmarks.kept_rate import read_verdicts_of, run_job
from benchmarks.learn import borrow_scene
from blueprint_pipeline.episode.reader import planned_episodes
from blueprint_pipeline.episode.record import recording_path
from blueprint_pipeline.episode.states import load_motion
from blueprint_pipeline.log import configure_logging
from blueprint_pipeline.quality.episode_gating import judge_case
from blueprint_pipeline.quality.explain import primary_reason, tally_reasons
from blueprint_pipeline.quality.gate_inputs import load_episode_case, probe_video
from blueprint_pipeline.quality.gates.case import EpisodeCase, RenderCase
from blueprint_pipeline.quality.gates.registry import judge_render, verdict_of
from blueprint_pipeline.quality.robot_limits import load_robot_limits
from blueprint_pipeline.quality.scene_assets import load_licence_blockers
from blueprint_pipeline.quality.tiers import load_tiers
from blueprint_pipeline.quality.verdicts import EpisodeVerdict, Tier
from blueprint_pipeline.render.render import RenderOptions, render_episode
from blueprint_pipeline.render.replay import compare_motion
from blueprint_pipeline.robot.names import DEFAULT_ROBOT
from blueprint_pipeline.settings import LogSettings, RegistrySettings, Settings, WorkspaceSettings, load_settings
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.task.plan import JobPlan, load_plan
from blueprint_pipeline.task.skills import SKILLS
from blueprint_pipeline.workspace.storage import SceneFolder, Workspace

TIER: Tier = "core"
"""Its gates are the widest."""


@dataclass
class Tally:
    """What became of one kind of fault."""

    planted: int = 0
    passed: list[str] = field(default_factory=list)
    """Episodes in which it was not noticed."""
    gates: Counter[str] = field(default_factory=Counter)
    """Which gate refused first, or ``replay``."""

    def add(self, episode_id: str, refused_by: str | None) -> None:
        """Count one episode."""
        self.planted += 1
        if refused_by is None:
            self.passed.append(episode_id)
        else:
            self.gates[refused_by] += 1

    def sentence(self, name: str) -> str:
        """One line."""
        by = ", ".join(f"{gate} {count}" for gate, count in self.gates.most_common())
        missed = f"; passed: {', '.join(self.passed)}" if self.passed else ""
        return f"{name:<32} {self.planted - len(self.passed):3d} of {self.planted:3d} refused ({by}){missed}"


def load_cases(scene: SceneFolder, plan: JobPlan, chosen: Sequence[str]) -> list[EpisodeCase]:
    """The cases of some episodes, with their licences read."""
    robot = load_robot_limits(plan.robot.embodiment)
    found = [
        load_episode_case(scene, plan, shard, spec, robot=robot, licence_blockers=None)
        for shard, spec in planned_episodes(plan)
        if spec.episode_id in chosen
    ]
    return [replace(case, licence_blockers=load_licence_blockers(scene, case.record, commercial=True)) for case in found]


def refused_by(case: EpisodeCase) -> str | None:
    """The gate that refuses an episode first; ``None`` where it is kept."""
    verdict = judge_case(case, load_tiers(), TIER)
    reason = primary_reason(verdict)
    return None if verdict.verdict == "kept" else reason.gate if reason else "unnamed"


def another(cases: Sequence[EpisodeCase], case: EpisodeCase) -> EpisodeCase:
    """The next episode with another target."""
    target = case.spec.task.target_object
    start = cases.index(case)
    return next(other for other in [*cases[start:], *cases[:start]] if other.spec.task.target_object != target)


def plant_in_recordings(cases: Sequence[EpisodeCase]) -> Iterator[tuple[str, Tally]]:
    """Faults of states and of labels."""
    for name, fault in STATE_FAULTS.items():
        tally = Tally()
        for case in cases:
            tally.add(case.spec.episode_id, refused_by(fault(case)))
        yield name, tally
    for name, label_fault in LABEL_FAULTS.items():
        tally = Tally()
        for case in cases:
            tally.add(case.spec.episode_id, refused_by(label_fault(case, another(cases, case))))
        yield name, tally


def plant_in_replays(scene: SceneFolder, plan: JobPlan, cases: Sequence[EpisodeCase]) -> Iterator[tuple[str, Tally]]:
    """Faults that only executing the episode again can tell."""
    simulator = MujocoSimulator()
    simulator.load(scene.local(""), plan.robot, plan.fps)
    for name, fault in REPLAY_FAULTS.items():
        tally = Tally()
        for case in cases:
            simulator.vary(case.spec.variation)
            motion = load_motion(scene.local(recording_path(case.shard_index, case.spec.episode_id)) / "states.parquet")
            first, _ = compare_motion(simulator, fault(motion))
            tally.add(case.spec.episode_id, None if first is None else "replay")
        yield name, tally


def plant_in_cameras(scene: SceneFolder, plan: JobPlan, cases: Sequence[EpisodeCase]) -> Iterator[tuple[str, Tally]]:
    """Faults of what draws; a sound camera is judged first, and must pass."""
    simulators: dict[str, Callable[[], MujocoSimulator]] = {"sound_camera": MujocoSimulator, **CAMERA_FAULTS}
    for name, make in simulators.items():
        tally = Tally()
        for case in cases:
            with tempfile.TemporaryDirectory() as folder:
                tally.add(case.spec.episode_id, _refused_render(make(), scene, plan, case, Path(folder)))
        yield name, tally


def _refused_render(simulator: MujocoSimulator, scene: SceneFolder, plan: JobPlan, case: EpisodeCase, folder: Path) -> str | None:
    loaded = simulator.load(scene.local(""), plan.robot, plan.fps)
    options = RenderOptions(cameras=plan.cameras, width=plan.width, height=plan.height)
    states = scene.local(recording_path(case.shard_index, case.spec.episode_id)) / "states.parquet"
    certificate = render_episode(simulator, loaded, case.record, states, folder=folder, options=options)
    simulator.close()
    rendered = RenderCase(
        record=case.record,
        cameras=plan.cameras,
        width=plan.width,
        height=plan.height,
        certificate=certificate,
        videos={camera: probe_video(folder / f"{camera}.mp4") for camera in plan.cameras},
        side_files={},
    )
    gates = judge_render(rendered, load_tiers(), TIER)
    return None if verdict_of(gates) == "kept" else next(gate.gate for gate in gates if not gate.passed or gate.borderline)


def tell_false_alarms(verdicts: Sequence[EpisodeVerdict]) -> None:
    """Print how many attempts that did their task are kept, and what stands against the others."""
    done = [verdict for verdict in verdicts if next(gate.passed for gate in verdict.gates if gate.gate == "outcome")]
    kept = [verdict for verdict in done if verdict.verdict == "kept"]
    print(f"{len(kept)} of {len(done)} attempts that did their task are kept; against the others stands:")
    tally = tally_reasons(done)
    for verdict in ("rejected", "borderline"):
        for reason in tally.reasons(verdict):
            print(f"    {verdict}: {reason.sentence()}")


def main(arguments: list[str]) -> int:
    """Plant every fault and print what became of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("scene")
    parser.add_argument("--attempts", type=int, default=504)
    parser.add_argument("--each", type=int, default=24, help="kept episodes in which each fault of a recording is planted")
    parser.add_argument("--drawn", type=int, default=2, help="kept episodes in which each fault of a camera is planted")
    parser.add_argument("--robot", default=DEFAULT_ROBOT)
    parser.add_argument("--skill", choices=sorted(SKILLS), default="pick_place")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        borrow_scene(chosen.workspace, chosen.scene, Path(folder) / "workspace")
        return judge_planted(chosen, Path(folder))


def judge_planted(chosen: argparse.Namespace, folder: Path) -> int:
    """Generate in the workspace of this folder, plant and judge; 1 if a fault passed, or a sound camera did not."""
    settings = Settings(
        workspace=WorkspaceSettings(url=str(folder / "workspace"), cache_dir=load_settings().workspace.cache_dir),
        registry=RegistrySettings(url=f"sqlite:///{folder}/registry.db"),
    )
    run_job(chosen.scene, settings, robot=chosen.robot, skills=[chosen.skill], episodes=chosen.attempts, seed=chosen.seed)
    scene = Workspace(settings.workspace).scene(chosen.scene)
    plan, verdicts = load_plan(scene), read_verdicts_of(scene)
    tell_false_alarms(verdicts)
    kept = [verdict.episode_id for verdict in verdicts if verdict.verdict == "kept"]
    cases = load_cases(scene, plan, kept[: chosen.each])
    kinds, missed = 0, 0
    for plant in (plant_in_recordings(cases), plant_in_replays(scene, plan, cases), plant_in_cameras(scene, plan, cases[: chosen.drawn])):
        for name, tally in plant:
            print(tally.sentence(name), flush=True)
            sound = name == "sound_camera"
            kinds += not sound
            missed += bool(tally.gates if sound else tally.passed)
    print(f"{kinds} kinds of fault; {missed} of them passed in some episode, or were seen where there was none")
    return int(missed > 0)


if __name__ == "__main__":
    configure_logging(LogSettings(level="ERROR"))
    sys.exit(main(sys.argv[1:]))
