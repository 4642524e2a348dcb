"""Pods that nobody waits for: their run was cancelled, deleted, or ended without them.

Left alone they use a machine until their deadline, and their objects stay for ever.
"""

import logging
from collections.abc import Callable
from datetime import timedelta
from functools import cache

from blueprint_pipeline.compute.breaker import ClusterBreaker
from blueprint_pipeline.compute.errors import ClusterRefused
from blueprint_pipeline.compute.profiles import Cluster, ComputeConfig
from blueprint_pipeline.registry.leases import LeaseRepository
from plugins.providers.kubernetes.api_errors import ApiUnreachable
from plugins.providers.kubernetes.pod_facts import PodFacts, now_utc
from plugins.providers.kubernetes.pods import ClusterPods

ENDED = frozenset({"success", "failed"})
"""State of a run whose tasks are all over."""
GRACE_S = 15
"""Between SIGTERM and SIGKILL of a pod that still works [s], as on a Spot node: what is finished is kept."""

log = logging.getLogger(__name__)


def remove_left_pods(config: ComputeConfig, leases: LeaseRepository, installation: str, state_of: Callable[[str, str], str]) -> list[str]:
    """Delete pods of an installation whose run is over, on every cluster that answers; their names.

    A pod whose run Airflow does not know may be of a drill, which has an Airflow of its own: it is deleted once it has ended.

    Args:
        config: Which clusters there are.
        leases: Where clusters that do not answer are noted; they are passed over.
        installation: Whose pods are looked at; those of others are theirs to delete.
        state_of: State of a run by DAG and run id; ``gone`` where Airflow does not know it. Asked once a run.
    """
    state_once = cache(state_of)
    passed_over = ClusterBreaker(leases, config.failover.breaker_s).open_clusters()
    removed: list[str] = []
    for cluster in config.clusters:
        if cluster.name not in passed_over:
            removed += _clear(cluster, installation, config.failover.gone_s, state_once)
    return removed


def _clear(cluster: Cluster, installation: str, gone_s: float, state_of: Callable[[str, str], str]) -> list[str]:
    pods, removed = ClusterPods(cluster, patience_s=1.0), []
    try:
        for facts, dag_id, run_id in pods.list_jobs(installation):
            state = state_of(dag_id, run_id)
            is_left = state in ENDED or (state == "gone" and facts.is_over)
            grace_s = _grace_s(facts, gone_s)
            if is_left and grace_s is not None and pods.ask_to_end(facts, grace_s):
                log.warning("pod %s on %s was left by run %s of %s, which is %s: deleted", facts.name, cluster.name, run_id, dag_id, state)
                removed.append(facts.name)
    except (ApiUnreachable, ClusterRefused) as error:
        log.warning("pods that may be left on %s stay: %s", cluster.name, error)
    return removed


def _grace_s(facts: PodFacts, gone_s: float) -> int | None:
    """How long a pod may take to end [s]; ``None`` where it was asked before and may still take its time."""
    if facts.deleted_at is None:
        return GRACE_S
    return 0 if now_utc() > facts.deleted_at + timedelta(seconds=gone_s) else None
