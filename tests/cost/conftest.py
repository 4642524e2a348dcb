"""A small run: one plan of two shards, four attempts, two kept, and a commit of every stage before price_run."""

from datetime import UTC, datetime, timedelta

import pytest

from blueprint_pipeline.cost.pricing import RunFacts
from blueprint_pipeline.episode.record import EpisodeRecord, EpisodeUsage
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.robot.placement import RobotPlacement
from blueprint_pipeline.simulation.protocol import Capabilities, SimulatorInfo
from blueprint_pipeline.skill.pick_place import PickPlaceTask
from blueprint_pipeline.stage.flow import stages_before
from blueprint_pipeline.task.outcome import Outcome
from blueprint_pipeline.task.plan import JobPlan, ShardRef
from blueprint_pipeline.task.spec import EpisodeSpec
from blueprint_pipeline.workspace.canonical import key_of
from blueprint_pipeline.workspace.checksums import FileDigest
from blueprint_pipeline.workspace.commits import Commit, UnitUsage, Usage
from tests.regions import square_about

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
ORIGIN = Pose(position_m=(0.0, 0.0, 0.0), quat_wxyz=(1.0, 0.0, 0.0, 0.0))
ROBOT = RobotPlacement(embodiment="franka_panda", base_pose=ORIGIN)
TASK = PickPlaceTask(
    instruction="put it there",
    target_object="can",
    support_object="table",
    region_m=square_about(0.0, 0.0),
    center_object_m=(0.0, 0.0, 0.0),
    goal_position_m=(0.0, 0.0, 0.0),
    upright=True,
)


def make_usage(**changes):
    return Usage(**{"wall_s": 36.0, "cpu_s": 72.0, "peak_memory_bytes": 2**30, "bytes_read": 100, "bytes_written": 200, **changes})


def make_commit(stage="settle_scene", shard_index=None, minute=0, machine="local_laptop", **usage):
    unit = "" if shard_index is None else f"{shard_index:04d}"
    return Commit(
        key=key_of({"stage": stage, "unit": unit}),
        stage=stage,
        unit=unit,
        scene_id="kitchen",
        request={"scene_id": "kitchen"} if shard_index is None else {"scene_id": "kitchen", "shard_index": shard_index},
        result={},
        inputs={},
        outputs={f"{stage}/{unit}.json": FileDigest(sha256="0" * 64, size_bytes=2**20)},
        code_version="0.1.0+abc",
        packages={"mujoco": "4.0.0"},
        image_digest=None,
        machine=machine,
        started_at=NOON,
        finished_at=NOON + timedelta(minutes=minute),
        usage=make_usage(**usage),
    )


def make_spec(index):
    return EpisodeSpec(
        episode_index=index, episode_id=f"ep_{index}", seed=index, arm="arm", task=TASK, object_poses={"can": ORIGIN}, robot_qpos=(0.0,) * 7
    )


def make_unit(**usage):
    """What making one of two episodes of a shard took."""
    return UnitUsage(machine="local_laptop", finished_at=NOON, usage=make_usage(**{"wall_s": 18.0, "cpu_s": 36.0, **usage}))


def make_usage_of(index, cpu_plan_s=1.0, cpu_simulate_s=3.0):
    return EpisodeUsage(episode_id=f"ep_{index}", cpu_plan_s=cpu_plan_s, cpu_simulate_s=cpu_simulate_s, made=make_unit())


def make_episode(index, shard_index):
    return EpisodeRecord(
        scene_id="kitchen",
        job_id="job-1",
        shard_index=shard_index,
        episode_id=f"ep_{index}",
        spec=make_spec(index),
        robot=ROBOT,
        fps=30,
        frames=0,
        duration_s=0.0,
        object_ids=("can",),
        phases=(),
        outcome=Outcome(success=True, failure_stage=None, failure_code=None, failure_reason=None, predicate=()),
        simulator=SimulatorInfo(name="mujoco", version="4.0.0", timestep_s=1 / 480, substeps=16),
        capabilities=Capabilities(deterministic=True, restores_state=True, renders=True, contacts=True, varies=True),
        controller="test",
        model_sha256="0" * 64,
        states=None,
        origins={},
    )


@pytest.fixture
def plan():
    return JobPlan(
        job_id="job-1",
        scene_id="kitchen",
        seed=0,
        fps=30,
        robot=ROBOT,
        cameras=("scene",),
        width=320,
        height=240,
        shards=(ShardRef(shard_index=0, episode_indices=(0, 1)), ShardRef(shard_index=1, episode_indices=(2, 3))),
        episodes=tuple(make_spec(index) for index in range(4)),
    )


@pytest.fixture
def commits():
    rows = stages_before("price_run")
    return [make_commit(row.name, shard_index) for row in rows for shard_index in ((0, 1) if row.sharded else (None,))]


@pytest.fixture
def run(plan, commits):
    episodes = [make_episode(index, index // 2) for index in range(4)]
    usages = {episode.episode_id: make_usage_of(index) for index, episode in enumerate(episodes)}
    return RunFacts(plan=plan, commits=commits, episodes=episodes, usages=usages, kept=frozenset({"ep_0", "ep_3"}))
