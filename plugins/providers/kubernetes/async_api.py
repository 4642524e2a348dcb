"""One cluster's API for the triggerer: every call has a deadline, and every error is one of ``api_errors``."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from asgiref.sync import sync_to_async
from kubernetes_asyncio.client import ApiException, CoreV1Api

from blueprint_pipeline.compute.errors import ClusterRefused
from blueprint_pipeline.compute.profiles import GkeCluster
from plugins.providers.kubernetes.api_errors import DELETE, ApiUnreachable, PodGone, translated
from plugins.providers.kubernetes.connections import Endpoint, ask_gke, build_async_hook
from plugins.providers.kubernetes.pod_facts import CONTAINER

CALL_S = 20.0
"""Deadline of one call, and of one piece of a log [s]."""
_CHUNK_BYTES = 2**16
_REFUSALS = 400


class AsyncClusterApi:
    """Calls to one cluster.

    Args:
        cluster: Name, for messages.
        connection: Airflow connection.
        gke: Where Google finds the cluster, for one of Google's.
        endpoint: Where its API is; asked for when it is needed if not given.

    Raises:
        ApiUnreachable: No usable answer; the next call reads the credentials again.
        PodGone: There is no such pod or node.
        ClusterRefused: The API says no.
    """

    def __init__(self, cluster: str, connection: str, gke: GkeCluster | None, endpoint: Endpoint | None) -> None:
        self._cluster, self._connection, self._gke, self._endpoint = cluster, connection, gke, endpoint
        self._hook: Any = None

    async def read_pod(self, namespace: str, name: str) -> Any:
        """A ``V1Pod``."""
        async with self._calls("read a pod") as core, asyncio.timeout(CALL_S):
            return await core.read_namespaced_pod(name=name, namespace=namespace)

    async def delete_pod(self, namespace: str, name: str, body: Any) -> None:
        """Ask a pod to end."""
        async with self._calls(DELETE) as core, asyncio.timeout(CALL_S):
            await core.delete_namespaced_pod(name=name, namespace=namespace, body=body)

    async def read_node(self, name: str) -> Any:
        """A ``V1Node``."""
        async with self._calls("read a node") as core, asyncio.timeout(CALL_S):
            return await core.read_node(name=name)

    async def newest_warning(self, namespace: str, uid: str) -> str:
        """Reason and message of a pod's newest event, if that is a warning; empty where it is none, or cannot be read."""
        try:
            async with self._calls("list events") as core, asyncio.timeout(CALL_S):
                found = await core.list_namespaced_event(namespace=namespace, field_selector=f"involvedObject.uid={uid}")
        except (ClusterRefused, ApiUnreachable, PodGone):
            return ""
        newest = max(found.items, key=_time_of, default=None)
        return f"{newest.reason}: {newest.message}" if newest is not None and newest.type == "Warning" else ""

    async def read_log(self, namespace: str, name: str, since: datetime | None) -> AsyncIterator[bytes]:
        """A pod's log with time stamps, in pieces as they come.

        ``sinceTime`` is compared with the stamps by the node that made them, so no clock of ours is in it; the generated
        client does not know it.
        """
        query = [("container", CONTAINER), ("timestamps", "true")]
        if since is not None:
            query.append(("sinceTime", since.strftime("%Y-%m-%dT%H:%M:%SZ")))
        async with self._calls("read a log") as core:
            async with asyncio.timeout(CALL_S):
                answer = await core.api_client.call_api(
                    "/api/v1/namespaces/{namespace}/pods/{name}/log",
                    "GET",
                    path_params={"namespace": namespace, "name": name},
                    query_params=query,
                    header_params={"Accept": "text/plain, application/json"},
                    auth_settings=["BearerToken"],
                    _preload_content=False,
                )
                if answer.status >= _REFUSALS:  # the client looks at the status of whole answers only
                    refusal = ApiException(status=answer.status, reason=answer.reason)
                    refusal.body = await answer.text(errors="replace")
                    raise refusal
            while True:
                async with asyncio.timeout(CALL_S):
                    piece = await answer.content.read(_CHUNK_BYTES)
                if not piece:
                    return
                yield piece

    @asynccontextmanager
    async def _calls(self, call: str) -> AsyncIterator[Any]:
        try:
            with translated(self._cluster, call):
                async with asyncio.timeout(CALL_S):
                    hook = self._hook = self._hook or await self._build_hook()
                async with hook.get_conn() as client:
                    yield CoreV1Api(client)
        except ApiUnreachable:
            self._hook = None
            raise

    async def _build_hook(self) -> Any:
        if self._gke is not None and self._endpoint is None:
            self._endpoint = await sync_to_async(ask_gke)(self._connection, self._gke)
        return build_async_hook(self._connection, self._gke, self._endpoint)


def _time_of(event: Any) -> datetime:
    found = event.last_timestamp or event.event_time or event.metadata.creation_timestamp
    return found if isinstance(found, datetime) else datetime.fromisoformat(str(found))
