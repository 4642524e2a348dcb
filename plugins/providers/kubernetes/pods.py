"""Pods of one cluster, for a worker: read, create or adopt, delete and wait until gone.

Every call has a deadline, and is repeated while the API is busy (429), broken (5xx, 410) or wants another token (401).
"""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import stamina
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError

from blueprint_pipeline.compute.errors import JobNameTaken
from blueprint_pipeline.compute.profiles import Cluster
from plugins.providers.kubernetes.connections import build_hook
from plugins.providers.kubernetes.pod_facts import PodFacts, facts_of

CALL_S = (5.0, 20.0)
"""Deadlines of connecting and of an answer [s]."""
PATIENCE_S = 30.0
"""How long a call is repeated [s]."""
PASSING = frozenset({401, 408, 410, 429, 500, 502, 503, 504})
"""Statuses after which the same call may succeed; 401: with credentials that are read again."""
NOT_FOUND, CONFLICT = 404, 409

Answer = TypeVar("Answer")
log = logging.getLogger(__name__)


class ApiUnreachable(Exception):
    """A cluster's API gave no usable answer for as long as one was waited for. Caught by whoever chooses clusters."""


class PodGone(Exception):
    """A pod is missing."""


class PodNotGone(Exception):
    """A pod that was deleted is still there after the wait."""


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
            return facts_of(self._call(lambda api: api.read_namespaced_pod(name, self.cluster.namespace, _request_timeout=CALL_S)))
        except PodGone:
            return None

    def create_or_adopt(self, pod: dict[str, Any], key: str) -> PodFacts:
        """Create a pod, or take the one that has its name: the API lets no two of one name live.

        Raises:
            JobNameTaken: The pod of that name is another job's.
            ApiUnreachable: The API does not answer. The pod may have been made all the same: look for it later.
        """
        name = pod["metadata"]["name"]
        for _ in range(2):
            try:
                created = self._call(lambda api: api.create_namespaced_pod(self.cluster.namespace, pod, _request_timeout=CALL_S))
                return facts_of(created)
            except ApiException as error:
                if error.status != CONFLICT:
                    raise
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
        body = {"gracePeriodSeconds": grace_s, "preconditions": {"uid": found.uid}}
        try:
            self._call(lambda api: api.delete_namespaced_pod(found.name, self.cluster.namespace, body=body, _request_timeout=CALL_S))
        except PodGone:
            return True
        except ApiException as error:
            if error.status != CONFLICT:
                raise
            return True  # another pod has the name now

        def look() -> None:
            now = self.read(found.name)
            if now is not None and now.uid == found.uid:
                raise PodNotGone(found.name)

        try:
            stamina.RetryingCaller(attempts=None, timeout=wait_s, wait_initial=0.3, wait_max=2.0, wait_jitter=0.1)(PodNotGone, look)
        except PodNotGone:
            return False
        return True

    def _call(self, work: Callable[[Any], Answer]) -> Answer:
        def attempt() -> Answer:
            if self._api is None:
                self._api = build_hook(self.cluster).core_v1_client
            try:
                return work(self._api)
            except ApiException as error:
                if error.status == NOT_FOUND:
                    raise PodGone from error
                if error.status in PASSING:
                    self._api = None
                    raise ApiUnreachable(f"{error.status} {error.reason}") from error
                raise
            except (HTTPError, OSError, ConfigException) as error:
                self._api = None
                raise ApiUnreachable(f"{type(error).__name__}: {error}") from error

        caller = stamina.RetryingCaller(attempts=None, timeout=self._patience_s, wait_initial=0.5, wait_max=5.0, wait_jitter=0.5)
        return caller(ApiUnreachable, attempt)
