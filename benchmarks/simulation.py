"""CPU seconds of state-only generation: plan, simulate, write, per attempted episode.

Usage: python -m benchmarks.simulation WORKSPACE SCENE [EPISODES]

The scene must have a plan (``bpp stage run plan_tasks``). Everything runs in this process, after one episode that is
not counted (it loads the planner). CPU time, never wall time: other load on the machine still shows, through shared caches.
"""

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import mujoco

from blueprint_pipeline.rollout.shard_work import ShardWork
from blueprint_pipeline.rollout.worker import Worker, build_worker, write_attempt
from blueprint_pipeline.simulators import TWIN_PATH
from blueprint_pipeline.task.plan import JobPlan
from blueprint_pipeline.task.spec import EpisodeSpec
from blueprint_pipeline.twin.model import build_scene_model


@dataclass(frozen=True)
class Cost:
    """What one attempt took."""

    cpu_s: float
    frames: int


def open_worker(scene: Path, folder: Path) -> tuple[Worker, JobPlan]:
    """A worker for the scene's job that has planned its first episode and knows the grasps of every target; it writes to the folder."""
    plan = JobPlan.model_validate_json((scene / "geniesim/plan.json").read_bytes())
    work = ShardWork(
        scene=scene,
        scene_id=scene.name,
        job_id=plan.job_id,
        shard_index=0,
        fps=plan.fps,
        robot=plan.robot,
        output=folder / "recordings",
        usage=folder / "usage",
        cache_dir=folder / "cache",
        machine="local_laptop",
        side_by_side=1,
    )
    work.usage.mkdir()
    worker = build_worker(work, build_scene_model(scene / TWIN_PATH, plan.robot, plan.fps))
    for arm, target in {(episode.arm, episode.task.target_object) for episode in plan.episodes}:
        worker.controllers[arm].planner.grasps_of(target)
    attempt(worker, plan.episodes[0])
    return worker, plan


def attempt(worker: Worker, spec: EpisodeSpec) -> Cost:
    """Plan, simulate and write one episode."""
    started = time.process_time()
    summary = write_attempt(worker, spec).summary
    cost = Cost(time.process_time() - started, summary.frames)
    print(f"{summary.episode_id} {spec.task.target_object:20s} {cost.cpu_s:.3f} CPU s {cost.frames} frames {summary.failure or 'success'}")
    return cost


def main(workspace: str, scene_id: str, episodes: int = 8) -> None:
    """Print one line an episode and a summary."""
    started = time.process_time()
    scene = Path(workspace) / "scenes" / scene_id
    with tempfile.TemporaryDirectory() as folder:
        worker, plan = open_worker(scene, Path(folder))
        print(f"start: {time.process_time() - started:.2f} CPU s (imports apart), grasps of all targets included")
        costs = [attempt(worker, spec) for spec in plan.episodes[1 : episodes + 1]]
    cpu_s = sum(cost.cpu_s for cost in costs)
    simulated_s = sum(cost.frames for cost in costs) / plan.fps
    print(f"{len(costs)} episodes, {simulated_s / len(costs):.1f} s each: {cpu_s / len(costs):.3f} CPU s an episode")
    bare = _bare_physics_s(scene, plan, simulated_s)
    print(f"{simulated_s / cpu_s:.1f} x real time per core; {cpu_s / bare:.1f} times what MuJoCo's steps alone take")


def _bare_physics_s(scene: Path, plan: JobPlan, simulated_s: float) -> float:
    """CPU seconds of as many steps of the same model at its first state, and nothing else: the peer."""
    model = build_scene_model(scene / TWIN_PATH, plan.robot, plan.fps).model
    data = mujoco.MjData(model)
    started = time.process_time()
    mujoco.mj_step(model, data, nstep=round(simulated_s / model.opt.timestep))
    return time.process_time() - started


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *(int(value) for value in sys.argv[3:4]))
