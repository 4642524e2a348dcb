"""A pod's watcher against an API that answers as the real one does: logs without loss, and nothing waited for without bound."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import pytest

from plugins.providers.kubernetes.pod_trigger import JobPodTrigger

POD, LOG = "/api/v1/namespaces/n/pods/p", "/api/v1/namespaces/n/pods/p/log"
NOW = datetime.now(UTC).replace(microsecond=0)
WATCH = {
    "cluster": "fake",
    "connection": "kube_fake",
    "namespace": "n",
    "pod": "p",
    "uid": "u",
    "grace_s": 1,
    "timeout_s": 3600,
    "unschedulable_s": 600,
    "unreachable_s": 1,
    "gone_s": 30,
    "poll_s": 0.05,
    "quiet_s": 0,
    "field_of_a_newer_version": 1,
}


class Lines(logging.Handler):
    """Keeps what the trigger writes into the task's log."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())

    def __contains__(self, text):
        return any(text in line for line in self.lines)

    def seen(self):
        """Lines of the pod."""
        return [line for line in self.lines if line.startswith("line ")]


@pytest.fixture
def task_log(monkeypatch):
    log, handler = logging.getLogger("task of a pod"), Lines()
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(handler)
    monkeypatch.setattr(JobPodTrigger, "log", log)
    yield handler
    log.removeHandler(handler)


def iso(time):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def pod(phase="Succeeded", state=None, **status):
    """A pod as JSON, on a node for an hour."""
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": iso(NOW - timedelta(hours=1))}
    return {
        "metadata": {"name": "p", "uid": "u", "creationTimestamp": iso(NOW - timedelta(hours=1)), "annotations": {}},
        "spec": {"containers": [{"name": "base", "image": "i"}], "nodeName": "node-1"},
        "status": {
            "phase": phase,
            "conditions": [scheduled],
            "containerStatuses": [{"name": "base", "ready": False, "restartCount": 0, "image": "i", "imageID": "", "state": state}],
            **status,
        },
    }


ENDED = {"terminated": {"exitCode": 0, "startedAt": iso(NOW - timedelta(seconds=60)), "finishedAt": iso(NOW)}}
RUNNING = {"running": {"startedAt": iso(NOW - timedelta(seconds=60))}}


def watch(fake_api, *pods, **changes):
    """What the trigger tells; the API shows these pods one after the other, the last one for ever."""
    waiting = list(pods)
    fake_api.answers[f"GET {POD}"] = lambda _query: (200, waiting.pop(0) if len(waiting) > 1 else waiting[0])

    async def first():
        async for event in JobPodTrigger({**WATCH, **changes}).run():
            return event.payload
        return None

    return asyncio.run(first())


def lines_since(lines):
    """A log's answer: whole seconds of the stamps, by the clock of the node that made them."""

    def answer(query):
        since = query.get("sinceTime", [""])[0][:19]
        return 200, b"".join(line for line in lines if line[:19].decode() >= since)

    return answer


def stamped(time, text):
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S.%f')}000Z {text}\n".encode()


@pytest.mark.parametrize("ahead_s", [0, 4, -600])
def test_no_line_is_lost_in_a_burst_whatever_the_nodes_clock_says(fake_api, task_log, ahead_s):
    """30 000 lines of 120 bytes in three seconds (3.6 MB), read while it runs and at the end; each once, in order."""
    begin = NOW + timedelta(seconds=ahead_s)
    lines = [stamped(begin + timedelta(microseconds=100 * n), f"line {n:<110}") for n in range(30_000)]
    shown = [lines[:9_000], lines[:20_500], lines]

    def answer(query):
        return lines_since(shown.pop(0) if len(shown) > 1 else shown[0])(query)

    fake_api.answers[f"GET {LOG}"] = answer
    assert watch(fake_api, pod("Running", RUNNING), pod("Running", RUNNING), pod(state=ENDED))["kind"] == "succeeded"
    assert [int(line[5:]) for line in task_log.seen()] == list(range(30_000))


def test_a_long_line_ends_no_log(fake_api, task_log):
    """One line of 1.5 MB: its beginning, how much is missing, and all that follows."""
    lines = [stamped(NOW, "line a"), stamped(NOW, "line " + "x" * 1_500_000), stamped(NOW, "line b")]
    fake_api.answers[f"GET {LOG}"] = lines_since(lines)
    watch(fake_api, pod(state=ENDED))
    first, long, last = task_log.seen()
    assert (first, last) == ("line a", "line b")
    assert len(long) < 300_000
    assert "more bytes of this line are in the pod's log" in long


@pytest.mark.parametrize("status", [401, 429, 500])
def test_an_error_is_no_empty_log(fake_api, task_log, status):
    """It is asked for again: two errors, then all lines."""
    answers = [(status, {"kind": "Status", "message": "no"})] * 2
    fake_api.answers[f"GET {LOG}"] = lambda query: answers.pop() if answers else lines_since([stamped(NOW, "line 1")])(query)
    assert watch(fake_api, pod(state=ENDED))["kind"] == "succeeded"
    assert task_log.seen() == ["line 1"]


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_a_log_that_does_not_come_is_missed_aloud_and_costs_no_result(fake_api, task_log, status, monkeypatch):
    monkeypatch.setattr("plugins.providers.kubernetes.pod_trigger._LOG_TRIES", 2)
    fake_api.refuse(f"GET {LOG}", status, "no log for you")
    assert watch(fake_api, pod(state=ENDED))["kind"] == "succeeded"
    assert "no log for you" in task_log


def test_a_refused_read_is_told_and_does_not_end_the_trigger(fake_api):
    fake_api.refuse(f"GET {POD}", 403, "you may not")

    async def first():
        async for event in JobPodTrigger(WATCH).run():
            return event.payload
        return None

    event = asyncio.run(first())
    assert event["kind"] == "refused"
    assert "you may not" in event["reason"]


def waiting(reason, message=""):
    return {"waiting": {"reason": reason, "message": message}}


@pytest.mark.parametrize("reason", ["CreateContainerConfigError", "CreateContainerError", "RunContainerError"])
def test_a_container_that_cannot_be_made_is_given_up(fake_api, reason):
    """On its node for an hour: over the bound of five minutes."""
    event = watch(fake_api, pod("Pending", waiting(reason, 'secret "labs" not found')))
    assert event["kind"] == "not_started"
    assert 'secret "labs" not found' in event["reason"]


def event_of(kind, reason, at):
    return {
        "metadata": {"name": reason, "namespace": "n", "creationTimestamp": iso(at)},
        "involvedObject": {},
        "type": kind,
        "reason": reason,
        "message": f"{reason} of it",
        "lastTimestamp": iso(at),
    }


def test_a_volume_that_cannot_be_mounted_is_given_up(fake_api):
    """Only the pod's newest event says so; after it had a node for longer than ``setup_s``."""
    found = [event_of("Warning", "FailedMount", NOW), event_of("Normal", "Scheduled", NOW - timedelta(hours=1))]
    fake_api.answers["GET /api/v1/namespaces/n/events"] = lambda _query: (200, {"items": found})
    event = watch(fake_api, pod("Pending", waiting("ContainerCreating")), start_s=1e6)
    assert event["kind"] == "not_started"
    assert event["reason"] == "FailedMount: FailedMount of it"


def test_a_large_image_is_waited_for(fake_api):
    """The warning was before the pull began; then it runs."""
    found = [event_of("Warning", "FailedMount", NOW - timedelta(seconds=90)), event_of("Normal", "Pulling", NOW)]
    fake_api.answers["GET /api/v1/namespaces/n/events"] = lambda _query: (200, {"items": found})
    fake_api.answers[f"GET {LOG}"] = lines_since([])
    pulling = pod("Pending", waiting("ContainerCreating"))
    assert watch(fake_api, pulling, pulling, pod(state=ENDED), start_s=1e6)["kind"] == "succeeded"
    assert watch(fake_api, pulling, start_s=1800)["kind"] == "not_started"
