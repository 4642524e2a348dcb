"""Metrics of stages arrive where Airflow's own do."""

from airflow.sdk.observability import stats

from blueprint_pipeline.compute.job import UnitDone
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.registry.leases import TAKEN_OVER, lease_holder
from operators.left_leases import free_left_leases
from operators.stage_metrics import count_stage
from plugins.providers.metrics import count_event


def test_what_a_stage_did_is_counted_and_what_was_found_is_not_counted_again(statsd):
    """Quantities add up; an index, a status code and an id are no metrics."""
    simulated = UnitDone(result={"shard_index": 3, "attempted": 6, "succeeded": 5, "failures": {}, "frames": 900}, found_done=False)
    count_stage("simulate_shard", [simulated, simulated.model_copy(update={"found_done": True})])
    told = UnitDone(result={"lab": "l", "message_id": "m", "attempts": 2, "status_code": 200}, found_done=False)
    count_stage("notify_lab", [told])
    stats.incr("end")
    assert statsd(8) == [
        "airflow.blueprint_pipeline.notify_lab.attempts:2|c",
        "airflow.blueprint_pipeline.notify_lab.done:1|c",
        "airflow.blueprint_pipeline.simulate_shard.attempted:6|c",
        "airflow.blueprint_pipeline.simulate_shard.done:1|c",
        "airflow.blueprint_pipeline.simulate_shard.found:1|c",
        "airflow.blueprint_pipeline.simulate_shard.frames:900|c",
        "airflow.blueprint_pipeline.simulate_shard.succeeded:5|c",
        "airflow.end:1|c",
    ]


def test_a_gate_counts_the_episodes_that_it_judged(statsd):
    """Its result names them; the metric is how many."""
    judged = {"tier": "core", "kept": ["ep_1", "ep_2"], "rejected": ["ep_3"], "borderline": [], "top_reasons": ["slow"]}
    count_stage("gate_episodes", [UnitDone(result=judged, found_done=False)])
    assert statsd(4) == [
        "airflow.blueprint_pipeline.gate_episodes.borderline:0|c",
        "airflow.blueprint_pipeline.gate_episodes.done:1|c",
        "airflow.blueprint_pipeline.gate_episodes.kept:2|c",
        "airflow.blueprint_pipeline.gate_episodes.rejected:1|c",
    ]


def test_a_lease_that_was_taken_over_is_counted(statsd):
    """A process or a machine went away; other events of a stage are none."""
    for event in ({"event": "stage started"}, {"event": TAKEN_OVER, "former": "d/run-1"}):
        count_event(event)
    stats.incr("end")
    assert statsd(2) == ["airflow.blueprint_pipeline.leases_left_behind:1|c", "airflow.end:1|c"]


def test_a_lease_that_a_lost_pod_left_is_counted_where_it_is_freed(settings, statsd):
    """The next pod finds nothing to take over; what a pod gave back itself is not counted."""
    holder = lease_holder("d/run-1", "pod-1")
    with open_registry(settings.registry) as registry:
        registry.leases.release(registry.leases.acquire("kitchen/settle_scene", holder, 60))
        assert free_left_leases(registry.leases, holder) == []
        registry.leases.acquire("kitchen/simulate_shard.0003", holder, 60)
        assert [lease.name for lease in free_left_leases(registry.leases, holder)] == ["kitchen/simulate_shard.0003"]
        assert registry.leases.active() == []
    stats.incr("end")
    assert statsd(2) == ["airflow.blueprint_pipeline.leases_left_behind:1|c", "airflow.end:1|c"]
