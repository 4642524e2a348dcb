"""Episodes that are derived from demonstrations: simulated, judged and replayed as all others, and each names its source."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from blueprint_pipeline.cli.app import app
from blueprint_pipeline.episode.arrays import load_arrays
from blueprint_pipeline.episode.demonstrate import NotDemonstrable, build_demonstration, find_undemonstrable
from blueprint_pipeline.episode.record import EpisodeRecord, recording_path
from blueprint_pipeline.geometry.transforms import matrix_of
from blueprint_pipeline.job.demonstrations import DemonstrationsUnreadable, digest_demonstrations, load_demonstrations
from blueprint_pipeline.job.deriving import DemonstrationDoesNotFit
from blueprint_pipeline.job.planning import plan_job
from blueprint_pipeline.render.replay import replay_episode
from blueprint_pipeline.rollout.shard import simulate_shard
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.skill.pick_place import SKILL as PICK_PLACE
from blueprint_pipeline.task.demonstration import SourceDemonstration
from blueprint_pipeline.task.outcome import Recovery
from blueprint_pipeline.task.plan import JobPlan, dump_plan, load_shard_plan
from tests.simulation.small_job import small_context, small_folder, small_options, task_scene, write_job

pytestmark = pytest.mark.slow

TIMES = 3


def load(folder: Path, shard: int, name: str) -> EpisodeRecord:
    return EpisodeRecord.model_validate_json(small_folder(folder).read_bytes(f"{recording_path(shard, name)}/episode.json"))


def arrays_of(folder: Path, shard: int, record: EpisodeRecord):
    path = small_folder(folder).local(f"{recording_path(shard, record.episode_id)}/states.parquet")
    return load_arrays(path, frames=record.frames, n_objects=len(record.object_ids), n_parts=len(record.joint_columns))


@pytest.fixture(scope="module")
def job(tmp_path_factory) -> tuple[Path, JobPlan, tuple[SourceDemonstration, ...]]:
    """A planned job of two episodes, and three episodes that are derived from each of them; all simulated by two workers."""
    folder = tmp_path_factory.mktemp("derived")
    first = write_job(folder, 2)
    simulate_shard(0, small_context(folder))
    found = [load(folder, 0, spec.episode_id) for spec in first.episodes]
    demonstrations = tuple(build_demonstration(record, arrays_of(folder, 0, record)) for record in found)
    plan = derive(folder, demonstrations)
    for name, data in dump_plan(plan).items():
        small_folder(folder).write_bytes(name, data)
    for shard in plan.shards:
        simulate_shard(shard.shard_index, small_context(folder, workers=2))
    return folder, plan, demonstrations


def derive(folder: Path, demonstrations: tuple[SourceDemonstration, ...], times: int = TIMES) -> JobPlan:
    options = small_options(2)
    return plan_job(
        task_scene(folder), type(options)(**{**vars(options), "augment": times, "shard_size": 2}), demonstrations=demonstrations
    )


def derived(job) -> list[tuple[int, EpisodeRecord]]:
    folder, plan, _ = job
    shard_of = {index: shard.shard_index for shard in plan.shards for index in shard.episode_indices}
    return [
        (shard_of[spec.episode_index], load(folder, shard_of[spec.episode_index], spec.episode_id))
        for spec in plan.episodes
        if spec.derived_from is not None
    ]


def test_one_episode_becomes_many(job) -> None:
    """Six attempts of two demonstrations, which differ in starts and goals; what they repeat succeeds."""
    found = [record for _, record in derived(job)]
    assert len(found) == 2 * TIMES
    assert sum(record.outcome.success for record in found) >= 2 * TIMES - 1
    assert len({record.spec.object_poses[record.spec.task.target_object].position_m for record in found}) == 2 * TIMES
    assert len({record.spec.task.goal_position_m for record in found}) == 2 * TIMES


def test_each_names_its_source(job) -> None:
    """Down to the bytes of the recording; the planned episodes name none, and stay as they were."""
    folder, plan, demonstrations = job
    sources = {item.sha256: item for item in demonstrations}
    for _, record in derived(job):
        source = record.spec.derived_from
        assert source.segments == ("grasp", "place")
        assert load(folder, 0, source.episode_id).states.sha256 == source.states_sha256
        assert sources[source.demonstration_sha256].states_sha256 == source.states_sha256
        assert record.controller == f"retrace-1 of {PICK_PLACE.version}"
    assert [spec.derived_from for spec in plan.episodes[:2]] == [None, None]
    assert plan.job_id == plan_job(task_scene(folder), small_options(2)).job_id


def test_they_replay(job) -> None:
    """In a simulator of its own, bit by bit."""
    folder, plan, _ = job
    simulator = MujocoSimulator()
    loaded = simulator.load(folder / "workspace/scenes/small", plan.robot, plan.fps)
    for shard, record in derived(job):
        states = small_folder(folder).local(f"{recording_path(shard, record.episode_id)}/states.parquet")
        assert replay_episode(simulator, loaded, record, states).replayed


def test_the_hand_moves_about_the_object_as_it_did(job) -> None:
    """Where the gripper closes, the tool is to the target as in the demonstration, but for a half turn about its approach."""
    folder, _, demonstrations = job
    sources = {item.sha256: item for item in demonstrations}
    for shard, record in derived(job):
        if not record.outcome.success:
            continue
        wanted = next(
            motion for motion in sources[record.spec.derived_from.demonstration_sha256].segments[0].motions if motion.phase == "close"
        )
        close = next(phase for phase in record.phases if phase.name == "close")
        again = build_without_source(record, arrays_of(folder, shard, record))
        found = next(motion for motion in again.segments[0].motions if motion.phase == "close")
        there, here = matrix_of(wanted.tool_poses[0]), matrix_of(found.tool_poses[0])
        assert np.linalg.norm(there[:3, 3] - here[:3, 3]) < 0.003
        assert abs(there[:3, 2] @ here[:3, 2]) > 0.999
        assert abs(found.width_m - wanted.width_m) < 1e-9
        assert close.end_frame - close.start_frame > 1


def build_without_source(record: EpisodeRecord, arrays) -> SourceDemonstration:
    """A derived episode cut again, for a test to look at."""
    return build_demonstration(record.model_copy(update={"spec": record.spec.model_copy(update={"derived_from": None})}), arrays)


def test_planned_again_it_is_the_same(job) -> None:
    """To the byte; and one demonstration's episodes do not depend on the others."""
    folder, plan, demonstrations = job
    assert dump_plan(derive(folder, demonstrations)) == dump_plan(plan)
    alone = derive(folder, demonstrations[1:])
    both = {spec.seed: spec for spec in plan.episodes}
    named = {"episode_index": 0, "episode_id": "x"}
    for spec in alone.episodes[2:]:
        assert spec.model_copy(update=named) == both[spec.seed].model_copy(update=named)


def test_a_shard_carries_what_its_episodes_repeat(job) -> None:
    """And nothing else: the planned ones repeat nothing."""
    folder, plan, _ = job
    assert load_shard_plan(small_folder(folder), 0).demonstrations == ()
    carried = load_shard_plan(small_folder(folder), plan.shards[-1].shard_index)
    assert {item.sha256 for item in carried.demonstrations} == {spec.derived_from.demonstration_sha256 for spec in carried.episodes}


def test_what_is_no_demonstration_is_refused(job) -> None:
    """A derived one, a failed one, one with a failed try, one that lacks a subtask, one of a skill without a goal."""
    folder, plan, _ = job
    shard, record = derived(job)[0]
    with pytest.raises(NotDemonstrable, match="it is derived from pick_place_ep000000 itself"):
        build_demonstration(record, arrays_of(folder, shard, record))
    source = load(folder, 0, plan.episodes[0].episode_id)
    failed = source.model_copy(update={"outcome": source.outcome.model_copy(update={"success": False})})
    assert find_undemonstrable(failed) == "it did not succeed"
    miss = Recovery(failed_from_frame=0, seen_frame=50, again_frame=60, seen="it is not lifted")
    tried = source.model_copy(update={"recoveries": (miss,)})
    assert find_undemonstrable(tried) == "a try failed in it, and its motion would be repeated with the failure"
    short = source.model_copy(update={"phases": source.phases[:4]})
    assert find_undemonstrable(short) == "its phases are those of grasp, expected grasp, place"
    pushed = source.spec.task.model_copy(update={"task_type": "push"})
    other = source.model_copy(update={"spec": source.spec.model_copy(update={"task": pushed})})
    assert str(find_undemonstrable(other)).startswith("push brings nothing to a place")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"scene_id": "kitchen"}, "scene_id is kitchen, and the job's small"),
        ({"robot": "ur10e_2f85"}, "robot is ur10e_2f85, and the job's franka_panda"),
        ({"skill": "stack"}, "skill is stack, and the job's pick_place"),
        ({"target_object": "teapot"}, "target_object is teapot"),
    ],
)
def test_a_demonstration_of_something_else_is_refused(job, change: dict[str, str], told: str) -> None:
    """Before anything is planned."""
    folder, _, demonstrations = job
    with pytest.raises(DemonstrationDoesNotFit, match=told):
        derive(folder, (demonstrations[0].model_copy(update=change),))


def test_demonstrations_are_a_folder_of_files(job, tmp_path) -> None:
    """They are read as they were written; a file that is none, the same one twice, and an empty folder are refused by name."""
    _, _, demonstrations = job
    for item in demonstrations:
        (tmp_path / f"{item.episode_id}.json").write_text(item.model_dump_json(indent=1))
    assert load_demonstrations(str(tmp_path)) == demonstrations
    assert load_demonstrations(f"file://{tmp_path}") == demonstrations
    assert list(digest_demonstrations(str(tmp_path))) == [f"demonstrations/{item.episode_id}.json" for item in demonstrations]
    (tmp_path / "twice.json").write_text(demonstrations[0].model_dump_json())
    with pytest.raises(DemonstrationsUnreadable, match=r"twice\.json: it is the same as that of pick_place_ep000000"):
        load_demonstrations(str(tmp_path))
    (tmp_path / "twice.json").write_text(json.dumps({"episode_id": "x"}))
    with pytest.raises(DemonstrationsUnreadable, match=r"twice\.json: it is no demonstration: job_id: Field required"):
        load_demonstrations(str(tmp_path))
    with pytest.raises(DemonstrationsUnreadable, match="there is no folder with"):
        load_demonstrations(str(tmp_path / "nowhere"))
    assert load_demonstrations("") == ()


def test_the_command_says_how_it_is_used() -> None:
    """Its folder is an option that must be given."""
    answer = CliRunner().invoke(app, ["episode", "demonstrate", "small"])
    assert answer.exit_code == 2
    assert "--out" in answer.output
