"""An episode that shows a recovery: recorded with its frames, judged like any other, and bit by bit the same when executed again."""

from pathlib import Path

import pytest

from blueprint_pipeline.episode.record import EpisodeRecord, recording_path
from blueprint_pipeline.quality.episode_gating import judge_case
from blueprint_pipeline.quality.gate_inputs import load_episode_case
from blueprint_pipeline.quality.robot_limits import load_robot_limits
from blueprint_pipeline.quality.tiers import load_tiers
from blueprint_pipeline.render.replay import replay_episode
from blueprint_pipeline.rollout.shard import simulate_shard
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.task.plan import JobPlan
from tests.simulation.small_job import small_context, small_folder, write_job

EPISODES = 2


@pytest.fixture(scope="module", params=["pick_place", "push"])
def job(tmp_path_factory, request) -> tuple[Path, JobPlan]:
    """A job in which the first try of every episode goes wrong."""
    folder = tmp_path_factory.mktemp("recoveries")
    plan = write_job(folder, EPISODES, (request.param,), recoveries=1.0)
    simulate_shard(0, small_context(folder))
    return folder, plan


def records(folder: Path, plan: JobPlan) -> list[EpisodeRecord]:
    root = small_folder(folder)
    return [
        EpisodeRecord.model_validate_json(root.read_bytes(f"{recording_path(0, spec.episode_id)}/episode.json")) for spec in plan.episodes
    ]


def test_recoveries_are_recorded_with_their_frames(job) -> None:
    """The failed try, the way back and the try after it follow one another, and the frames of the last carry its mark."""
    for record in records(*job):
        assert record.outcome.success, record.outcome
        assert record.provoked is not None
        assert record.provoked.kind in record.spec.mishap.kinds
        assert record.tries == 1 + len(record.recoveries) == 2
        (recovery,) = record.recoveries
        assert recovery.failed_from_frame == 0
        assert record.provoked.from_frame < recovery.seen_frame <= recovery.again_frame < record.frames
        for phase in record.phases:
            assert phase.name.endswith("_again") <= (phase.start_frame >= recovery.again_frame)
            if recovery.seen_frame <= phase.start_frame < recovery.again_frame:
                assert phase.name in {"let_go", "back_off"}
        assert next(phase for phase in record.phases if phase.start_frame == recovery.again_frame).name == "approach_again"
        assert all(before.end_frame == after.start_frame for before, after in zip(record.phases, record.phases[1:], strict=False))


def test_they_replay_bit_by_bit(job) -> None:
    """Setpoints are recorded: what was seen and decided on the way need not be decided again."""
    folder, plan = job
    simulator = MujocoSimulator()
    loaded = simulator.load(folder / "workspace/scenes/small", plan.robot, plan.fps)
    for record in records(folder, plan):
        states = small_folder(folder).local(f"{recording_path(0, record.episode_id)}/states.parquet")
        assert replay_episode(simulator, loaded, record, states).replayed


def test_every_gate_passes_them(job) -> None:
    """No touch is unexplained and no try is a detour because it is the second; the gate on tries has their number."""
    folder, plan = job
    robot = load_robot_limits(plan.robot.embodiment)
    for spec in plan.episodes:
        case = load_episode_case(small_folder(folder), plan, 0, spec, robot=robot, licence_blockers=())
        verdict = judge_case(case, load_tiers(), "core")
        assert verdict.verdict == "kept", [gate.sentence() for gate in verdict.failed()]
        tries = next(gate for gate in verdict.gates if gate.gate == "tries")
        assert tries.value == 2.0
        assert tries.message.startswith(f"in frame {case.record.recoveries[0].seen_frame}: ")
