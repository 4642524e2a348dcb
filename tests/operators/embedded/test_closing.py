"""The end of the demo says where, what, why, how much, and what did not run."""

import io

from rich.console import Console

from operators.embedded.closing import certificate, cost, delivered, readable_message, show_failure
from operators.embedded.progress import RunView, TaskView
from operators.embedded.receivers import Message, Receiver


def view_of(**results):
    view = RunView()
    for name, result in results.items():
        view.tasks[name, -1] = TaskView(state="success", result=result)
    return view


def text_of(draw):
    console = Console(width=200, record=True, file=io.StringIO())
    draw(console)
    return console.export_text()


def test_checks_that_did_not_run_are_named_with_what_to_do():
    """A certificate without them must not look whole."""
    lines = certificate(view_of(certify_dataset={"certified": False, "passed": ["structure"], "failed": [], "not_run": ["lerobot"]}))
    assert lines[0].startswith("NOT certified: 1 checks passed")
    assert "did not run: lerobot. `make certify-env`" in lines[1]


def test_failed_checks_are_named():
    lines = certificate(view_of(certify_dataset={"certified": False, "passed": [], "failed": ["rdq"], "not_run": []}))
    assert lines[1] == "failed: rdq"


def test_cost_says_how_well_it_is_known():
    """Measured, estimated and unknown are not mixed."""
    result = {
        "usd_per_kept_episode": 0.0021,
        "usd_per_kept_episode_certainty": "estimated",
        "measured_usd": 0.01,
        "estimated_usd": 0.02,
        "unknown_entries": 3,
        "price_tables": ["2026-11-01"],
    }
    (line,) = cost(view_of(price_run=result))
    assert "0.0021 USD (estimated)" in line
    assert "3 entries not known" in line
    (line,) = cost(view_of(price_run={**result, "usd_per_kept_episode": None}))
    assert "cost per kept episode: not known" in line


def test_places_of_what_was_delivered():
    packed = {"licence": "CC-BY-4.0", "signing_keyid": "f" * 64}
    delivery = {"location": "/labs/b", "report_url": "file:///labs/b/index.html", "size_bytes": 2_000_000, "files": 3}
    rows = dict(delivered(view_of(package_bundle=packed, deliver_bundle=delivery)))
    assert rows["bundle"] == "/labs/b"
    assert rows["size"] == f"2.0 MB in 3 files, signed with key {'f' * 16}"


def test_messages_are_readable():
    """Blocks as text, plain JSON as lines."""
    block = {"type": "section", "text": {"type": "mrkdwn", "text": "*Kept*"}, "fields": [{"type": "mrkdwn", "text": "23"}]}
    assert readable_message(Message("/", {}, {"text": "t", "blocks": [block]}, accepted=True)) == "*Kept*\n23"
    assert readable_message(Message("/", {}, {"type": "x"}, accepted=True)) == "type: x"
    assert readable_message(Message("/", {}, "plain", accepted=True)) == "plain"


def test_failure_shows_the_whole_message_and_the_log(tmp_path):
    """The error is not cut, and the log's path stands below it."""
    view = RunView()
    view.tasks["ingest_scene", -1] = TaskView(state="failed", error="[scene.bad] " + "long " * 60 + "end")
    slack = Receiver(messages=[Message("/", {}, {"type": "told"}, accepted=True)])
    text = text_of(lambda console: show_failure(console, view, tmp_path / "demo.log", slack))
    assert "end" in text
    assert "demo.log" in text
    assert "type: told" in text


def test_early_end_shows_the_last_words(tmp_path):
    """Where no task failed, Airflow's own last lines are shown."""
    log = tmp_path / "demo.log"
    log.write_text("a\nModuleNotFoundError: x\n")
    text = text_of(lambda console: show_failure(console, RunView(), log, Receiver()))
    assert "ModuleNotFoundError" in text
