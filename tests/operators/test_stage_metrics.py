"""Metrics of stages arrive where Airflow's own do."""

from blueprint_pipeline.compute.job import UnitDone
from operators.stage_metrics import count_stage


def test_what_a_stage_did_is_counted_and_what_was_found_is_not_counted_again(statsd):
    """Whole numbers add up, other numbers are gauges; ids and switches are no metrics."""
    made = UnitDone(result={"kept": 20, "usd": 0.5, "job_id": "j", "signed": True, "shard_index": 3}, found_done=False)
    count_stage("gate_episodes", [made, made.model_copy(update={"found_done": True})])
    assert statsd(4) == [
        "airflow.blueprint_pipeline.gate_episodes.done:1|c",
        "airflow.blueprint_pipeline.gate_episodes.found:1|c",
        "airflow.blueprint_pipeline.gate_episodes.kept:20|c",
        "airflow.blueprint_pipeline.gate_episodes.usd:0.5|g",
    ]
