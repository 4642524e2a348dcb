"""A circuit breaker for clusters that all workers share: who leaves a cluster tells the others through the registry.

An open breaker is a lease that nobody renews, so it closes by itself; then the next job tries the cluster again.

Source: M. Nygard, "Release It!", circuit breaker.
"""

from blueprint_pipeline.registry.leases import LeaseHeld, LeaseRepository

_PREFIX = "cluster/"
_HOLDER_LENGTH = 200


class ClusterBreaker:
    """Which clusters are passed over for now."""

    def __init__(self, leases: LeaseRepository, open_s: float) -> None:
        self._leases = leases
        self._open_s = open_s

    def trip(self, cluster: str, reason: str) -> None:
        """Pass over a cluster for ``open_s`` [s] from now; where a living process has just said so, its time counts."""
        try:
            self._leases.acquire(f"{_PREFIX}{cluster}", f"breaker: {reason}"[:_HOLDER_LENGTH], self._open_s)
        except LeaseHeld:
            return

    def open_clusters(self) -> dict[str, str]:
        """Clusters that are passed over now, each with the reason."""
        active = self._leases.active()
        return {lease.name.removeprefix(_PREFIX): lease.holder for lease in active if lease.name.startswith(_PREFIX)}
