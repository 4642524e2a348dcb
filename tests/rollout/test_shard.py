"""Tests of shards: every attempt is kept, a kill loses at most the attempt in flight, and nothing is done twice."""

import os
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest

from blueprint_pipeline.episode.record import EpisodeRecord, EpisodeUsage, recording_path, usage_path
from blueprint_pipeline.errors import PreemptedError
from blueprint_pipeline.render.replay import replay_episode
from blueprint_pipeline.rollout.shard import simulate_shard
from blueprint_pipeline.rollout.shard_work import ShardWork
from blueprint_pipeline.rollout.worker import build_worker, write_attempt
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.simulators import TWIN_PATH
from blueprint_pipeline.task.plan import PLAN_PATH, JobPlan, dump_plan
from blueprint_pipeline.twin.model import build_scene_model
from blueprint_pipeline.workspace.errors import FileMissing
from tests.quality import synthetic
from tests.simulation.small_job import small_context, small_folder, write_job

pytestmark = pytest.mark.slow

EPISODES = 3


@pytest.fixture(scope="module")
def job(tmp_path_factory) -> tuple[Path, JobPlan]:
    """A planned job, simulated by one worker."""
    folder = tmp_path_factory.mktemp("job")
    plan = write_job(folder, EPISODES)
    simulate_shard(0, small_context(folder))
    return folder, plan


def contents(folder: Path) -> dict[str, str]:
    """Every recorded file's digest."""
    root = small_folder(folder)
    found = {}
    for name in root.files_under("geniesim/recordings"):
        found[name] = sha256(root.read_bytes(name)).hexdigest()
    return found


def records(folder: Path, plan: JobPlan) -> list[EpisodeRecord]:
    root = small_folder(folder)
    return [
        EpisodeRecord.model_validate_json(root.read_bytes(f"{recording_path(0, spec.episode_id)}/episode.json")) for spec in plan.episodes
    ]


def test_every_planned_episode_is_recorded(job) -> None:
    """With its outcome, phases that cover all frames, and every condition of the predicate."""
    for record in records(*job):
        assert record.outcome.success
        assert [check.held for check in record.outcome.predicate] == [True] * 7
        assert record.phases[0].start_frame == 0
        assert record.phases[-1].end_frame == record.frames
        assert all(before.end_frame == after.start_frame for before, after in zip(record.phases, record.phases[1:], strict=False))
        usage = EpisodeUsage.model_validate_json(small_folder(job[0]).read_bytes(usage_path(0, record.episode_id)))
        assert 0 < usage.cpu_simulate_s < 5


def test_recorded_episodes_replay(job) -> None:
    """In a simulator of its own, bit by bit."""
    folder, plan = job
    simulator = MujocoSimulator()
    loaded = simulator.load(folder / "workspace/scenes/small", plan.robot, plan.fps)
    for record in records(folder, plan):
        states = small_folder(folder).local(f"{recording_path(0, record.episode_id)}/states.parquet")
        assert replay_episode(simulator, loaded, record, states).replayed


def test_other_processes_and_orders_give_the_same_bytes(job, tmp_path) -> None:
    """Two workers, and this process from the last episode to the first."""
    folder, plan = job
    write_job(tmp_path, EPISODES)
    simulate_shard(0, small_context(tmp_path, workers=2))
    assert contents(tmp_path) == contents(folder)
    root = folder / "workspace/scenes/small"
    work = ShardWork(
        scene=root,
        scene_id=plan.scene_id,
        job_id=plan.job_id,
        shard_index=0,
        fps=plan.fps,
        robot=plan.robot,
        output=tmp_path / "again",
        usage=tmp_path / "usage",
        cache_dir=folder / "cache",
        machine="local_laptop",
        side_by_side=1,
    )
    work.usage.mkdir()
    worker = build_worker(work, build_scene_model(root / TWIN_PATH, plan.robot, plan.fps))
    for spec in reversed(plan.episodes):
        write_attempt(worker, spec)
        states = (tmp_path / "again" / spec.episode_id / "states.parquet").read_bytes()
        assert sha256(states).hexdigest() == contents(folder)[f"{recording_path(0, spec.episode_id)}/states.parquet"]


def test_finished_episodes_are_not_made_again(job, monkeypatch) -> None:
    """A second run starts no worker; it says what it kept, and what that took."""
    folder, plan = job
    before = {path: path.stat().st_mtime_ns for path in (folder / "workspace").rglob("*.parquet")}
    monkeypatch.setattr("blueprint_pipeline.stage.pool.ProcessPoolExecutor", None)
    context = small_context(folder)
    summaries = simulate_shard(0, context)
    assert [kept.folder for kept in context.kept] == [recording_path(0, spec.episode_id) for spec in plan.episodes]
    for kept, spec in zip(context.kept, plan.episodes, strict=True):
        usage = EpisodeUsage.model_validate_json(small_folder(folder).read_bytes(usage_path(0, spec.episode_id)))
        assert usage.cpu_plan_s + usage.cpu_simulate_s <= kept.usage.cpu_s < 2 * kept.usage.wall_s
        assert kept.machine == "local_laptop"
    assert [summary.success for summary in summaries] == [True] * EPISODES
    assert {path: path.stat().st_mtime_ns for path in (folder / "workspace").rglob("*.parquet")} == before


@pytest.mark.parametrize("damaged", ["states", "usage"])
def test_damaged_episode_is_made_again(job, damaged) -> None:
    """A file that is not what its record says is replaced, and so is the account of what the attempt took; the others stay."""
    folder, plan = job
    before, episode_id = contents(folder), plan.episodes[1].episode_id
    name = f"{recording_path(0, episode_id)}/states.parquet" if damaged == "states" else usage_path(0, episode_id)
    small_folder(folder).write_bytes(name, b"")
    context = small_context(folder)
    simulate_shard(0, context)
    assert len(context.kept) == EPISODES - 1
    assert contents(folder) == before


def test_sigterm_stops_between_episodes(tmp_path) -> None:
    """What is finished is published; the run after it does the rest."""
    write_job(tmp_path, EPISODES)
    asked: list[bool] = []

    def stop_after_first() -> bool:
        asked.append(True)
        return len(asked) > 1

    with pytest.raises(PreemptedError):
        simulate_shard(0, small_context(tmp_path, is_stopping=stop_after_first))
    assert len(list((tmp_path / "workspace").rglob("episode.json"))) == 1
    simulate_shard(0, small_context(tmp_path))
    assert len(list((tmp_path / "workspace").rglob("episode.json"))) == EPISODES


def test_killed_shard_resumes_with_the_same_bytes(job, tmp_path) -> None:
    """SIGKILL in the middle: finished episodes stay as they are, the others come out as without the kill; no worker lives on."""
    folder, _ = job
    write_job(tmp_path, EPISODES)
    script = (
        "from pathlib import Path\nfrom blueprint_pipeline.rollout.shard import simulate_shard\n"
        "from tests.simulation.small_job import small_context\n"
        f"if __name__ == '__main__':\n    simulate_shard(0, small_context(Path({str(tmp_path)!r})))\n"
    )
    path = tmp_path / "run.py"
    path.write_text(script)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen([sys.executable, str(path)], env=environment)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "workspace").glob("scenes/small/geniesim/**/episode.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    finished = {found: found.stat().st_mtime_ns for found in (tmp_path / "workspace").glob("scenes/small/geniesim/**/states.parquet")}
    assert 1 <= len(finished) < EPISODES
    simulate_shard(0, small_context(tmp_path))
    assert contents(tmp_path) == contents(folder)
    assert all(found.stat().st_mtime_ns == stamp for found, stamp in finished.items())


def test_unknown_shard_is_refused(job) -> None:
    """By the file that the plan does not have."""
    with pytest.raises(FileMissing, match=r"geniesim/plan/shard_0003\.json"):
        simulate_shard(3, small_context(job[0]))


def test_the_plan_of_a_shard_has_its_episodes_alone() -> None:
    """All of the rest is the job's: together the shards are the whole, in its order."""
    plan = synthetic.build_plan([synthetic.build_spec(index) for index in range(5)], shard_size=2)
    parts = [JobPlan.model_validate_json(data) for name, data in dump_plan(plan).items() if name != PLAN_PATH]
    assert [len(part.episodes) for part in parts] == [2, 2, 1]
    assert tuple(spec for part in parts for spec in part.episodes) == plan.episodes
    assert tuple(ref for part in parts for ref in part.shards) == plan.shards
    alike = {"episodes": (), "shards": ()}
    assert all(part.model_copy(update=alike) == plan.model_copy(update=alike) for part in parts)
