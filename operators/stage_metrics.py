"""Metrics of stages, over whatever Airflow sends its own (StatsD, OpenTelemetry): nothing where it sends none.

``blueprint_pipeline.{stage}.done`` and ``.found`` count requests that were worked on, and found done; each whole number of a result
(``kept``, ``rejected``, ``frames``) is a counter of work that was done, so that its sum over a night means something, and each other number
a gauge.
"""

from collections.abc import Sequence

from airflow.sdk.observability import stats

from blueprint_pipeline.compute.job import UnitDone

PREFIX = "blueprint_pipeline"


def count_stage(stage: str, done: Sequence[UnitDone]) -> None:
    """Count what a stage did; what was found done is counted as such, and its numbers not again."""
    for unit in done:
        stats.incr(f"{PREFIX}.{stage}.{'found' if unit.found_done else 'done'}")
        if unit.found_done:
            continue
        for name, value in unit.result.items():
            if isinstance(value, bool) or name.endswith("_index"):
                continue
            if isinstance(value, int):
                stats.incr(f"{PREFIX}.{stage}.{name}", count=value)
            elif isinstance(value, float):
                stats.gauge(f"{PREFIX}.{stage}.{name}", value)
