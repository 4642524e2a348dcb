"""Pods of one cluster, for a worker: read, create or adopt, delete and wait until gone.

Every call has a deadline, and is repeated while the API is busy (429), broken (5xx, 410) or wants another token (401).
"""

import logging
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import stamina
from pydantic import ValidationError

from blueprint_pipeline.compute.errors import JobNameTaken
from blueprint_pipeline.compute.job import JobSpec
from blueprint_pipeline.compute.profiles import Cluster
from plugins.providers.kubernetes.api_errors import CREATE, DELETE, ApiUnreachable, NameExists, PodGone, PodReplaced, translated
from plugins.providers.kubernetes.connections import Endpoint, build_hook, find_endpoint
from plugins.providers.kubernetes.pod_facts import PodFacts, facts_of
from plugins.providers.kubernetes.pod_spec import INSTALLATION_LABEL, SPEC_ANNOTATION, STAGE_LABEL

CALL_S = (5.0, 20.0)
"""Deadlines of connecting and of an answer [s]."""
PATIENCE_S = 30.0
"""How long a call is repeated [s]."""

Answer = TypeVar("Answer")
log = logging.getLogger(__name__)


class PodNotGone(Exception):
    """A pod that was deleted is still there after the wait."""


class JobPod(NamedTuple):
    """A pod of ours, and whose job it is."""

    facts: PodFacts
    dag_id: str
    run_id: str


class ClusterPods:
    """The pods of one cluster's namespace."""

    def __init__(self, cluster: Cluster, *, patience_s: float = PATIENCE_S) -> None:
        self.cluster = cluster
        self._patience_s = patience_s
        self._api: Any = None

    def read(self, name: str) -> PodFacts | None:
        """A pod by name; ``None`` if there is none.

        Raises:
            ApiUnreachable: The API does not answer.
        """
        try:
            return facts_of(
                self._call("read a pod", name, lambda api: api.read_namespaced_pod(name, self.cluster.namespace, _request_timeout=CALL_S))
            )
        except PodGone:
            return None

    def list_jobs(self, installation: str) -> list[JobPod]:
        """All pods that an installation made for jobs of runs of its Airflow's; a pod whose job cannot be read is passed over.

        Raises:
            ClusterRefused: The API does not let this process in.
            ApiUnreachable: The API does not answer.
        """
        options = {"label_selector": f"{STAGE_LABEL},{INSTALLATION_LABEL}={installation}", "_request_timeout": CALL_S}
        found = self._call("list pods", "", lambda api: api.list_namespaced_pod(self.cluster.namespace, **options)).items
        jobs = [(pod, self._read_job(pod)) for pod in found]
        return [JobPod(facts_of(pod), spec.dag_id, spec.run_id) for pod, spec in jobs if spec is not None and spec.dag_id]

    def _read_job(self, pod: Any) -> JobSpec | None:
        try:
            return JobSpec.model_validate_json((pod.metadata.annotations or {}).get(SPEC_ANNOTATION, ""))
        except ValidationError as error:
            name, why = pod.metadata.name, error.errors()[0]["msg"]
            log.warning("pod %s on %s has no job that this version can read, and is left alone: %s", name, self.cluster.name, why)
            return None

    def create_or_adopt(self, pod: dict[str, Any], key: str) -> PodFacts:
        """Create a pod, or take the one that has its name: the API lets no two of one name live.

        Raises:
            JobNameTaken: The pod of that name is another job's.
            QuotaUsedUp: The namespace has no room for it now.
            PodInvalid: The API will never take it.
            ClusterRefused: The API does not let this process in.
            ApiUnreachable: The API does not answer. The pod may have been made all the same: look for it later.
        """
        name = pod["metadata"]["name"]
        for _ in range(2):
            try:
                return facts_of(
                    self._call(CREATE, name, lambda api: api.create_namespaced_pod(self.cluster.namespace, pod, _request_timeout=CALL_S))
                )
            except NameExists:
                found = self.read(name)
            if found is not None:
                self.validate(found, key)
                log.info("pod %s already exists on %s (%s): adopted", name, self.cluster.name, found.phase)
                return found
        raise ApiUnreachable(f"{name} is taken and is missing, in turns")

    def validate(self, found: PodFacts, key: str) -> None:
        """Check that a pod is this job's.

        Raises:
            JobNameTaken: It is not.
        """
        if found.key != key:
            raise JobNameTaken(found.name, self.cluster.name, key, found.key)

    def delete(self, found: PodFacts, *, grace_s: int, gone_s: float) -> bool:
        """Delete a pod and wait until it is gone; ``True`` if its process is known to have ended.

        A pod whose node does not answer is removed by force after ``gone_s`` [s]: its process may go on, and leases keep it
        from being worked beside.

        Raises:
            ApiUnreachable: The API does not answer.
            PodNotGone: It is still there after all that.
        """
        if self.read(found.name) is None:
            return found.is_over  # gone without our doing: its process may live on a node that was cut off
        if self._delete_and_wait(found, grace_s, gone_s + grace_s):
            # The API drops a pod that was given a grace period when its node says that it ended, or when its node is gone.
            return True
        log.warning("pod %s on %s does not end: its node does not answer; removed by force", found.name, self.cluster.name)
        if not self._delete_and_wait(found, 0, gone_s):
            raise PodNotGone(found.name)
        return found.is_over

    def _delete_and_wait(self, found: PodFacts, grace_s: int, wait_s: float) -> bool:
        """Delete a pod; ``True`` once it is gone, ``False`` if it is not after ``wait_s`` [s]."""
        if not self.ask_to_end(found, grace_s):
            return True

        def look() -> None:
            now = self.read(found.name)
            if now is not None and now.uid == found.uid:
                raise PodNotGone(found.name)

        try:
            stamina.RetryingCaller(attempts=None, timeout=wait_s, wait_initial=0.3, wait_max=2.0, wait_jitter=0.1)(PodNotGone, look)
        except PodNotGone:
            return False
        return True

    def ask_to_end(self, found: PodFacts, grace_s: int) -> bool:
        """Delete a pod and do not wait; ``False`` if it is gone already.

        Raises:
            ClusterRefused: The API does not let this process in.
            ApiUnreachable: The API does not answer.
        """
        body = {"gracePeriodSeconds": grace_s, "preconditions": {"uid": found.uid}}
        try:
            self._call(
                DELETE,
                found.name,
                lambda api: api.delete_namespaced_pod(found.name, self.cluster.namespace, body=body, _request_timeout=CALL_S),
            )
        except (PodGone, PodReplaced):
            return False
        return True

    def find_endpoint(self) -> Endpoint | None:
        """Where the API is, for the triggerer; ``None`` where the connection says it, and where Google does not answer now.

        Raises:
            ClusterRefused: Google does not let this process in, or knows no such cluster.
        """
        try:
            with translated(self.cluster.name, "find its endpoint"):
                return find_endpoint(self.cluster)
        except ApiUnreachable as error:
            log.warning("the endpoint of %s is not known yet, the triggerer asks again: %s", self.cluster.name, error)
            return None

    def _call(self, call: str, name: str, work: Callable[[Any], Answer]) -> Answer:
        def attempt() -> Answer:
            try:
                with translated(self.cluster.name, call, name):
                    if self._api is None:
                        self._api = build_hook(self.cluster).core_v1_client
                    return work(self._api)
            except ApiUnreachable:
                self._api = None  # the next try reads the credentials again
                raise

        caller = stamina.RetryingCaller(attempts=None, timeout=self._patience_s, wait_initial=0.5, wait_max=5.0, wait_jitter=0.5)
        return caller(ApiUnreachable, attempt)
