"""CPU seconds of state-only generation: plan, simulate, write, per attempted episode.

Usage: python -m benchmarks.simulation WORKSPACE SCENE [EPISODES]

The scene must have a plan (``bpp stage run plan_tasks``). Everything runs in this process, after one episode that is
not counted (it loads the planner). CPU time, never wall time: other load on the machine still shows, through shared caches.
"""

import sys
import tempfile
import time
from pathlib import Path

import mujoco

from blueprint_pipeline.rollout.shard_work import ShardWork
from blueprint_pipeline.rollout.worker import Worker, build_worker, write_attempt
from blueprint_pipeline.simulators import TWIN_PATH
from blueprint_pipeline.task.plan import JobPlan
from blueprint_pipeline.task.spec import EpisodeSpec
from blueprint_pipeline.twin.model import build_scene_model


def main(workspace: str, scene_id: str, episodes: int = 8) -> None:
    """Print one line an episode and a summary."""
    started = time.process_time()
    scene = Path(workspace) / "scenes" / scene_id
    plan = JobPlan.model_validate_json((scene / "geniesim/plan.json").read_bytes())
    with tempfile.TemporaryDirectory() as folder:
        work = ShardWork(
            scene=scene,
            scene_id=scene_id,
            job_id=plan.job_id,
            shard_index=0,
            fps=plan.fps,
            robot=plan.robot,
            output=Path(folder) / "recordings",
            usage=Path(folder) / "usage",
            cache_dir=Path(folder) / "cache",
            machine="local_laptop",
            side_by_side=1,
        )
        work.usage.mkdir()
        worker = build_worker(work, build_scene_model(scene / TWIN_PATH, plan.robot, plan.fps))
        chosen = plan.episodes[: episodes + 1]
        for arm, target in {(episode.arm, episode.task.target_object) for episode in chosen}:
            worker.controllers[arm].planner.grasps_of(target)
        _attempt(worker, chosen[0])
        print(f"start: {time.process_time() - started:.2f} CPU s (imports apart), grasps of all targets included")
        seconds, frames = zip(*(_attempt(worker, spec) for spec in chosen[1:]), strict=True)
    simulated = sum(frames) / plan.fps
    print(f"{len(seconds)} episodes, {simulated / len(seconds):.1f} s each: {sum(seconds) / len(seconds):.3f} CPU s an episode")
    bare = _bare_physics_s(work, simulated)
    print(f"{simulated / sum(seconds):.1f} x real time per core; {sum(seconds) / bare:.1f} times what MuJoCo's steps alone take")


def _bare_physics_s(work: ShardWork, simulated_s: float) -> float:
    """CPU seconds of as many steps of the same model at its first state, and nothing else: the peer."""
    model = build_scene_model(work.scene / TWIN_PATH, work.robot, work.fps).model
    data = mujoco.MjData(model)
    started = time.process_time()
    mujoco.mj_step(model, data, nstep=round(simulated_s / model.opt.timestep))
    return time.process_time() - started


def _attempt(worker: Worker, spec: EpisodeSpec) -> tuple[float, int]:
    started = time.process_time()
    summary = write_attempt(worker, spec).summary
    seconds = time.process_time() - started
    print(f"{summary.episode_id} {spec.task.target_object:20s} {seconds:.3f} CPU s {summary.frames} frames {summary.failure or 'success'}")
    return seconds, summary.frames


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *(int(value) for value in sys.argv[3:4]))
