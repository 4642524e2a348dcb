"""Watch one pod by name and tell one thing: how it ended, or why it cannot go on. Its log is passed on meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from airflow.triggers.base import BaseTrigger, TriggerEvent
from kubernetes_asyncio.client import ApiException, CoreV1Api, V1DeleteOptions
from kubernetes_asyncio.config import ConfigException
from pydantic import BaseModel, ConfigDict

from blueprint_pipeline.compute.events import level_of, parse_event, readable
from blueprint_pipeline.compute.profiles import GkeCluster
from plugins.providers.kubernetes.connections import build_async_hook
from plugins.providers.kubernetes.pod_facts import CONTAINER, NodeFacts, PodFacts, facts_of, judge, node_facts_of, now_utc
from plugins.providers.kubernetes.pod_logs import LogCursor, read_on
from plugins.providers.kubernetes.pods import NOT_FOUND, PASSING

_CALL_S = 20.0
"""Deadline of one call [s]."""
_LOG_BYTES = 2**20
"""Log read at once; more comes with the next look."""
_LOG_TRIES = 5
"""Tries at the last piece of a log."""
_MAX_PAUSE_S = 30.0
_FORBIDDEN = 403


class Watch(BaseModel):
    """Which pod, how to reach it, and how long to wait for what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cluster: str
    connection: str
    namespace: str
    gke: GkeCluster | None = None
    endpoint: tuple[str, str] | None = None
    pod: str
    uid: str
    grace_s: int
    timeout_s: float
    unschedulable_s: float
    unreachable_s: float
    gone_s: float
    poll_s: float
    quiet_s: float


class JobEvent(BaseModel):
    """What a trigger tells: exactly one of these."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    """``succeeded``, ``failed``, ``lost``, ``unschedulable``, ``image``, ``overdue`` or ``unreachable``."""
    cluster: str
    uid: str
    reason: str = ""
    pod: PodFacts | None = None
    """As last seen."""
    node: NodeFacts | None = None


class JobPodTrigger(BaseTrigger):
    """Look at a pod every few seconds until there is something to tell.

    Airflow starts it again where a triggerer ends; the log is then read again from its start, for a line twice is better than none.
    """

    def __init__(self, watch: dict[str, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow does not type it
        self.watch = Watch.model_validate(watch)
        self._hook: Any = None
        self._cursor = LogCursor()
        self._pod: PodFacts | None = None
        self._node: NodeFacts | None = None
        self._answered_at = time.monotonic()

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class and arguments, for the triggerer."""
        return f"{__name__}.{type(self).__name__}", {"watch": self.watch.model_dump(mode="json")}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until there is something to tell; every trouble with the API is waited out up to its limit."""
        pause_s, began = self.watch.poll_s, time.monotonic()
        while True:
            try:
                event = await self._poll()
                self._answered_at, pause_s = time.monotonic(), self.watch.poll_s
            except _ApiTrouble as trouble:
                event = self._count_trouble(trouble)
                pause_s = min(2 * pause_s, _MAX_PAUSE_S, max(1.0, self.watch.unreachable_s / 3))
            if event is not None:
                await asyncio.sleep(max(0.0, began + self.watch.quiet_s - time.monotonic()))
                yield TriggerEvent(event.model_dump(mode="json"))
                return
            await asyncio.sleep(pause_s)

    async def on_kill(self) -> None:
        """A person ended the task: the pod ends too, after its grace period."""
        body = V1DeleteOptions(grace_period_seconds=self.watch.grace_s)
        await self._call("delete_namespaced_pod", name=self.watch.pod, namespace=self.watch.namespace, body=body)
        self.log.warning("pod %s was asked to end", self.watch.pod)

    async def _poll(self) -> JobEvent | None:
        watch = self.watch
        try:
            found = facts_of(await self._call("read_namespaced_pod", name=watch.pod, namespace=watch.namespace))
        except _Missing:
            return self._event("lost", "the API has it no more")
        if found.uid != watch.uid:
            return self._event("lost", "another pod has its name")
        self._log_changes(found)
        self._pod = found
        await self._find_node(found)
        verdict = judge(found, now_utc(), unschedulable_s=watch.unschedulable_s, timeout_s=watch.timeout_s, gone_s=watch.gone_s)
        if found.started_at is not None:
            await self._pass_on_log(whole=verdict in {"succeeded", "failed"})
        if verdict in {"waiting", "running"}:
            return None
        if verdict == "terminating":
            return self._event("lost", "its node does not answer")
        return self._event(verdict, found.unschedulable or found.waiting_message or found.waiting_reason or found.reason)

    def _event(self, kind: str, reason: str) -> JobEvent:
        return JobEvent(kind=kind, cluster=self.watch.cluster, uid=self.watch.uid, reason=reason, pod=self._pod, node=self._node)

    def _count_trouble(self, trouble: "_ApiTrouble") -> JobEvent | None:
        silent_s = time.monotonic() - self._answered_at
        self.log.warning("%s does not answer since %.0f s: %s", self.watch.cluster, silent_s, trouble)
        return self._event("unreachable", str(trouble)) if silent_s > self.watch.unreachable_s else None

    def _log_changes(self, found: PodFacts) -> None:
        before = self._pod
        if before is None or (before.phase, before.node) != (found.phase, found.node):
            self.log.info("pod %s on %s: %s%s", found.name, self.watch.cluster, found.phase, f", node {found.node}" if found.node else "")
        why = found.unschedulable or found.waiting_message
        if why and (before is None or why != (before.unschedulable or before.waiting_message)):
            self.log.info("pod %s waits: %s", found.name, why)

    async def _find_node(self, found: PodFacts) -> None:
        """Read what the node is billed as, once, while it is there."""
        if found.node is None or self._node is not None:
            return
        try:
            self._node = node_facts_of(await self._call("read_node", name=found.node))
        except _Missing:
            self._node = NodeFacts(name=found.node)

    async def _pass_on_log(self, *, whole: bool) -> None:
        """Write the new lines of the pod's log into the task's; at the end, insist."""
        tries = _LOG_TRIES if whole else 1
        for attempt in range(tries):
            try:
                while await self._read_log():
                    pass
            except (_ApiTrouble, _Missing) as trouble:
                if attempt + 1 < tries:
                    await asyncio.sleep(1.0)
                elif whole:
                    self.log.warning("the end of the log of pod %s could not be read: %s", self.watch.pod, trouble)
            else:
                return

    async def _read_log(self) -> bool:
        """One piece of the log; ``True`` if there may be more at once."""
        since = self._cursor.since_time
        arguments = {"since_seconds": max(1, int((now_utc() - since).total_seconds()) + 2)} if since else {}
        raw = await self._call(
            "read_namespaced_pod_log",
            name=self.watch.pod,
            namespace=self.watch.namespace,
            container=CONTAINER,
            timestamps=True,
            limit_bytes=_LOG_BYTES,
            _preload_content=False,
            **arguments,
        )
        lines = raw.decode("utf-8", errors="replace").splitlines()
        fresh, self._cursor = read_on(self._cursor, lines)
        for line in fresh:
            event = parse_event(line)
            if event:
                self.log.log(level_of(event), "%s", readable(event))
            else:
                self.log.info("%s", line)
        return len(raw) >= _LOG_BYTES and bool(fresh)

    async def _call(self, method: str, **arguments: Any) -> Any:
        """One call of the API.

        Raises:
            _Missing: There is no such thing.
            _ApiTrouble: The API did not answer, or not in a way that can be used; the next call reads the credentials again.
        """
        if self._hook is None:
            self._hook = build_async_hook(self.watch.connection, self.watch.gke, self.watch.endpoint)
        try:
            async with asyncio.timeout(_CALL_S), self._hook.get_conn() as connection:
                answer = await getattr(CoreV1Api(connection), method)(**arguments)
                if method != "read_namespaced_pod_log":
                    return answer
                return await answer.read()
        except ApiException as error:
            if error.status == NOT_FOUND or (error.status == _FORBIDDEN and method == "read_node"):
                raise _Missing from error
            if error.status in PASSING:
                self._hook = None
                raise _ApiTrouble(f"{error.status} {error.reason}") from error
            raise
        except (aiohttp.ClientError, OSError, TimeoutError, ConfigException) as error:
            self._hook = None
            raise _ApiTrouble(f"{type(error).__name__}: {error}") from error


class _Missing(Exception):
    """The API has no such thing."""


class _ApiTrouble(Exception):
    """The API gave no usable answer."""
