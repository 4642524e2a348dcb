"""Leases that a process or a machine left behind: free again once it is known to be gone, and counted."""

from blueprint_pipeline.registry.leases import LeaseRepository
from blueprint_pipeline.registry.records import Lease
from plugins.providers.metrics import count_left_lease


def free_left_leases(leases: LeaseRepository, holder: str) -> list[Lease]:
    """Give back what a holder that is over still has. Who ends by itself, even with an error, has given back all: then there is none."""
    freed = leases.release_all(holder)
    for _ in freed:
        count_left_lease()
    return freed
