"""How well a small policy learns from what is generated: success in the simulator, from starts that it never saw.

Usage: python -m benchmarks.learn WORKSPACE SCENE [--skills pick_place] [--episodes 100 200] [--trials 50]

Plans, simulates and gates episodes of a copy of a settled scene with the project's own stages (nothing is drawn), trains a policy on the
CPU by behaviour cloning on the kept ones (:mod:`benchmarks.learning`), and lets it act from held-out starts: episodes of a plan with
another seed, of objects that are demonstrated, judged by the skill's own success predicate. The policy sees the tool's pose, the gripper's
opening, the objects' poses and the sentence. Prints successes with Wilson's interval, and what was missed most.
"""

import argparse
import math
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.learning.observation import Reader, Sentence, read_sentence
from benchmarks.learning.policy import Demonstration, Policy, knots_of, rests, train_policy
from benchmarks.learning.trial import run_trial
from blueprint_pipeline.episode.arrays import EpisodeArrays
from blueprint_pipeline.episode.reader import check_states, load_record, planned_episodes
from blueprint_pipeline.episode.record import recording_path
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.quality.report import load_gate_report
from blueprint_pipeline.robot.names import DEFAULT_ROBOT
from blueprint_pipeline.rollout.shard_work import ShardWork
from blueprint_pipeline.rollout.worker import Worker, build_worker
from blueprint_pipeline.settings import RegistrySettings, Settings, WorkspaceSettings, load_settings
from blueprint_pipeline.simulators import TWIN_PATH
from blueprint_pipeline.stage.flow import stages_of
from blueprint_pipeline.stage.runner import run_stage
from blueprint_pipeline.task.plan import PLAN_PATH, JobPlan
from blueprint_pipeline.task.skills import SKILLS
from blueprint_pipeline.task.spec import EpisodeSpec
from blueprint_pipeline.twin.model import build_scene_model
from blueprint_pipeline.workspace.storage import SceneFolder, Workspace

TRAINING_SEED, TRIAL_SEED = 0, 1_000_003
_STILL = 1e-5
"""Change of a command [rad, m] up to which nothing is commanded."""
_CONFIDENT = 1.959964
"""Standard deviations of a 95 % interval."""


def wilson(held: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference" (1927).
    """
    share, square = held / of, _CONFIDENT**2
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = _CONFIDENT * math.sqrt(share * (1 - share) / of + square / (4 * of**2)) / (1 + square / of)
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True)
class Generator:
    """The project's own stages, in a workspace that has the settled scene."""

    settings: Settings
    scene_id: str
    robot: str
    skills: tuple[str, ...]

    def plan(self, episodes: int, seed: int) -> JobPlan:
        """Plan a job of one shard, and read it."""
        chosen = {"robot": self.robot, "skills": self.skills}
        self._run("plan_tasks", {**chosen, "episodes": episodes, "shard_size": episodes, "seed": seed})
        return load_plan(Workspace(self.settings.workspace).scene(self.scene_id))

    def simulate(self) -> None:
        """Simulate, import and gate what was planned."""
        for stage, request in (("simulate_shard", {"shard_index": 0}), ("import_episodes", {}), ("gate_episodes", {})):
            self._run(stage, request)

    def _run(self, stage: str, request: Mapping[str, object]) -> None:
        run_stage(stage, {"scene_id": self.scene_id, **request}, self.settings)


def load_plan(scene: SceneFolder) -> JobPlan:
    """The plan that lies in a scene's folder."""
    return JobPlan.model_validate_json(scene.read_bytes(PLAN_PATH))


@dataclass(frozen=True)
class Kept:
    """A kept episode."""

    target: str
    sentence: str
    arrays: EpisodeArrays
    object_ids: tuple[str, ...]


def load_kept(scene: SceneFolder) -> list[Kept]:
    """Every kept episode, in the plan's order."""
    kept = set(load_gate_report(scene).with_verdict("kept"))
    found = []
    for shard, spec in planned_episodes(load_plan(scene)):
        if spec.episode_id in kept:
            folder = scene.local(recording_path(shard, spec.episode_id))
            record = load_record(folder)
            arrays, findings = check_states(folder / "states.parquet", record)
            if arrays is None:
                raise SystemExit(f"{spec.episode_id}: {findings}")
            found.append(Kept(spec.task.target_object, spec.task.instruction, arrays, record.object_ids))
    return found


def moving_rows(arrays: EpisodeArrays) -> NDArray[np.int64]:
    """Frames whose command differs from the one before: who copies waiting waits for ever.

    Source: Kim et al., "OpenVLA" (2024), section 5: frames in which nothing is commanded are left out of training.
    """
    commands = np.concatenate([arrays.robot_command[:-1], arrays.gripper_command_m[:-1]], axis=1)
    moved = np.abs(np.diff(commands, axis=0, prepend=commands[:1] + 1.0)).max(axis=1) > _STILL
    return np.flatnonzero(moved)


def demonstrate(episodes: list[Kept], planner: MotionScene) -> tuple[Reader, list[Demonstration]]:
    """What a lab would make of the delivered columns of so many episodes."""
    object_ids = episodes[0].object_ids
    sentences = [read_sentence(item.sentence, object_ids) for item in episodes]
    vocabulary = tuple(sorted({word for sentence in sentences for word in sentence.words}))
    reader = Reader(planner.pose_world_base, object_ids, vocabulary)
    return reader, [_demonstrate(reader, sentence, item.arrays, planner) for sentence, item in zip(sentences, episodes, strict=True)]


def _demonstrate(reader: Reader, sentence: Sentence, arrays: EpisodeArrays, planner: MotionScene) -> Demonstration:
    """The same of one episode."""
    rows = moving_rows(arrays)
    tools = np.stack([planner.kinematics.forward(command) for command in arrays.robot_command[rows]])
    ends = rests(arrays.robot_command[rows])
    starts = np.insert(ends[:-1] + 1, 0, 0)
    first = rows[starts]
    return Demonstration(
        frames=reader.frames(arrays.ee_pose[first, 0], arrays.gripper_width_m[first, 0], arrays.object_poses[first], sentence),
        command_m=knots_of(starts, ends, tools[:, :3, 3]),
        command_turn=knots_of(starts, ends, tools[:, :3, :3]),
        command_width_m=knots_of(starts, ends, arrays.gripper_command_m[rows, 0]),
        duration=(ends - starts + 1).astype(np.float64),
    )


def evaluate(worker: Worker, reader: Reader, policy: Policy, specs: Sequence[EpisodeSpec]) -> tuple[int, Counter[str]]:
    """How many held-out starts end in success, and which condition the others missed first."""
    held, missed = 0, Counter[str]()
    for spec in specs:
        checks = run_trial(worker, reader, policy, spec).checks()
        first = next((check.name for check in checks if not check.held), None)
        held += first is None
        if first is not None:
            missed[first] += 1
        print(f"  {spec.task.instruction!r}: {'success' if first is None else f'missed {first}'}", flush=True)
    return held, missed


def build_trial_worker(scene: SceneFolder, plan: JobPlan, folder: Path, cache_dir: Path) -> Worker:
    """The project's own worker, to act in."""
    return build_worker(
        ShardWork(
            scene=scene.local("mjcf").parent,
            scene_id=plan.scene_id,
            job_id=plan.job_id,
            shard_index=0,
            fps=plan.fps,
            robot=plan.robot,
            output=folder / "recordings",
            usage=folder / "usage",
            cache_dir=cache_dir,
            machine="local_laptop",
            side_by_side=1,
        ),
        build_scene_model(scene.local("mjcf").parent / TWIN_PATH, plan.robot, plan.fps),
    )


def main(arguments: list[str]) -> None:
    """Generate, train and evaluate, on a copy of the scene."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("scene")
    parser.add_argument("--episodes", type=int, nargs="+", default=[100, 200], help="kept ones to train on")
    parser.add_argument("--attempts", type=int, default=215)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--trial-seed", type=int, default=TRIAL_SEED, help="choose another one to tune on")
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
    scene = Workspace(settings.workspace).scene(chosen.scene)
    generator = Generator(settings, chosen.scene, chosen.robot, tuple(chosen.skills))
    trials = generator.plan(chosen.trials, chosen.trial_seed)
    generator.plan(chosen.attempts, TRAINING_SEED)
    generator.simulate()
    kept = load_kept(scene)
    print(f"{len(kept)} of {chosen.attempts} attempts kept; {len({item.sentence for item in kept})} different sentences")
    worker = build_trial_worker(scene, trials, folder, settings.workspace.cache_dir)
    for count in chosen.episodes:
        report(kept[:count], trials, worker, steps=chosen.steps)


def report(shown: list[Kept], trials: JobPlan, worker: Worker, *, steps: int) -> None:
    """Train on some kept episodes, try the policy, and print how it did."""
    targets = {item.target for item in shown}
    held_out = [spec for spec in trials.episodes if spec.task.target_object in targets]
    named, all_trials = ", ".join(sorted(targets)), len(trials.episodes)
    if not held_out:
        raise SystemExit(f"none of {all_trials} held-out starts is of an object that is demonstrated: {named}")
    print(f"{len(held_out)} of {all_trials} held-out starts are of objects that are demonstrated: {named}")
    started = time.process_time()
    reader, data = demonstrate(shown, worker.controllers[trials.episodes[0].arm].planner)
    policy = train_policy(data, steps=steps, seed=0)
    trained_s = time.process_time() - started
    held, missed = evaluate(worker, reader, policy, held_out)
    low, high = wilson(held, len(held_out))
    print(
        f"{len(shown)} episodes (trained in {trained_s:.0f} CPU s): {held} of "
        f"{len(held_out)} held-out starts succeed, {held / len(held_out):.0%} (95 % interval {low:.0%} to "
        f"{high:.0%}); missed first: {dict(missed.most_common())}"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
