"""Where the pod of a job is: found wherever it may be, made where there is room, gone before it is made again."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from blueprint_pipeline.compute.breaker import ClusterBreaker
from blueprint_pipeline.compute.errors import ClusterRefused, ClusterUnreachable, NoCapacity
from blueprint_pipeline.compute.job import JobSpec
from blueprint_pipeline.compute.profiles import Cluster, ComputeConfig
from blueprint_pipeline.registry.leases import LeaseRepository, lease_holder
from blueprint_pipeline.registry.sessions import RegistryUnavailable
from operators.left_leases import free_left_leases
from plugins.providers.kubernetes.api_errors import ApiUnreachable, QuotaUsedUp
from plugins.providers.kubernetes.pod_facts import PodFacts
from plugins.providers.kubernetes.pod_spec import build_pod
from plugins.providers.kubernetes.pods import ClusterPods, PodNotGone

STATE_KEY = "job_pod"
"""Where a task's state keeps where its pod is."""
_UNREACHABLE = "unreachable"

log = logging.getLogger(__name__)


@dataclass
class JobState:
    """What a task remembers of its pod from one process to the next, through Airflow's task state."""

    store: Any
    cluster: str | None = None
    uid: str | None = None
    image: str | None = None
    left: dict[str, str] = field(default_factory=dict)
    """Clusters that this round left, each with the reason; those that did not answer begin with ``unreachable``."""

    @classmethod
    def load(cls, store: Any) -> "JobState":
        """As the task before left it; empty where there is none. What a newer version keeps beside is passed over."""
        found = store.get(STATE_KEY, None) if store is not None else None
        known = {item.name for item in fields(cls)} - {"store"}
        return cls(store=store, **({name: found[name] for name in known & found.keys()} if isinstance(found, dict) else {}))

    def save(self) -> None:
        """Keep it for the next process."""
        if self.store is not None:
            self.store.set(STATE_KEY, {"cluster": self.cluster, "uid": self.uid, "image": self.image, "left": self.left})


@dataclass(frozen=True)
class Placed:
    """A pod, and where it is."""

    cluster: Cluster
    uid: str


class JobPods:
    """The pods of one job on all clusters."""

    def __init__(
        self,
        spec: JobSpec,
        config: ComputeConfig,
        state: JobState,
        leases: LeaseRepository,
        *,
        templates: Path,
        labels: Mapping[str, str],
        installation: str,
    ) -> None:
        self.spec = spec
        self.config = config
        self.state = state
        self._leases = leases
        self._breaker = ClusterBreaker(leases, config.failover.breaker_s)
        self._templates = templates
        self._labels = labels
        self._installation = installation

    def find(self) -> Placed | None:
        """The job's pod, on whatever cluster it is; ``None`` where no cluster that answers has it.

        A cluster that does not answer and had the pod last is believed to have it still: whoever watches it will see.

        Raises:
            JobNameTaken: Another job's pod has its name.
        """
        passed_over = self._breaker.open_clusters()
        for cluster in sorted(self.config.clusters, key=lambda cluster: cluster.name != self.state.cluster):
            remembered = cluster.name == self.state.cluster
            if cluster.name in self.state.left or (cluster.name in passed_over and not remembered):
                continue
            pods = ClusterPods(cluster)
            try:
                found = pods.read(self.spec.name)
            except ApiUnreachable as error:
                if remembered and self.state.uid:
                    return Placed(cluster, self.state.uid)
                self._abandon(cluster, str(error))
                continue
            if found is not None:
                pods.validate(found, self.spec.key)
                return self._record_place(cluster, found)
        return None

    def create(self) -> Placed:
        """Make the pod on the first cluster that takes it; those that the breaker has out come last, after those that were full.

        Raises:
            NoCapacity: All were tried, and one at least has no room.
            ClusterUnreachable: None answers.
            JobNameTaken: Another job's pod has its name.
            PodInvalid, ClusterRefused: A cluster says no, and would say it again.
        """
        for cluster in self._in_order():
            if cluster.name in self.state.left:
                continue
            pod = build_pod(self.spec, cluster, self._templates, self._labels, installation=self._installation)
            try:
                return self._record_place(cluster, ClusterPods(cluster).create_or_adopt(pod, self.spec.key))
            except ApiUnreachable as error:
                self._abandon(cluster, str(error))
            except QuotaUsedUp as error:
                self._pass_over(cluster, f"quota: {error}")
        left = self.state.left
        last = next(reversed(left.values()), "no cluster was tried")
        if all(reason.startswith(_UNREACHABLE) for reason in left.values()):
            raise ClusterUnreachable(self.spec.name, list(left), last)
        raise NoCapacity(self.spec.name, list(left), last)

    def leave_unreachable(self, cluster: Cluster, reason: str) -> None:
        """Give up a cluster that does not answer; leases keep the next pod from working beside one that lives there."""
        self._abandon(cluster, reason)

    def leave_full(self, cluster: Cluster, facts: PodFacts | None, reason: str) -> None:
        """Give up a cluster that has no node for the pod, for this round; the pod is gone first."""
        if facts is not None:
            self.remove(cluster, facts)
        self._pass_over(cluster, f"unschedulable: {reason}")

    def begin_round(self) -> None:
        """Look at all clusters again."""
        self.state.left = {}

    def remove(self, cluster: Cluster, facts: PodFacts) -> None:
        """Delete the pod, wait until it is gone, and free the leases of a process that is known to have ended."""
        try:
            ended = ClusterPods(cluster).delete(facts, grace_s=self.spec.profile.grace_s, gone_s=self.config.failover.gone_s)
        except (ApiUnreachable, PodNotGone) as error:
            log.warning("pod %s on %s may still be there (%s): leases keep its work from being done twice", facts.name, cluster.name, error)
            return
        if ended:
            self._free_leases(facts)
        self.state.uid = self.state.image = None  # the next pod may have another image
        self.state.save()

    def remove_others(self, cluster: Cluster) -> None:
        """Once the job is done, end what may be left of it on clusters that it left and that answer again."""
        for other in self.config.clusters:
            if other.name == cluster.name or other.name not in self.state.left:
                continue
            try:
                found = ClusterPods(other, patience_s=1.0).read(self.spec.name)
            except (ApiUnreachable, ClusterRefused):
                log.warning(
                    "%s does not answer; pod %s, if it is still there, will end by itself, for its work is done", other.name, self.spec.name
                )
                continue
            if found is not None and found.key == self.spec.key:
                self.remove(other, found)

    def _record_place(self, cluster: Cluster, facts: PodFacts) -> Placed:
        self.state.cluster, self.state.uid, self.state.image = cluster.name, facts.uid, self.spec.profile.image
        self.state.save()
        return Placed(cluster, facts.uid)

    def _free_leases(self, facts: PodFacts) -> None:
        try:
            for lease in free_left_leases(self._leases, lease_holder(self.spec.correlation_id, facts.uid)):
                log.info("lease %s of pod %s is free again", lease.name, facts.name)
        except RegistryUnavailable as error:
            log.warning("leases of pod %s are left to expire: %s", facts.name, error)

    def _in_order(self) -> list[Cluster]:
        broken, full = self._breaker.open_clusters(), self._breaker.full_clusters(self.spec.profile.name)
        return sorted(self.config.clusters, key=lambda cluster: (cluster.name in broken, cluster.name in full))

    def _abandon(self, cluster: Cluster, reason: str) -> None:
        """Leave a cluster that does not answer, and let all others know."""
        self._breaker.trip(cluster.name, f"{_UNREACHABLE}: {reason}")
        self._leave(cluster, f"{_UNREACHABLE}: {reason}")

    def _pass_over(self, cluster: Cluster, reason: str) -> None:
        """Leave a cluster without room; jobs of the same profile try others first."""
        self._breaker.note_full(cluster.name, self.spec.profile.name, reason)
        self._leave(cluster, reason)

    def _leave(self, cluster: Cluster, reason: str) -> None:
        log.warning("job %s leaves %s: %s", self.spec.name, cluster.name, reason)
        self.state.left[cluster.name] = reason
        self.state.save()
