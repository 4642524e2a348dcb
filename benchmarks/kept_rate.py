"""How many attempts are kept, by scene, robot and skill, with Wilson's interval, why the rest was not, and whether the kept ones replay.

Usage: python -m benchmarks.kept_rate [SCENE_FOLDER ...] [--robots franka_panda] [--skills pick_place ...] [--attempts 24] [--seed 0]

Each cell is a job of the project's own stages: planned, simulated, imported and gated; nothing is drawn. Kept is what the gates on states
keep without a person. Each kept episode is then executed again in a process that starts for this alone, and every state is compared, bit by
bit. A scene that is refused, or in which a robot cannot do a skill at all, says why and counts in no rate. Ends with 1
if a kept episode did not replay, or nothing was attempted.
"""

import argparse
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context
from pathlib import Path

from benchmarks.kill_drill import SOURCE
from blueprint_pipeline.episode.reader import load_record, planned_episodes
from blueprint_pipeline.episode.record import recording_path
from blueprint_pipeline.errors import InputError
from blueprint_pipeline.log import configure_logging
from blueprint_pipeline.policy.intervals import wilson
from blueprint_pipeline.quality.explain import tally_reasons
from blueprint_pipeline.quality.report import load_gate_report
from blueprint_pipeline.quality.verdicts import EpisodeVerdict, ShardVerdicts, verdicts_path
from blueprint_pipeline.render.replay import replay_episode
from blueprint_pipeline.robot.names import DEFAULT_ROBOT
from blueprint_pipeline.robot.placement import RobotPlacement
from blueprint_pipeline.settings import LogSettings, RegistrySettings, Settings, WorkspaceSettings, load_settings
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.stage.flow import stages_of
from blueprint_pipeline.stage.runner import run_stage
from blueprint_pipeline.task.plan import load_plan
from blueprint_pipeline.task.skills import SKILLS
from blueprint_pipeline.workspace.storage import SceneFolder, Workspace

SHARD = 12


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What became of the attempts of a robot at a skill in a scene."""

    scene: str
    robot: str
    skill: str
    attempts: int
    kept: int
    replayed: int
    reasons: Sequence[str]


def import_scene(source: Path, settings: Settings) -> str:
    """Take a reconstruction through all stages of a scene; returns its id."""
    scene_id = source.name
    for row in stages_of("scene"):
        request = {"source": str(source.resolve())} if row.name == "ingest_scene" else {}
        run_stage(row.name, {"scene_id": scene_id, **request}, settings)
    return scene_id


def run_job(scene_id: str, settings: Settings, **job: object) -> SceneFolder:
    """Plan, simulate and gate a job of the scene."""
    plan: Mapping[str, object] = {"shard_size": SHARD, "held_out": 0, **job}
    run_stage("plan_tasks", {"scene_id": scene_id, **plan}, settings)
    scene = Workspace(settings.workspace).scene(scene_id)
    for shard in range(len(load_plan(scene).shards)):
        run_stage("simulate_shard", {"scene_id": scene_id, "shard_index": shard}, settings)
    for stage in ("import_episodes", "gate_episodes"):
        run_stage(stage, {"scene_id": scene_id}, settings)
    return scene


def read_verdicts_of(scene: SceneFolder) -> list[EpisodeVerdict]:
    """What the gates on states said of every attempt of the scene's job."""
    paths = [verdicts_path("verdicts", shard.shard_index) for shard in load_gate_report(scene).shards]
    return [verdict for path in paths for verdict in ShardVerdicts.model_validate_json(scene.read_bytes(path)).episodes]


def attempt_cell(scene_id: str, robot: str, skill: str, chosen: argparse.Namespace, settings: Settings) -> Cell:
    """Plan, simulate and gate a job, and replay what is kept."""
    job = {"episodes": chosen.attempts, "seed": chosen.seed, "variation": chosen.variation}
    scene = run_job(scene_id, settings, robot=robot, skills=[skill], **job)
    verdicts = read_verdicts_of(scene)
    tally = tally_reasons(verdicts)
    kept = [verdict.episode_id for verdict in verdicts if verdict.verdict == "kept"]
    return Cell(
        scene=scene_id,
        robot=robot,
        skill=skill,
        attempts=len(verdicts),
        kept=len(kept),
        replayed=replay_elsewhere(scene, kept),
        reasons=[reason.sentence() for verdict in ("rejected", "borderline") for reason in tally.reasons(verdict)],
    )


def replay_elsewhere(scene: SceneFolder, kept: Sequence[str]) -> int:
    """How many of the kept episodes replay bit by bit in a process of their own."""
    plan = load_plan(scene)
    folders = [scene.local(recording_path(shard, spec.episode_id)) for shard, spec in planned_episodes(plan) if spec.episode_id in kept]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(count_replayed, scene.local(""), plan.robot, plan.fps, folders).result()


def count_replayed(scene: Path, robot: RobotPlacement, fps: int, folders: Sequence[Path]) -> int:
    """How many recordings replay bit by bit here."""
    simulator = MujocoSimulator()
    loaded = simulator.load(scene, robot, fps)
    return sum(replay_episode(simulator, loaded, load_record(folder), folder / "states.parquet").replayed for folder in folders)


def describe(name: str, cells: Iterable[Cell]) -> str:
    """One line: kept of attempts, with the interval, and how many of the kept replay."""
    found = list(cells)
    attempts, kept, replayed = (sum(getattr(cell, field) for cell in found) for field in ("attempts", "kept", "replayed"))
    low, high = wilson(kept, attempts)
    return f"{name:<52} {kept:4d} of {attempts:4d} kept = {kept / attempts:4.0%} ({low:.0%} to {high:.0%}); {replayed} of {kept} replay"


def summarize(cells: Sequence[Cell]) -> None:
    """Print the rates by skill, by robot, and of both."""
    for fields in (("skill",), ("robot",), ("robot", "skill")):
        groups = defaultdict(list)
        for cell in cells:
            groups[" ".join(getattr(cell, field) for field in fields)].append(cell)
        print()
        for name, members in groups.items():
            print(describe(name, members))


def main(arguments: list[str]) -> int:
    """Attempt every cell and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenes", type=Path, nargs="*", default=[SOURCE], help="folders of reconstructions")
    parser.add_argument("--robots", nargs="+", default=[DEFAULT_ROBOT])
    parser.add_argument("--skills", nargs="+", choices=sorted(SKILLS), default=list(SKILLS))
    parser.add_argument("--attempts", type=int, default=24, help="of each cell")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--variation", default="auto")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            workspace=WorkspaceSettings(url=str(Path(folder) / "workspace"), cache_dir=load_settings().workspace.cache_dir),
            registry=RegistrySettings(url=f"sqlite:///{folder}/registry.db"),
        )
        cells = list(attempt_all(chosen, settings))
    if not cells:
        print("nothing was attempted")
        return 1
    summarize(cells)
    return int(any(cell.replayed < cell.kept for cell in cells))


def attempt_all(chosen: argparse.Namespace, settings: Settings) -> Iterable[Cell]:
    """Attempt every cell, and print it when it is done."""
    for source in chosen.scenes:
        try:
            scene_id = import_scene(source, settings)
        except InputError as error:
            print(f"{source.name}: not imported: {error}", flush=True)
            continue
        for robot, skill in product(chosen.robots, chosen.skills):
            try:
                cell = attempt_cell(scene_id, robot, skill, chosen, settings)
            except InputError as error:
                print(f"{scene_id} {robot} {skill}: not attempted: {error}", flush=True)
                continue
            print(describe(f"{scene_id} {robot} {skill}", [cell]), *cell.reasons, sep="\n    ", flush=True)
            yield cell


if __name__ == "__main__":
    configure_logging(LogSettings(level="ERROR"))
    sys.exit(main(sys.argv[1:]))
