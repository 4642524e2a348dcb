"""The end of the demo says what, why, how much, where, and what did not run; in sentences, and with whole paths."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from blueprint_pipeline.quality.verdicts import EpisodeVerdict, GateResult
from operators.embedded.demo_report import (
    describe_cost,
    describe_delivery,
    describe_left_out,
    describe_messages,
    describe_rejects,
    describe_set_aside,
    describe_wall_time,
    next_commands,
    show_facts,
    show_failure,
)
from operators.embedded.receivers import Message, Receiver
from operators.embedded.run_view import RunView, TaskView

PRICED = {"usd_per_kept_episode": 0.000076, "usd_per_kept_episode_certainty": "estimated", "measured_usd": 0.0, "estimated_usd": 0.0018}
BUNDLE = "/labs/" + "a_long_folder/" * 12 + "bundle"
DELIVERED = {"location": BUNDLE, "report_url": f"{BUNDLE}/data/index.html", "size_bytes": 2_000_000, "files": 3}


def view_of(**results):
    view = RunView()
    for name, result in results.items():
        view.tasks[name, -1] = TaskView(state="done", result=result)
    return view


def text_of(draw, width=100):
    console = Console(width=width, file=(stream := io.StringIO()))
    draw(console)
    return stream.getvalue()


def test_cost_is_said_for_as_many_episodes_as_make_a_cent():
    words = describe_cost({**PRICED, "unknown_entries": 0})
    assert words == "7.6 US cents per 1,000 kept episodes (estimated); the whole run: less than 1 US cent."


def test_cost_that_is_not_known_is_not_filled_in():
    words = describe_cost({**PRICED, "usd_per_kept_episode": None, "unknown_entries": 3})
    assert words.startswith("of a kept episode not known: 3 entries have no price.")


def test_left_out_targets_are_sentences():
    view = view_of(plan_tasks={"left_out": {"pick_place": {"dinner_plate": "it is out of reach; for example: x"}}})
    assert describe_left_out(view) == [("Left out", "dinner plate (pick place): it is out of reach.")]


def test_objects_that_were_set_aside_are_sentences():
    view = view_of(assemble_scene={"set_aside": {"wobbly_vase": "it does not come to rest: it moved 90 mm; it turned 20 deg"}})
    assert describe_set_aside(view) == [("Set aside", "wobbly vase: it does not come to rest: it moved 90 mm.")]


def test_rejected_episodes_are_told_by_what_decided():
    """An attempt that was never made lacks twenty measurements; its reason is one."""
    unplanned = verdict("rejected", outcome=None, contacts=None)
    dark = verdict("rejected", sharpness=0.1)
    assert describe_rejects([unplanned, dark, dark, verdict("kept", outcome=1.0)]) == [
        "Rejected 2x sharpness: 0.1 share, at least 1 allowed (found).",
        "Rejected 1x outcome (plan pick: no grasp): not measured (found).",
    ]


def verdict(found, **values):
    """An episode with these gates; a value of at least 1 passes."""
    gates = tuple(
        GateResult(
            gate=name,
            tier="core",
            passed=value == 1.0,
            value=value,
            limit=1.0,
            direction="at_least",
            unit="share",
            origin="measured",
            message="plan_pick: no_grasp: found; and more" if name == "outcome" else "found; and more",
        )
        for name, value in values.items()
    )
    return EpisodeVerdict(episode_id="e", shard_index=0, verdict=found, gates=gates, metrics={})


@pytest.mark.parametrize("width", [40, 100])
def test_paths_are_never_broken(width):
    """Who copies a path gets one word."""
    facts = describe_delivery(view_of(package_bundle={"licence": "CC-BY-4.0"}, deliver_bundle=DELIVERED))
    shown = text_of(lambda console: show_facts(console, facts), width)
    assert f"Bundle      {BUNDLE}\n" in shown
    assert f"{BUNDLE}/data/index.html\n" in shown
    assert "licence CC-BY-4.0" in shown


def test_a_second_run_says_that_nothing_was_repeated():
    view = view_of(ingest_scene={"objects": 1}, settle_scene={"max_drift_m": 0.0})
    for task in view.tasks.values():
        task.found_done = True
    assert describe_wall_time(view, 8.24) == "8.2 s: all 2 stages found their work done."
    view.tasks["settle_scene", -1].found_done = False
    view.tasks["settle_scene", -1].started_at, view.tasks["settle_scene", -1].ended_at = 0.0, 61.0
    assert describe_wall_time(view, 70.0) == "1 min 10 s, of which settle_scene took 1 min 1 s; 1 of 2 stages found their work done."


def test_checks_that_did_not_run_come_with_the_command_that_runs_them():
    view = view_of(certify_dataset={"not_run": ["lerobot"]}, deliver_bundle=DELIVERED)
    commands = [command for command, _ in next_commands(view, "s", Path("keys/signing.pub.pem"))]
    assert commands[0] == "make certify-env demo"
    assert f".venv/bin/bpp verify {BUNDLE} --key keys/signing.pub.pem" in commands


def test_messages_are_told_by_their_first_line():
    slack = Receiver(messages=[Message("/", {}, {"text": "Aurora got 24 episodes", "blocks": []}, accepted=True)])
    lab = Receiver(messages=[Message("/", {}, {"type": "dataset.delivered"}, accepted=True, note="signature verified")])
    assert describe_messages({"Slack": slack, "Lab": lab}) == "Slack: Aurora got 24 episodes. Lab: dataset.delivered (signature verified)"
    assert describe_messages({"Slack": Receiver(), "Lab": Receiver()}) == ""


def test_failure_shows_the_whole_message_and_the_log(tmp_path):
    """The error is not cut, and the log's path stands below it."""
    view = RunView()
    view.tasks["ingest_scene", -1] = TaskView(state="failed", error="[scene.bad] " + "long " * 60 + "end")
    slack = Receiver(messages=[Message("/", {}, {"text": "ingest_scene failed on s"}, accepted=True)])
    shown = text_of(lambda console: show_failure(console, view, tmp_path / "demo.log", slack))
    assert "ingest_scene: [scene.bad] " + "long " * 60 + "end" in shown
    assert f"{tmp_path / 'demo.log'}\n" in shown
    assert "Slack: ingest_scene failed on s" in shown


def test_early_end_shows_the_last_words(tmp_path):
    """Where no task failed, Airflow's own last lines are shown."""
    log = tmp_path / "demo.log"
    log.write_text("a\nModuleNotFoundError: x\n")
    assert "ModuleNotFoundError" in text_of(lambda console: show_failure(console, RunView(), log, Receiver()))
