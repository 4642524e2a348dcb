"""Metrics that log events of stages are made of, over whatever Airflow sends its own (StatsD, OpenTelemetry).

``blueprint_pipeline.leases_taken_over`` counts processes and machines that went away in the middle of a stage.
"""

from collections.abc import Mapping

from airflow.sdk.observability import stats

from blueprint_pipeline.registry.leases import TAKEN_OVER

PREFIX = "blueprint_pipeline"


def count_event(event: Mapping[str, object]) -> None:
    """Count a log event of a stage, where it is one that is counted: a lease whose holder did not give it back."""
    if event.get("event") == TAKEN_OVER:
        stats.incr(f"{PREFIX}.leases_taken_over")
