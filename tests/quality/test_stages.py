"""The stages that judge, on a job on disk: what is kept, what asks a person, what fails, and that bytes repeat."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from blueprint_pipeline.episode.errors import NothingAudited
from blueprint_pipeline.quality.approval_log import ApprovalDecision, load_approvals
from blueprint_pipeline.quality.approvals import UnknownDecision, batch_path
from blueprint_pipeline.quality.errors import NothingKept
from blueprint_pipeline.quality.failures import load_shard_failures
from blueprint_pipeline.quality.gates.registry import EPISODE_GATES, RENDER_GATES
from blueprint_pipeline.quality.report import (
    GATES_PATH,
    QUALITY_GATE_REPORT_PATH,
    RENDER_GATES_PATH,
    load_gate_report,
    load_kept,
    load_rendered_selection,
    load_shard_selection,
    load_verdicts,
)
from blueprint_pipeline.quality.stages import GATE_EPISODES, GATE_RENDERS, RECORD_APPROVAL, GateRendersRequest, RecordApprovalRequest
from blueprint_pipeline.quality.verdicts import RENDER_VERDICTS_FOLDER, VERDICTS_FOLDER, VerdictsDiffer, verdicts_path
from tests.quality import synthetic, synthetic_scene

REQUEST = GateRendersRequest(scene_id="kitchen")


def graze(episode, depth_m):
    """Let the can sink into the table once."""
    episode.columns["contact_depth_m"][30] = [0.0005, depth_m]
    return episode


def named(episode, episode_id):
    """The episode under another id."""
    spec = episode.spec.model_copy(update={"episode_id": episode_id})
    return replace(episode, spec=spec, record=episode.record.model_copy(update={"episode_id": episode_id, "spec": spec}))


def write_job(root, episodes, *, licence="MIT", shard_size=2):
    synthetic_scene.write_plan(root, synthetic.build_plan([episode.spec for episode in episodes], shard_size=shard_size))
    records = [synthetic_scene.write_episode(root, episode) for episode in episodes]
    synthetic_scene.write_manifest(root, synthetic_scene.build_manifest(licence=licence))
    return records


def kept_in(context):
    """Ids of what the gates on the states keep."""
    return load_gate_report(context.scene).with_verdict("kept")


def selection(scene):
    """What is to be rendered."""
    return load_rendered_selection(scene, load_gate_report(scene))


def run(stage, request, context):
    result = stage.run(request, context)
    synthetic_scene.promote(context)
    return result


def decide(episode_id, *, approved, minute=0):
    return ApprovalDecision(
        episode_id=episode_id,
        approved=approved,
        decided_by="ops@lab",
        reason="looked at it",
        decided_at=datetime(2026, 12, 1, 12, minute, tzinfo=UTC),
    )


@pytest.fixture
def context(scene_root):
    return synthetic_scene.context_at(scene_root)


@pytest.fixture
def job(scene_root, context):
    """A sound episode, one near a limit, a failed attempt and one that sinks into the table; gated."""
    episodes = [
        synthetic.build_episode(0),
        graze(synthetic.build_episode(1), 0.0031),
        synthetic.failed_attempt(2, shard_index=1),
        graze(synthetic.build_episode(3, shard_index=1), 0.02),
    ]
    records = write_job(scene_root, episodes)
    result = run(GATE_EPISODES, REQUEST, context)
    return records, result


def test_each_episode_gets_its_verdict_and_its_reason(job, context):
    _, result = job
    report = load_gate_report(context.scene)
    assert (result.kept, result.borderline, result.rejected) == (1, 1, 2)
    assert (report.with_verdict("kept"), report.with_verdict("borderline")) == (["ep_000000"], ["ep_000001"])
    assert report.with_verdict("rejected") == ["ep_000002", "ep_000003"]
    assert any("outcome (plan_pick: motion.no_grasp)" in reason for reason in result.top_reasons)
    assert any("penetration: 0.02 m, at most 0.003 allowed (can|table in frame 30)" in reason for reason in result.top_reasons)
    assert next(load_verdicts(context.scene, report)).metrics["sparc"] < 0
    assert report.set_metrics["episodes"] == 1


def test_gating_twice_gives_the_same_bytes(job, context):
    names = [GATES_PATH, *context.scene.files_under(VERDICTS_FOLDER)]
    before = [context.scene.read_bytes(name) for name in names]
    run(GATE_EPISODES, REQUEST, context)
    assert [context.scene.read_bytes(name) for name in names] == before


def test_without_a_decision_a_borderline_episode_is_rejected(job, context):
    assert selection(context.scene) == [(0, "ep_000000")]
    run(RECORD_APPROVAL, RecordApprovalRequest(scene_id="kitchen"), context)
    assert selection(context.scene) == [(0, "ep_000000")]
    assert load_approvals(context.scene) == []


def test_an_approved_episode_is_rendered_and_the_audit_grows(job, context):
    approve = RecordApprovalRequest(scene_id="kitchen", decisions=(decide("ep_000001", approved=True),))
    assert run(RECORD_APPROVAL, approve, context).approved == ("ep_000001",)
    assert selection(context.scene) == [(0, "ep_000000"), (0, "ep_000001")]
    assert load_shard_selection(context.scene, 0) == ["ep_000000", "ep_000001"]
    revoke = RecordApprovalRequest(scene_id="kitchen", decisions=(decide("ep_000001", approved=False, minute=5),))
    assert run(RECORD_APPROVAL, revoke, context).rejected == ("ep_000001",)
    assert load_shard_selection(context.scene, 0) == ["ep_000000"]
    assert selection(context.scene) == [(0, "ep_000000")]
    first, second = load_approvals(context.scene)
    assert (first.status, second.status) == ("approved", "rejected")
    assert first.request_id == second.request_id
    assert first.request_id.startswith("apr_")
    assert first.gate_id == "penetration"
    assert RECORD_APPROVAL.writes(approve) != RECORD_APPROVAL.writes(revoke)


def test_an_approval_counts_for_the_verdicts_that_were_seen(job, context, scene_root):
    approve = RecordApprovalRequest(scene_id="kitchen", decisions=(decide("ep_000001", approved=True),))
    run(RECORD_APPROVAL, approve, context)
    synthetic_scene.write_episode(scene_root, graze(synthetic.build_episode(1), 0.0032))
    run(GATE_EPISODES, REQUEST, context)
    assert selection(context.scene) == [(0, "ep_000000")]
    assert load_shard_selection(context.scene, 0) == ["ep_000000"]


def test_an_approval_stands_while_another_shard_is_judged_anew(job, context, scene_root):
    """What the person saw has not changed."""
    approve = RecordApprovalRequest(scene_id="kitchen", decisions=(decide("ep_000001", approved=True),))
    run(RECORD_APPROVAL, approve, context)
    synthetic_scene.write_episode(scene_root, synthetic.build_episode(3, shard_index=1))
    run(GATE_EPISODES, REQUEST, context)
    assert selection(context.scene) == [(0, "ep_000000"), (0, "ep_000001"), (1, "ep_000003")]


def test_verdicts_that_were_altered_are_refused(job, context):
    path = verdicts_path("verdicts", 0)
    context.scene.write_bytes(path, context.scene.read_bytes(path).replace(b'"rejected"', b'"kept"') + b"\n")
    with pytest.raises(VerdictsDiffer, match=r"verdicts/shard_0000\.json has sha256"):
        list(load_verdicts(context.scene, load_gate_report(context.scene)))


def test_of_two_decisions_at_one_instant_the_rejection_counts_for_all(job, context):
    """Whichever of them was recorded first: the stage and the selection go by one order."""
    for approved in (False, True):
        run(RECORD_APPROVAL, RecordApprovalRequest(scene_id="kitchen", decisions=(decide("ep_000001", approved=approved),)), context)
        assert selection(context.scene) == [(0, "ep_000000")]


@pytest.mark.parametrize(("episode_id", "told"), [("ep_000000", "is 'kept'"), ("ep_000099", "is not in gates.json")])
def test_a_decision_on_what_waits_for_none_is_refused(job, context, episode_id, told):
    with pytest.raises(UnknownDecision, match=told):
        RECORD_APPROVAL.run(RecordApprovalRequest(scene_id="kitchen", decisions=(decide(episode_id, approved=True),)), context)


def test_a_run_that_keeps_nothing_fails_and_says_why(scene_root, context):
    write_job(scene_root, [synthetic.failed_attempt(0), graze(synthetic.build_episode(1), 0.02)])
    with pytest.raises(NothingKept, match=r"kept none of 2 episodes.*1x outcome \(plan_pick: motion.no_grasp\).*1x penetration"):
        GATE_EPISODES.run(REQUEST, context)
    assert (context.staging / GATES_PATH).is_file()  # the evidence


def test_an_unknown_licence_drops_every_episode(scene_root, context):
    write_job(scene_root, [synthetic.build_episode(0)], licence="unknown")
    with pytest.raises(NothingKept, match="licences: 3 blockers"):
        GATE_EPISODES.run(REQUEST, context)


def test_a_scene_without_assets_was_not_checked(scene_root, context):
    write_job(scene_root, [synthetic.build_episode(0)])
    synthetic_scene.write_manifest(scene_root, synthetic_scene.build_manifest(()))
    with pytest.raises(NothingKept, match="licences: not measured"):
        GATE_EPISODES.run(REQUEST, context)


def test_a_damaged_recording_is_rejected_for_it(scene_root, context):
    records = write_job(scene_root, [synthetic.build_episode(0), synthetic.build_episode(1)])
    path = scene_root / "geniesim/recordings/shard_0000" / records[1].episode_id / "states.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    result = run(GATE_EPISODES, REQUEST, context)
    assert result.kept == 1
    assert kept_in(context) == ["ep_000000"]
    damaged = list(load_verdicts(context.scene, load_gate_report(context.scene)))[1]
    failed = {gate.gate for gate in damaged.failed()}
    assert {"recording", "schema", "joint_position", "penetration"} <= failed


def test_nothing_planned_is_no_pass(scene_root, context):
    synthetic_scene.write_plan(scene_root, synthetic.build_plan([]))
    with pytest.raises(NothingAudited, match="has no episode"):
        GATE_EPISODES.run(REQUEST, context)


def test_if_people_reject_all_that_is_left_the_run_fails(scene_root, context):
    write_job(scene_root, [graze(synthetic.build_episode(0), 0.0031)])
    assert run(GATE_EPISODES, REQUEST, context).borderline == 1
    decisions = (decide("ep_000000", approved=False),)
    with pytest.raises(NothingKept, match="record_approval kept none of 1"):
        RECORD_APPROVAL.run(RecordApprovalRequest(scene_id="kitchen", decisions=decisions), context)
    assert (context.staging / batch_path(decisions)).is_file()


def test_rendered_episodes_are_judged_and_the_selection_is_final(job, context, scene_root):
    records, _ = job
    approve = RecordApprovalRequest(scene_id="kitchen", decisions=(decide("ep_000001", approved=True),))
    run(RECORD_APPROVAL, approve, context)
    synthetic_scene.write_render(scene_root, records[0])
    synthetic_scene.write_render(scene_root, records[1], replayed=False, first_difference_frame=3)
    result = run(GATE_RENDERS, REQUEST, context)
    assert (result.kept, result.rejected) == (1, 1)
    assert load_kept(context.scene) == [(0, "ep_000000")]
    assert "1x certificate" in result.top_reasons[0]
    report = json.loads(context.scene.read_bytes(QUALITY_GATE_REPORT_PATH))
    gates, failed = len(EPISODE_GATES) + len(RENDER_GATES), report["summary"]["failed"]
    assert report["summary"] == {
        "total_gates": gates,
        "passed": gates - failed,
        "failed": failed,
        "blocking_failures": 0,
        "can_proceed": True,
    }
    by_gate = {item["gate_id"]: item for item in report["results"]}
    assert by_gate["penetration"]["requires_human_approval"]
    assert by_gate["certificate"]["details"]["failed_episode_ids"] == ["ep_000001"]
    names = [RENDER_GATES_PATH, QUALITY_GATE_REPORT_PATH, *context.scene.files_under(RENDER_VERDICTS_FOLDER)]
    before = [context.scene.read_bytes(name) for name in names]
    run(GATE_RENDERS, REQUEST, context)
    assert [context.scene.read_bytes(name) for name in names] == before


def test_skills_that_take_turns_in_the_plan_take_turns_in_the_selection(scene_root, context):
    """Sorted by id, all of one skill would stand before all of the other, and the last ones, which validate, would be of one skill."""
    planned = ["pick_place_ep000000", "push_ep000001", "pick_place_ep000002", "push_ep000003", "pick_place_ep000004", "push_ep000005"]
    episodes = [named(synthetic.build_episode(index, shard_index=index // 4), name) for index, name in enumerate(planned)]
    records = write_job(scene_root, episodes, shard_size=4)
    run(GATE_EPISODES, REQUEST, context)
    expected = [(index // 4, name) for index, name in enumerate(planned)]
    assert selection(context.scene) == expected
    for record in records:
        synthetic_scene.write_render(scene_root, record)
    assert run(GATE_RENDERS, REQUEST, context).kept == len(planned)
    assert load_kept(context.scene) == expected


def collide(episode):
    """The hand touches the bowl."""
    for name, value in (("contact_bodies", "bowl|robot/hand"), ("contact_depth_m", 0.0005), ("contact_force_n", 1.0)):
        episode.columns[name][60] = [*episode.columns[name][60], value]
    return episode


def test_failures_are_judged_apart_and_a_replay_that_differs_is_not_sold(scene_root, context):
    """Of a collision, one that does not replay, one that sinks into the table and one that never moved, the first alone; kept ones stay."""
    episodes = [
        synthetic.build_episode(0),
        collide(synthetic.build_episode(1)),
        collide(synthetic.build_episode(2, shard_index=1)),
        graze(collide(synthetic.build_episode(3, shard_index=1)), 0.02),
        synthetic.failed_attempt(4, shard_index=2),
    ]
    records = write_job(scene_root, episodes)
    run(GATE_EPISODES, REQUEST, context)
    assert [load_shard_failures(context.scene, shard) for shard in (0, 1, 2)] == [["ep_000001"], ["ep_000002"], []]
    synthetic_scene.write_render(scene_root, records[0])
    kept = run(GATE_RENDERS, REQUEST, context)
    before = {name: context.scene.read_bytes(name) for name in GATE_RENDERS.writes(REQUEST) if name.endswith(".json")}
    synthetic_scene.write_render(scene_root, records[1], "failures")
    synthetic_scene.write_render(scene_root, records[2], "failures", replayed=False, first_difference_frame=3)
    failures = GateRendersRequest(scene_id="kitchen", selection="failures")
    found = run(GATE_RENDERS, failures, context)
    assert (kept.kept, found.kept, found.rejected) == (1, 1, 1)
    assert load_kept(context.scene, "failures") == [(0, "ep_000001")]
    assert load_kept(context.scene) == [(0, "ep_000000")]
    assert not {*GATE_RENDERS.writes(failures)} & {*GATE_RENDERS.writes(REQUEST)}
    assert {name: context.scene.read_bytes(name) for name in before} == before
    assert (GATE_RENDERS.unit(failures), GATE_RENDERS.unit(REQUEST)) == ("failures", "")


def test_that_nothing_failed_is_no_fault(scene_root, context):
    write_job(scene_root, [synthetic.build_episode(0)])
    run(GATE_EPISODES, REQUEST, context)
    found = run(GATE_RENDERS, GateRendersRequest(scene_id="kitchen", selection="failures"), context)
    assert (found.kept, found.rejected) == (0, 0)
    assert load_kept(context.scene, "failures") == []


def test_renders_that_are_missing_fail_the_run(job, context):
    with pytest.raises(NothingKept, match=r"gate_renders kept none of 1 .*certificate: not measured"):
        GATE_RENDERS.run(REQUEST, context)
    summary = json.loads((context.staging / QUALITY_GATE_REPORT_PATH).read_bytes())["summary"]
    assert (summary["blocking_failures"], summary["can_proceed"]) == (1, False)


def test_nothing_selected_is_no_pass(scene_root, context):
    write_job(scene_root, [graze(synthetic.build_episode(0), 0.0031)])
    run(GATE_EPISODES, REQUEST, context)
    with pytest.raises(NothingAudited, match="select no episode"):
        GATE_RENDERS.run(REQUEST, context)


def test_stages_declare_what_they_read_and_write():
    assert set(GATE_EPISODES.writes(REQUEST)) == {GATES_PATH, VERDICTS_FOLDER}
    assert set(GATE_RENDERS.writes(REQUEST)) == {RENDER_GATES_PATH, RENDER_VERDICTS_FOLDER, QUALITY_GATE_REPORT_PATH}
    assert RECORD_APPROVAL.unit(RecordApprovalRequest(scene_id="kitchen"))
