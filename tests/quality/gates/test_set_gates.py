"""Gates on the kept episodes together: a job like those of before, with starts within 4 cm, is refused."""

from dataclasses import replace

import numpy as np
import pytest

from blueprint_pipeline.quality.episode_gating import Course, set_metrics
from blueprint_pipeline.quality.errors import TooAlike
from blueprint_pipeline.quality.gates.registry import judge_set
from blueprint_pipeline.quality.report import GateReport, validate_spread
from blueprint_pipeline.quality.scene_report import build_quality_gate_report
from tests.quality import synthetic
from tests.quality.gate_reports import kept_shard

EPISODES = 24


def course(start_m: np.ndarray, heading_rad: float, end_m: np.ndarray) -> Course:
    path = np.linspace([*start_m, 1.0], [*end_m, 1.0], 64)
    pose = np.array([*start_m, 0.8, np.cos(heading_rad / 2), 0.0, 0.0, np.sin(heading_rad / 2)])
    return Course(
        path_m=path,
        target="can",
        instruction="put the can at the back of the table",
        start_pose=pose,
        end_m=end_m,
        skill="pick_place",
        opened_at=None,
    )


def openings(low: float, high: float) -> list[Course]:
    """Drawers that begin between two positions."""
    rng = np.random.default_rng(1)
    courses = job(0.0, 0.0)
    return [replace(item, target="chest/drawer", skill="open", opened_at=float(rng.uniform(low, high))) for item in courses]


def job(width_m: float, turn_rad: float, count: int = EPISODES) -> list[Course]:
    rng = np.random.default_rng(0)
    return [course(rng.uniform(-0.5, 0.5, 2) * width_m, rng.uniform(-turn_rad, turn_rad), rng.uniform(-0.3, 0.3, 2)) for _ in range(count)]


def judged(courses: list[Course], config) -> dict[str, bool]:
    measured = set_metrics(courses, synthetic.build_plan([synthetic.build_spec(0)]))
    return {gate.gate: gate.passed for gate in judge_set(measured, config, "core")}


def test_starts_all_over_the_surface_pass(config):
    assert all(judged(job(0.6, np.pi), config).values())
    assert set(judged(job(0.6, np.pi), config)) == set(config.set_gates) - {"part_start_spread"}


def plan_of_drawers():
    plan = synthetic.build_plan([synthetic.build_spec(0)])
    area = plan.start_area.model_copy(update={"covariances_m2": {}, "ranges": {"open": {"chest/drawer": (0.0, 0.2)}}})
    return plan.model_copy(update={"start_area": area})


def test_parts_are_asked_how_far_they_were_open_and_not_where_they_stood(config):
    """A drawer stands where it stands, with one heading; it begins anywhere in its range, or always at the same place."""
    wide = judge_set(set_metrics(openings(0.0, 0.2), plan_of_drawers()), config, "core")
    narrow = judge_set(set_metrics(openings(0.05, 0.08), plan_of_drawers()), config, "core")
    assert {gate.gate for gate in wide} == {"part_start_spread", "object_balance", "near_duplicate_share"}
    assert {gate.gate: gate.passed for gate in wide}["part_start_spread"]
    assert not {gate.gate: gate.passed for gate in narrow}["part_start_spread"]


def test_buttons_always_begin_out_and_are_not_asked_how_far_in(config):
    plan = plan_of_drawers()
    area = plan.start_area.model_copy(update={"ranges": {"press": {"panel/button": (0.0, 0.0)}}})
    pressed = [replace(item, target="panel/button", skill="press", opened_at=0.0) for item in openings(0.0, 0.2)]
    found = judge_set(set_metrics(pressed, plan.model_copy(update={"start_area": area})), config, "core")
    assert {gate.gate for gate in found} == {"object_balance", "near_duplicate_share"}


def test_starts_within_four_centimetres_of_one_pose_fail(config):
    found = judged(job(0.08, 0.6), config)
    assert [name for name, passed in found.items() if not passed] == ["start_spread", "heading_spread"]


def test_the_same_episode_again_and_again_fails(config):
    found = judged(job(0.6, np.pi, 1) * EPISODES, config)
    assert not found["near_duplicate_share"]
    assert not found["start_spread"]


def test_a_few_episodes_are_not_judged(config):
    """And nothing is said to have passed."""
    assert judged(job(0.08, 0.6, 10), config) == {}


def test_a_plan_that_does_not_say_where_things_may_start_fails(config):
    plan = synthetic.build_plan([synthetic.build_spec(0)]).model_copy(update={"start_area": None})
    failed = {gate.gate: gate for gate in judge_set(set_metrics(job(0.6, np.pi), plan), config, "core") if not gate.passed}
    assert "start_spread" in failed
    assert failed["start_spread"].value is None


def reported(courses: list[Course], config) -> GateReport:
    measured = set_metrics(courses, synthetic.build_plan([synthetic.build_spec(0)]))
    return GateReport(
        scene_id="kitchen",
        job_id="job-0123456789ab",
        tier="core",
        tiers_version="1",
        evidence="render_verdicts",
        shards=(kept_shard(0, [f"ep_{index:06d}" for index in range(len(courses))]),),
        set_metrics=measured,
        set_gates=judge_set(measured, config, "core"),
    )


def test_a_refused_set_says_what_was_measured(config):
    with pytest.raises(TooAlike, match=r"start_spread: 0\.0\d+, at least 0\.3 share of the surface"):
        validate_spread(reported(job(0.08, 0.6), config), "gate_episodes")


@pytest.mark.parametrize(("width_m", "turn_rad", "blocking"), [(0.6, np.pi, 0), (0.08, 0.6, 2)])
def test_the_summary_of_all_gates_has_those_on_the_set(config, width_m, turn_rad, blocking):
    """Nobody reads there that a refused set may be delivered."""
    found = build_quality_gate_report((), (), reported(job(width_m, turn_rad), config))
    assert (found.summary.blocking_failures, found.summary.can_proceed) == (blocking, blocking == 0)
    assert {result.gate_id for result in found.results} == set(config.set_gates) - {"part_start_spread"}
    assert [result.severity for result in found.results if not result.passed] == ["error"] * blocking
