"""Which rejected episodes are honest failures of the robot: the line, over every gate, and what is said of a failure."""

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from blueprint_pipeline.episode.record import recording_path
from blueprint_pipeline.origin import Origin
from blueprint_pipeline.quality.episode_gating import judge_case
from blueprint_pipeline.quality.failures import count_kinds, describe_failure, is_failure, kind_of
from blueprint_pipeline.quality.gates.registry import EPISODE_GATES, RENDER_GATES, verdict_of_failure
from blueprint_pipeline.quality.tiers import GateRule, load_tiers
from blueprint_pipeline.quality.verdicts import EpisodeVerdict, GateResult
from blueprint_pipeline.simulation.errors import SimulationDiverged
from blueprint_pipeline.task.outcome import Recovery
from tests.quality import synthetic, synthetic_scene
from tests.quality.gates.test_episode_gates import BENT, touch, with_outcome

FAILURES = {"outcome", "bystander_motion", "unexplained_contacts", "task_predicate", "task_recheck"}
"""Gates on what the robot did: dropped, missed, not there, into something else."""
WEAKNESSES = {"duration_max", "joint_margin", "branch", "tries", "detour", "stillness", "target_visible", "ends_visible"}
"""Gates on how good an example it is."""
NO_FILE = Path("no such file")
"""Of an episode that was judged while it was simulated nobody reads the states again."""
BROKEN = {
    "teleport": "object_speed",
    "penetration": "penetration",
    "kinematic drag": "untouched_motion",
    "time skew of actions": "action_state_lag",
    "time skew of rows": "timestamps",
    "dropped rows": "state_continuity",
    "broken files": "recording",
    "broken columns": "schema",
    "beyond what the arm can do": "joint_torque",
    "nobody may sell it": "licences",
    "it does not replay": "certificate",
    "its pictures are broken": "videos",
}


def gate(name, *, passed=True, borderline=False, value=1.0, when_failed=None, frame=None):
    """A gate's answer, of the kind that the rules say unless told otherwise."""
    kind = when_failed or load_tiers().gates[name].when_failed
    found = {"value": value, "limit": 0.0, "unit": "m", "origin": Origin.MEASURED, "message": "what was found"}
    return GateResult(gate=name, tier="core", passed=passed, borderline=borderline, when_failed=kind, frame=frame, **found)


def verdict(*bent, verdict="rejected"):
    """All gates after simulation passed, but for these."""
    by_name = {found.gate: found for found in bent}
    gates = tuple(by_name.get(name) or gate(name) for name in EPISODE_GATES)
    return EpisodeVerdict(episode_id="ep_0", shard_index=0, verdict=verdict, gates=gates, metrics={})


def test_every_gate_says_what_its_failure_means():
    """The kinds stand in tiers.yaml, for every gate; a new gate without one is refused."""
    kinds = {name: rule.when_failed for name, rule in load_tiers().gates.items()}
    assert {name for name, kind in kinds.items() if kind == "failure"} == FAILURES
    assert {name for name, kind in kinds.items() if kind == "weakness"} == WEAKNESSES
    assert {name for name, kind in kinds.items() if kind == "unusable"} == {*EPISODE_GATES, *RENDER_GATES} - FAILURES - WEAKNESSES
    row = load_tiers().gates["detour"].model_dump()
    del row["when_failed"]
    with pytest.raises(ValidationError, match="when_failed"):
        GateRule.model_validate(row)


@pytest.mark.parametrize("what", BROKEN)
def test_what_the_simulation_got_wrong_is_no_failure_of_the_robot(what):
    """Neither by itself, nor beside a real failure."""
    assert load_tiers().gates[BROKEN[what]].when_failed == "unusable"


@pytest.mark.parametrize("name", EPISODE_GATES)
def test_the_line_over_every_gate(name):
    """A gate alone makes a failure only if it looks at what the robot did; beside one, only doubt takes the failure away."""
    kind = load_tiers().gates[name].when_failed
    alone, beside = verdict(gate(name, passed=False)), verdict(gate("unexplained_contacts", passed=False), gate(name, passed=False))
    assert is_failure(alone) is (kind == "failure")
    assert is_failure(beside) is (kind != "unusable")
    near = verdict(gate("unexplained_contacts", passed=False), gate(name, borderline=True))
    assert is_failure(near) is (kind != "unusable" and name != "unexplained_contacts")
    unmeasured = verdict(gate("unexplained_contacts", passed=False), gate(name, passed=False, value=None))
    assert is_failure(unmeasured) is (name == "task_predicate")


def test_what_a_person_decided_on_or_what_is_near_a_limit_is_no_failure():
    """Nobody is asked about failures, so they are beyond doubt."""
    assert not is_failure(verdict(gate("bystander_motion", passed=False, borderline=True), verdict="borderline"))
    assert not is_failure(verdict(gate("bystander_motion", passed=False, borderline=True), gate("detour", passed=False)))
    assert not is_failure(verdict(verdict="kept"))
    assert not is_failure(verdict())


def test_a_gate_of_no_known_kind_leaves_doubt():
    """As of a report of another version."""
    unknown = gate("detour", passed=False).model_copy(update={"when_failed": None})
    assert not is_failure(verdict(gate("outcome", passed=False), unknown))


@pytest.mark.parametrize(("name", "change"), [(name, change) for name, changes in BENT.items() for change in changes])
def test_a_failure_with_a_bent_recording_is_sold_only_if_it_is_honest(name, change):
    """The can is touched by the hand, which is a failure; then each recording that a gate must refuse, on top of it."""
    episode = synthetic.build_episode(0)
    touch(episode, "bowl|robot/hand", [60])
    case = change(episode)
    case = replace(case, arrays=None) if case.states is None or case.schema_findings else case
    judged = judge_case(case, load_tiers(), "core")
    found = next(item for item in judged.gates if item.gate == name)
    sold = is_failure(judged)
    assert not (sold and found.when_failed == "unusable")
    assert not (sold and found.value is None and name != "task_predicate")


def test_a_simulation_that_blew_up_is_no_failure():
    """An attempt that ended for the simulator's sake says nothing of the robot; one that ended for the task's does."""
    told = {"success": False, "failure_stage": "execute", "failure_reason": "x"}
    diverged = with_outcome(synthetic.build_episode(0), **told, failure_code=SimulationDiverged.code)
    assert next(iter(judge_case(diverged, load_tiers(), "core").gates)).when_failed == "unusable"
    assert not is_failure(judge_case(diverged, load_tiers(), "core"))


def missed(episode):
    """The can is set down beside its goal, and the record says so, as the states do."""
    from blueprint_pipeline.quality.gates.task import observed_motion
    from blueprint_pipeline.skill.registry import load_skill

    task = episode.spec.task
    region = tuple((x + 0.3, y) for x, y in task.region_m)
    task = task.model_copy(update={"region_m": region})
    spec = episode.spec.model_copy(update={"task": task})
    case = replace(episode.case(), spec=spec)
    motion = observed_motion(task, case.record.object_ids, case.arrays, arm=0, fps=case.fps)
    checks = load_skill(task.task_type).check(task, motion)
    first = next(check for check in checks if not check.held)
    outcome = case.record.outcome.model_copy(
        update={
            "success": False,
            "failure_stage": "predicate",
            "failure_code": f"not_{first.name}",
            "failure_reason": "beside its goal",
            "predicate": checks,
        }
    )
    return replace(case, record=case.record.model_copy(update={"spec": spec, "outcome": outcome}))


def test_a_goal_that_was_missed_is_a_failure_with_its_conditions():
    """Kind, conditions with value and limit, the gates; where it went wrong shows at the end alone."""
    case = missed(synthetic.build_episode(0))
    judged = judge_case(case, load_tiers(), "core")
    assert is_failure(judged), [found for found in judged.gates if not found.passed]
    label = describe_failure(judged, case.record, NO_FILE)
    assert label.kind == kind_of(judged) == "predicate.not_in_region"
    assert [check.name for check in label.conditions] == ["in_region"]
    assert label.conditions[0].value < label.conditions[0].limit
    assert [found.gate for found in label.gates] == ["outcome", "task_predicate", "task_recheck"]
    assert (label.frame, label.phase) == (None, None)


def test_an_account_that_the_states_contradict_is_no_failure():
    """Nobody could say what went wrong: the record tells another value, or that an attempt failed in which every condition holds."""
    case = missed(synthetic.build_episode(0))
    checks = tuple(
        check.model_copy(update={"value": check.value - 0.01}) if not check.held else check for check in case.record.outcome.predicate
    )
    told = case.record.model_copy(update={"outcome": case.record.outcome.model_copy(update={"predicate": checks})})
    assert not is_failure(judge_case(replace(case, record=told), load_tiers(), "core"))
    done = with_outcome(
        synthetic.build_episode(0), success=False, failure_stage="plan_home", failure_code="no_path", failure_reason="x", predicate=()
    )
    assert not is_failure(judge_case(done, load_tiers(), "core"))


def test_a_collision_is_told_with_its_frame_and_phase():
    """The task was done, and the way there was not right."""
    case = touch(synthetic.build_episode(0), "bowl|robot/hand", [60, 61])
    judged = judge_case(case, load_tiers(), "core")
    assert is_failure(judged)
    label = describe_failure(judged, case.record, NO_FILE)
    phase = next(phase.name for phase in case.record.phases if phase.start_frame <= 60 < phase.end_frame)
    assert (label.kind, label.frame, label.phase) == ("gate.unexplained_contacts", 60, phase)
    assert label.conditions == ()
    assert (label.gates[0].value, label.gates[0].limit, label.gates[0].phase) == (2.0, 0.0, phase)
    assert "bowl|robot/hand" in label.reason


def test_an_attempt_that_gave_up_is_told_where():
    """The frame in which the last try was seen to have failed."""
    case = missed(synthetic.build_episode(0))
    gave_up = Recovery(failed_from_frame=0, seen_frame=150, again_frame=None, seen="it is not lifted")
    record = case.record.model_copy(update={"recoveries": (gave_up,)})
    label = describe_failure(judge_case(case, load_tiers(), "core"), record, NO_FILE)
    assert label.frame == 150
    assert label.phase == next(phase.name for phase in record.phases if phase.start_frame <= 150 < phase.end_frame)


def test_an_attempt_that_broke_off_is_judged_by_its_states(tmp_path):
    """It has no conditions on record: those of its last state are told, and that it ended there."""
    episode = synthetic.build_episode(0)
    case = missed(episode)
    outcome = case.record.outcome.model_copy(update={"failure_stage": "plan_place", "failure_code": "no_path", "predicate": ()})
    record = synthetic_scene.write_episode(tmp_path, replace(episode, record=case.record.model_copy(update={"outcome": outcome})))
    judged = judge_case(replace(case, record=record, states=record.states), load_tiers(), "core")
    assert is_failure(judged), [found for found in judged.gates if not found.passed]
    label = describe_failure(judged, record, tmp_path / recording_path(record.shard_index, record.episode_id) / "states.parquet")
    assert (label.kind, label.frame, label.phase) == ("plan_place.no_path", record.frames - 1, record.phases[-1].name)
    assert [check.name for check in label.conditions] == ["in_region"]


def test_pictures_decide_on_a_failure_only_where_they_are_wrong():
    """A target that fell out of the picture is part of the failure; a black picture, or a replay that differs, is not."""
    gates = {name: gate(name) for name in RENDER_GATES}
    for name in RENDER_GATES:
        bent = {**gates, name: gate(name, passed=False)}
        expected = "kept" if load_tiers().gates[name].when_failed == "weakness" else "rejected"
        assert verdict_of_failure(tuple(bent.values())) == expected, name
    assert verdict_of_failure(()) == "rejected"


def test_kinds_are_counted_the_most_frequent_first():
    assert list(count_kinds(["b", "a", "b", "c"]).items()) == [("b", 2), ("a", 1), ("c", 1)]
