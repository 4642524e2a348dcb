"""Metrics of stages, over whatever Airflow sends its own (StatsD, OpenTelemetry): nothing where it sends none.

``blueprint_pipeline.{stage}.done`` and ``.found`` count requests that were worked on, and found done; each quantity that the stage's row
names (``attempted``, ``kept``, ``frames``) is a counter of work that was done, so that its sum over a night means something.
"""

from collections.abc import Sequence

from airflow.sdk.observability import stats

from blueprint_pipeline.compute.job import UnitDone
from blueprint_pipeline.stage.flow import STAGES
from plugins.providers.metrics import PREFIX


def count_stage(stage: str, done: Sequence[UnitDone]) -> None:
    """Count what a stage did; what was found done is counted as such, and its quantities not again."""
    for unit in done:
        stats.incr(f"{PREFIX}.{stage}.{'found' if unit.found_done else 'done'}")
        if unit.found_done:
            continue
        for name, count in STAGES[stage].count(unit.result).items():
            stats.incr(f"{PREFIX}.{stage}.{name}", count=count)
