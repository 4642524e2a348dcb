"""How well a small policy learns from what is generated: success in the simulator, from starts that it never saw.

Usage: python -m benchmarks.learn WORKSPACE SCENE [--skills pick_place] [--episodes 100 200] [--trials 50]

Plans, simulates and gates episodes of a copy of a settled scene with the project's own stages (nothing is drawn), trains the baseline
(:mod:`blueprint_pipeline.policy`) on the columns that a dataset of the kept ones would have, and tries it in their replay kit from held-out
starts of objects that are demonstrated, as ``bpp policy evaluate`` does. Prints successes with Wilson's interval, and what was missed most.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from blueprint_pipeline.dataset.frames import load_frames
from blueprint_pipeline.delivery.bag import PayloadFile, write_payload
from blueprint_pipeline.delivery.kit_starts import dump_starts
from blueprint_pipeline.delivery.replay_kit import KIT_FOLDER, describe_job, list_kit_files
from blueprint_pipeline.episode.reader import load_record, planned_episodes
from blueprint_pipeline.episode.record import EpisodeRecord, recording_path
from blueprint_pipeline.kit.starts import STARTS, load_starts
from blueprint_pipeline.policy.baseline import BaselinePolicy, train_baseline
from blueprint_pipeline.policy.columns import COLUMNS, Episode, TeachingSet
from blueprint_pipeline.policy.evaluate import describe_evaluation, evaluate, find_kit
from blueprint_pipeline.quality.report import load_gate_report
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.layout import layout_of
from blueprint_pipeline.robot.names import DEFAULT_ROBOT
from blueprint_pipeline.settings import RegistrySettings, Settings, WorkspaceSettings, load_settings
from blueprint_pipeline.simulators import TWIN_PATH
from blueprint_pipeline.stage.flow import stages_of
from blueprint_pipeline.stage.runner import run_stage
from blueprint_pipeline.task.plan import JobPlan, load_plan
from blueprint_pipeline.task.skills import SKILLS
from blueprint_pipeline.twin.model import build_scene_model
from blueprint_pipeline.twin.robot_cameras import RobotCameras
from blueprint_pipeline.workspace.storage import SceneFolder, Workspace


@dataclass(frozen=True)
class Kept:
    """A kept episode."""

    record: EpisodeRecord
    states: Path


def load_kept(scene: SceneFolder, plan: JobPlan) -> list[Kept]:
    """Every kept episode, in the plan's order."""
    kept = set(load_gate_report(scene).with_verdict("kept"))
    folders = [scene.local(recording_path(shard, spec.episode_id)) for shard, spec in planned_episodes(plan) if spec.episode_id in kept]
    return [Kept(load_record(folder), folder / "states.parquet") for folder in folders]


def read_columns(kept: list[Kept]) -> TeachingSet:
    """What a dataset of these episodes would hold for the baseline."""
    record = kept[0].record
    arms, cameras = layout_of(load_embodiment(record.robot.embodiment)), RobotCameras(record.robot)
    frames = [load_frames(item.states, item.record, arms, cameras) for item in kept]
    episodes = [Episode(sentence=item.task, vectors={name: item.vectors[name].astype(float) for name in COLUMNS}) for item in frames]
    return TeachingSet(object_ids=record.object_ids, episodes=tuple(episodes))


def write_kit(folder: Path, scene: SceneFolder, plan: JobPlan, kept: list[Kept]) -> None:
    """The kit of a bundle of these episodes, without the episodes; its held-out starts are of objects that are demonstrated."""
    targets = {item.record.spec.task.target_object for item in kept}
    held_out = [spec for spec in plan.held_out if spec.task.target_object in targets]
    mjcf = scene.local("mjcf")
    chosen = plan.model_copy(update={"held_out": tuple(held_out)})
    files = list_kit_files(mjcf, plan.robot, describe_job(chosen, [item.record for item in kept], None))
    model = build_scene_model(mjcf.parent / TWIN_PATH, plan.robot, plan.fps)
    starts = dump_starts([(item.record, item.states) for item in kept], held_out, model)
    write_payload(folder, [*files, PayloadFile(f"{KIT_FOLDER}/{STARTS}", starts)])
    print(f"{len(held_out)} of {len(plan.held_out)} held-out starts are of objects that are demonstrated: {', '.join(sorted(targets))}")


def generate(settings: Settings, chosen: argparse.Namespace) -> None:
    """Plan, simulate and gate in a workspace that has the settled scene."""
    job = {"robot": chosen.robot, "skills": chosen.skills, "episodes": chosen.attempts, "shard_size": chosen.attempts}
    stages: Mapping[str, Mapping[str, object]] = {
        "plan_tasks": job | {"seed": chosen.seed, "held_out": chosen.trials},
        "simulate_shard": {"shard_index": 0},
        "import_episodes": {},
        "gate_episodes": {},
    }
    for stage, request in stages.items():
        run_stage(stage, {"scene_id": chosen.scene, **request}, settings)


def main(arguments: list[str]) -> None:
    """Generate, train and evaluate, on a copy of the scene."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("scene")
    parser.add_argument("--episodes", type=int, nargs="+", default=[100, 200], help="kept ones to train on")
    parser.add_argument("--attempts", type=int, default=215)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="of the job; choose another one to tune on")
    parser.add_argument("--steps", type=int, default=500, help="of training a network")
    parser.add_argument("--robot", default=DEFAULT_ROBOT)
    parser.add_argument("--skills", choices=sorted(SKILLS), nargs="+", default=["pick_place"], help="episodes are dealt out among them")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        borrow_scene(chosen.workspace, chosen.scene, Path(folder) / "workspace")
        learn(chosen, Path(folder))


def borrow_scene(workspace: Path, scene_id: str, borrowed: Path) -> None:
    """Copy what the scene stages made into a workspace of its own: the jobs and deliveries of the lender stay as they are."""
    scene_stages = {row.name for row in stages_of("scene")}

    def left_behind(folder: str, names: list[str]) -> set[str]:
        if Path(folder).name == "commits":
            return {name for name in names if name.partition(".")[0] not in scene_stages}
        return {*names} & {"geniesim", "deliveries", ".staging"} if Path(folder).name == scene_id else set()

    shutil.copytree(workspace / "scenes" / scene_id, borrowed / "scenes" / scene_id, ignore=left_behind)


def learn(chosen: argparse.Namespace, folder: Path) -> None:
    """Generate in the workspace of this folder, train and evaluate; print a line for each number of episodes."""
    settings = Settings(
        workspace=WorkspaceSettings(url=str(folder / "workspace"), cache_dir=load_settings().workspace.cache_dir),
        registry=RegistrySettings(url=f"sqlite:///{folder}/registry.db"),
    )
    generate(settings, chosen)
    scene = Workspace(settings.workspace).scene(chosen.scene)
    plan = load_plan(scene)
    kept = load_kept(scene, plan)
    sentences = {item.record.spec.task.instruction for item in kept}
    print(f"{len(kept)} of {chosen.attempts} attempts kept; {len(sentences)} different sentences")
    for count in chosen.episodes:
        bundle = folder / f"bundle_{count}"
        write_kit(bundle, scene, plan, kept[:count])
        report(kept[:count], find_kit(bundle), steps=chosen.steps)


def report(shown: list[Kept], kit: Path, *, steps: int) -> None:
    """Train on some kept episodes, try the policy, and print how it did."""
    started = time.process_time()
    policy = BaselinePolicy(train_baseline(read_columns(shown), kit, steps=steps), kit)
    trained_s = time.process_time() - started
    trials = sum(not start.delivered for start in load_starts(kit).values())
    found = evaluate(kit, policy, name="baseline", trials=trials)
    print(f"{len(shown)} episodes (trained in {trained_s:.0f} CPU s): {describe_evaluation(found)}")


if __name__ == "__main__":
    main(sys.argv[1:])
