"""Metrics of leases, over whatever Airflow sends its own (StatsD, OpenTelemetry).

``blueprint_pipeline.leases_left_behind`` counts leases that their holder did not give back, for its process or its machine went away
in the middle of a stage. Each counts once: where it is freed for one that is known to be gone, or where another takes it over.
"""

from collections.abc import Mapping

from airflow.sdk.observability import stats

from blueprint_pipeline.registry.leases import TAKEN_OVER

PREFIX = "blueprint_pipeline"


def count_event(event: Mapping[str, object]) -> None:
    """Count a log event of a stage, where it is one that is counted: a lease that was taken over from a holder that is gone."""
    if event.get("event") == TAKEN_OVER:
        count_left_lease()


def count_left_lease() -> None:
    """Count a lease that its holder did not give back."""
    stats.incr(f"{PREFIX}.leases_left_behind")
