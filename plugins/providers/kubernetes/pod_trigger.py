"""Watch one pod by name and tell one thing: how it ended, or why it cannot go on. Its log is passed on meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from kubernetes_asyncio.client import V1DeleteOptions
from pydantic import BaseModel, ConfigDict

from blueprint_pipeline.compute.errors import ClusterRefused
from blueprint_pipeline.compute.events import level_of, parse_event, readable
from blueprint_pipeline.compute.profiles import GkeCluster
from plugins.providers.kubernetes.api_errors import ApiUnreachable, PodGone
from plugins.providers.kubernetes.async_api import AsyncClusterApi
from plugins.providers.kubernetes.pod_facts import NodeFacts, PodFacts, facts_of, judge, node_facts_of, now_utc
from plugins.providers.kubernetes.pod_logs import LineCutter, LogCursor, LogReading
from plugins.providers.metrics import count_event

_LOG_TRIES = 5
"""Tries at the last piece of a log."""
_MAX_PAUSE_S = 30.0


class Watch(BaseModel):
    """Which pod, how to reach it, and how long to wait for what."""

    # A worker writes it, a triggerer reads it, and they may be of two versions.
    model_config = ConfigDict(frozen=True, extra="ignore")

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
    pull_s: float = 60.0
    setup_s: float = 300.0
    start_s: float = 1800.0
    no_room_since: datetime | None = None
    """Since when the job waits for room; comes back with the event."""


class JobEvent(BaseModel):
    """What a trigger tells: exactly one of these."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: str
    """``succeeded``, ``failed``, ``lost``, ``unschedulable``, ``image``, ``not_started``, ``overdue``, ``unreachable`` or ``refused``."""
    cluster: str
    uid: str
    reason: str = ""
    pod: PodFacts | None = None
    """As last seen."""
    node: NodeFacts | None = None
    no_room_since: datetime | None = None


class JobPodTrigger(BaseTrigger):
    """Look at a pod every few seconds until there is something to tell.

    Airflow starts it again where a triggerer ends; the log is then read again from its start, for a line twice is better than none.
    """

    def __init__(self, watch: dict[str, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow does not type it
        self.watch = Watch.model_validate(watch)
        self._api = AsyncClusterApi(self.watch.cluster, self.watch.connection, self.watch.gke, self.watch.endpoint)
        self._log_refused = ""
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
            except ApiUnreachable as trouble:
                event = self._count_trouble(trouble)
                pause_s = min(2 * pause_s, _MAX_PAUSE_S, max(1.0, self.watch.unreachable_s / 3))
            except ClusterRefused as refusal:
                event = self._event("refused", refusal.message)
            if event is not None:
                await asyncio.sleep(max(0.0, began + self.watch.quiet_s - time.monotonic()))
                yield TriggerEvent(event.model_dump(mode="json"))
                return
            await asyncio.sleep(pause_s)

    async def on_kill(self) -> None:
        """A person ended the task: the pod ends too, after its grace period."""
        body = V1DeleteOptions(grace_period_seconds=self.watch.grace_s)
        await self._api.delete_pod(self.watch.namespace, self.watch.pod, body)
        self.log.warning("pod %s was asked to end", self.watch.pod)

    async def _poll(self) -> JobEvent | None:
        watch = self.watch
        try:
            found = facts_of(await self._api.read_pod(watch.namespace, watch.pod))
        except PodGone:
            return self._event("lost", "the API no longer has it")
        if found.uid != watch.uid:
            return self._event("lost", "another pod has its name")
        found = await self._add_trouble(found)
        self._log_changes(found)
        self._pod = found
        await self._find_node(found)
        bounds = watch.model_dump(include={"unschedulable_s", "timeout_s", "gone_s", "pull_s", "setup_s", "start_s"})
        verdict = judge(found, now_utc(), **bounds)
        if found.started_at is not None:
            await self._pass_on_log(whole=verdict in {"succeeded", "failed"})
        if verdict in {"waiting", "running"}:
            return None
        if verdict == "terminating":
            return self._event("lost", "its node does not answer")
        waits_for = found.unschedulable or found.trouble or ": ".join(filter(None, (found.waiting_reason, found.waiting_message)))
        return self._event(verdict, waits_for or found.reason or "no reason is given")

    def _event(self, kind: str, reason: str) -> JobEvent:
        return JobEvent(
            kind=kind,
            cluster=self.watch.cluster,
            uid=self.watch.uid,
            reason=reason,
            pod=self._pod,
            node=self._node,
            no_room_since=self.watch.no_room_since,
        )

    async def _add_trouble(self, found: PodFacts) -> PodFacts:
        """Ask for events of a pod that has a node for long enough to be given up, and does not run."""
        if found.started_at is not None or found.scheduled_at is None or found.phase != "Pending":
            return found
        if (now_utc() - found.scheduled_at).total_seconds() < self.watch.setup_s:
            return found
        return found.model_copy(update={"trouble": await self._api.newest_warning(self.watch.namespace, found.uid)})

    def _count_trouble(self, trouble: ApiUnreachable) -> JobEvent | None:
        silent_s = time.monotonic() - self._answered_at
        self.log.warning("%s has not answered for %.0f s: %s", self.watch.cluster, silent_s, trouble)
        return self._event("unreachable", str(trouble)) if silent_s > self.watch.unreachable_s else None

    def _log_changes(self, found: PodFacts) -> None:
        before = self._pod
        if before is None or (before.phase, before.node) != (found.phase, found.node):
            self.log.info("pod %s on %s: %s%s", found.name, self.watch.cluster, found.phase, f", node {found.node}" if found.node else "")
        why = found.unschedulable or found.waiting_message
        if why and (before is None or why != (before.unschedulable or before.waiting_message)):
            self.log.info("pod %s is waiting: %s", found.name, why)

    async def _find_node(self, found: PodFacts) -> None:
        """Read what the node is billed as, once, while it is there."""
        if found.node is None or self._node is not None:
            return
        try:
            self._node = node_facts_of(await self._api.read_node(found.node))
        except (PodGone, ClusterRefused):
            self._node = NodeFacts(name=found.node)

    async def _pass_on_log(self, *, whole: bool) -> None:
        """Write the new lines of the pod's log into the task's; at the end, insist."""
        tries = _LOG_TRIES if whole else 1
        for attempt in range(tries):
            try:
                await self._read_log(whole=whole)
            except (ApiUnreachable, PodGone) as trouble:
                if attempt + 1 < tries:
                    await asyncio.sleep(1.0)
                else:
                    log = self.log.warning if whole else self.log.info
                    log("the %s of the log of pod %s could not be read: %s", "end" if whole else "next piece", self.watch.pod, trouble)
            except ClusterRefused as refusal:  # the pod is not to blame, nor is its result
                if refusal.message != self._log_refused:
                    self._log_refused = refusal.message
                    self.log.warning("the log of pod %s may not be read: %s", self.watch.pod, refusal)
                return
            else:
                return

    async def _read_log(self, *, whole: bool) -> None:
        """Pass on what is new, as it comes: the next look goes on where this one ended, or was cut."""
        cutter, reading = LineCutter(), LogReading(self._cursor)
        async for piece in self._api.read_log(self.watch.namespace, self.watch.pod, self._cursor.since_time):
            self._pass_on_lines(reading.fresh(cutter.feed(piece)))
            self._cursor = reading.cursor
        if whole:  # else the rest of a line may still be on its way
            self._pass_on_lines(reading.fresh(cutter.end()))
            self._cursor = reading.cursor

    def _pass_on_lines(self, lines: list[str]) -> None:
        for line in lines:
            event = parse_event(line)
            if event:
                count_event(event)
                self.log.log(level_of(event), "%s", readable(event))
            else:
                self.log.info("%s", line)
