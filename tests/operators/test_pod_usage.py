"""What a pod held beyond its commits is booked once; nothing is missed, nothing is counted twice."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from blueprint_pipeline.compute.job import JobSpec
from blueprint_pipeline.compute.profiles import Cluster, Profile
from blueprint_pipeline.compute.record import JobRecord, UnitRecord
from blueprint_pipeline.cost.job_usage import committed_seconds, job_entries, reconcile
from blueprint_pipeline.price.table import load_price_table
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.registry.records import Certainty
from operators.pod_usage import build_usage
from plugins.providers.kubernetes.pod_facts import NodeFacts, PodFacts
from plugins.providers.kubernetes.pod_trigger import JobEvent

START = datetime(2026, 11, 23, 8, tzinfo=UTC)
SPEC = JobSpec(stage="simulate_shard", requests=({"scene_id": "s1", "shard_index": 0},), run_id="r1", profile=Profile(name="gpu"))
CLUSTER = Cluster(
    name="a",
    region="us-central1",
    connection="a",
    namespace="n",
    machines={"gpu": "gce_g2_standard_8_spot"},
    instance_types={"g2-standard-8": "gce_g2_standard_8", "g2-standard-8/spot": "gce_g2_standard_8_spot"},
)


def record(committed_s=(300.0,), wall_s=395.0, **more):
    units = tuple(UnitRecord(request={}, state="done", wall_s=seconds) for seconds in committed_s)
    fields = {"units": units, "started_at": START, "finished_at": START + timedelta(seconds=wall_s), "wall_s": wall_s, **more}
    return JobRecord(name=SPEC.name, key=SPEC.key, stage=SPEC.stage, run_id="r1", attempt=1, host="h", machine="m", **fields)


def told(kind="succeeded", pod_s=400.0, spot=True, **more):
    pod = PodFacts(
        name=SPEC.name,
        uid="u1",
        key=SPEC.key,
        phase="Succeeded",
        created_at=START - timedelta(seconds=60),
        scheduled_at=START - timedelta(seconds=30),
        started_at=START,
        finished_at=None if pod_s is None else START + timedelta(seconds=pod_s),
        node="node-0",
    )
    node = NodeFacts(name="node-0", instance_type="g2-standard-8", spot=spot, accelerator="nvidia-l4")
    return JobEvent(kind=kind, cluster="a", uid="u1", pod=pod, node=node, **more)


def usage_of(event, found):
    return build_usage(SPEC, CLUSTER, event, pod=event.pod, record=found)


def test_idle_seconds_are_booked_for_every_line_that_is_billed_by_time():
    """400 s on the node, 300 s of them in commits: 100 s of host and GPU at Spot prices; operations are the commits' own."""
    usage = usage_of(told(), record())
    assert (usage.idle_s, usage.node_s, usage.mismatch) == (100.0, 430.0, ())
    prices = load_price_table(START.date())
    entries = job_entries(usage, prices)
    assert [entry.item for entry in entries] == ["pod.host", "pod.gpu"]
    assert entries[1].amount_usd == (Decimal("0.2231") * Decimal(repr(100 / 3600))).quantize(Decimal("1e-9"))
    assert {entry.certainty for entry in entries} == {Certainty.MEASURED}


def test_a_preempted_pod_is_priced_whole():
    """It made no commit: all of its time is booked here."""
    assert usage_of(told("failed", pod_s=90.0), record(committed_s=(), wall_s=88.0)).idle_s == 90.0


def test_a_lost_pod_is_an_estimate():
    """Nobody saw its end: what its record says counts."""
    usage = usage_of(told("lost", pod_s=None), record(committed_s=(50.0,), wall_s=80.0, finished_at=None))
    assert (usage.pod_s, usage.idle_s, usage.pod_s_certainty) == (80.0, 30.0, Certainty.ESTIMATED)
    assert {entry.certainty for entry in job_entries(usage, load_price_table(START.date()))} == {Certainty.ESTIMATED}


def test_what_does_not_fit_is_marked():
    """Another machine than expected, other seconds, commits that claim more than there was."""
    assert "gce_g2_standard_8, and" in usage_of(told(spot=False), record()).mismatch[0]
    assert usage_of(told(spot=False), record()).machine == "gce_g2_standard_8"
    assert "the job says 100.0 s" in reconcile(record(wall_s=100), pod_s=400, committed_s=0, machine="m", expected_machine="m")[0]
    assert "claim 500.0 s" in reconcile(None, pod_s=400, committed_s=500, machine="m", expected_machine="m")[0]
    assert reconcile(record(), pod_s=400, committed_s=300, machine="m", expected_machine="m") == ()


@pytest.mark.parametrize(
    ("pod_s", "wall_s", "agree"),
    [
        pytest.param(400.0, 360.0, True, id="a tenth less"),
        pytest.param(400.0, 359.0, False, id="more than a tenth less"),
        pytest.param(400.0, 440.0, True, id="a tenth more"),
        pytest.param(400.0, 441.0, False, id="more than a tenth more"),
        pytest.param(50.0, 40.0, True, id="short, ten seconds less"),
        pytest.param(50.0, 39.0, False, id="short, more than ten seconds less"),
    ],
)
def test_seconds_may_differ_by_ten_or_a_tenth(pod_s, wall_s, agree):
    """Whichever is larger; the same bound holds for what the commits claim. A job that has not ended says nothing yet."""
    machines = {"machine": "m", "expected_machine": "m"}
    said = reconcile(record(wall_s=wall_s), pod_s=pod_s, committed_s=0, **machines)
    assert bool(said) is not agree
    assert reconcile(record(wall_s=wall_s, finished_at=None), pod_s=pod_s, committed_s=0, **machines) == ()
    claimed = reconcile(None, pod_s=pod_s, committed_s=wall_s, **machines)
    assert bool(claimed) is (wall_s > pod_s and not agree)


def test_a_pod_whose_commits_account_for_all_is_booked_nothing():
    """Neither where they claim as much as it held, nor where the two clocks differ by a second."""
    for committed_s in (400.0, 401.0):
        usage = usage_of(told(), record(committed_s=(committed_s,)))
        assert usage.idle_s == 0
        assert job_entries(usage, load_price_table(START.date())) == []


def test_booked_twice_is_booked_once(settings):
    """A task that starts again books the same entries."""
    registry = open_registry(settings.registry)
    entries = job_entries(usage_of(told(), record()), load_price_table(START.date()))
    assert [registry.ledger.record(entries), registry.ledger.record(entries)] == [2, 0]


def test_a_pod_without_a_record_committed_nothing():
    """It went away before it wrote one: all that it held is booked here, however short it was."""
    assert committed_seconds(None) == 0
    event = told("failed", pod_s=0.5)
    event = event.model_copy(update={"pod": event.pod.model_copy(update={"scheduled_at": START})})
    usage = usage_of(event, None)
    assert (usage.pod_s, usage.node_s, usage.idle_s) == (0.5, 0.5, 0.5)


def test_found_work_is_not_this_pods():
    found = record(committed_s=())
    found = found.model_copy(update={"units": (UnitRecord(request={}, state="done", found_done=True),)})
    assert committed_seconds(found) == 0


def test_work_found_on_another_machine_is_not_booked_again(settings, sound_scene):
    """After a failover to a region with other machines the commit keeps its one price."""
    from blueprint_pipeline.settings import ComputeSettings
    from blueprint_pipeline.stage.runner import run_unit

    request = {"scene_id": "s1", "source": str(sound_scene)}
    made = run_unit("ingest_scene", request, settings)
    other = settings.model_copy(update={"compute": ComputeSettings(machine="gce_g2_standard_8_spot")})
    again = run_unit("ingest_scene", request, other)
    assert (made.found, again.found) == (False, True)
    machines = {entry.machine for entry in open_registry(settings.registry).ledger.entries(scene_id="s1")}
    assert machines == {"local_laptop"}


@pytest.mark.parametrize("kind", ["unschedulable", "image"])
def test_a_pod_that_never_ran_costs_nothing(kind, settings):
    from blueprint_pipeline.workspace.storage import Workspace
    from operators.pod_usage import book_usage

    event = told(kind)
    event = event.model_copy(update={"pod": event.pod.model_copy(update={"started_at": None})})
    assert book_usage(Workspace(settings.workspace).scene("s1"), SPEC, CLUSTER, event, None) is None


def test_a_pod_that_was_given_up_and_came_back_is_booked_once(environment, settings):
    """While its cluster was silent, what its record said was booked; when its end is seen, the rest: together what it held."""
    from blueprint_pipeline.settings import load_settings
    from blueprint_pipeline.workspace.storage import Workspace
    from operators.pod_usage import book_usage

    scene = Workspace(load_settings().workspace).scene("s1")
    lost = told("unreachable", pod_s=None)
    seen = told()
    for event, found in ((lost, record(committed_s=(), wall_s=80.0, finished_at=None)), (seen, record()), (seen, record())):
        book_usage(scene, SPEC, CLUSTER, event, found)
    entries = open_registry(load_settings().registry).ledger.entries(scene_id="s1")
    hours = sum(entry.quantity for entry in entries if entry.item == "pod.gpu")
    assert hours * 3600 == pytest.approx(100.0)
