"""A circuit breaker for clusters that all workers share: who finds that one does not answer tells the others through the registry.

A cluster without room is no broken one: it stays in use, and comes last for pods of that profile alone.

An open breaker is a lease that nobody renews, so it closes by itself; then the next job tries the cluster again.

Source: M. Nygard, "Release It!", circuit breaker.
"""

from blueprint_pipeline.registry.leases import LeaseHeld, LeaseRepository

_PREFIX = "cluster/"
_FULL = "room/"
_HOLDER_LENGTH = 200


class ClusterBreaker:
    """Which clusters are passed over for now."""

    def __init__(self, leases: LeaseRepository, open_s: float) -> None:
        self._leases = leases
        self._open_s = open_s

    def trip(self, cluster: str, reason: str) -> None:
        """Pass over a cluster for ``open_s`` [s] from now; where a living process has just said so, its time counts."""
        self._note(f"{_PREFIX}{cluster}", f"breaker: {reason}")

    def note_full(self, cluster: str, profile: str, reason: str) -> None:
        """Let a cluster come last for pods of a profile, for as long."""
        self._note(f"{_FULL}{profile}/{cluster}", f"no room: {reason}")

    def open_clusters(self) -> dict[str, str]:
        """Clusters that are passed over now, each with the reason."""
        return self._noted(_PREFIX)

    def full_clusters(self, profile: str) -> dict[str, str]:
        """Clusters that had no room for a profile just now, each with the reason."""
        return self._noted(f"{_FULL}{profile}/")

    def _note(self, name: str, reason: str) -> None:
        try:
            self._leases.acquire(name, reason[:_HOLDER_LENGTH], self._open_s)
        except LeaseHeld:
            return

    def _noted(self, prefix: str) -> dict[str, str]:
        active = self._leases.active()
        return {lease.name.removeprefix(prefix): lease.holder for lease in active if lease.name.startswith(prefix)}
