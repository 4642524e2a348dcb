"""A cluster that one worker left is passed over by all, for a while."""

from datetime import UTC, datetime, timedelta

from blueprint_pipeline.compute.breaker import ClusterBreaker
from blueprint_pipeline.registry.database import open_registry


def test_an_open_breaker_is_seen_by_all_and_closes_by_itself(settings):
    """The first reason stays; after its time one tries the cluster again."""
    now = [datetime(2026, 11, 23, tzinfo=UTC)]
    one, other = (ClusterBreaker(open_registry(settings.registry, lambda: now[0]).leases, 60) for _ in range(2))
    one.trip("alpha", "unreachable: connection refused")
    other.trip("alpha", "another")
    other.trip("beta", "quota")
    assert set(other.open_clusters()) == {"alpha", "beta"}
    now[0] += timedelta(seconds=61)
    assert one.open_clusters() == {}
