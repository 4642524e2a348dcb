"""What a pod held beyond what its commits account for: its start, its waits, work that was lost with it.

A commit is priced by the process that makes it. A pod is billed from its container's start to its end, whatever becomes of
it; the difference is booked here, so that nothing is missed and nothing is counted twice.
"""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from blueprint_pipeline.compute.record import JobRecord
from blueprint_pipeline.price.ledger import price_line
from blueprint_pipeline.price.table import PriceTable
from blueprint_pipeline.registry.records import Certainty, LedgerEntry
from blueprint_pipeline.workspace.canonical import key_of

BOUND_S = 10.0
BOUND_SHARE = 0.1
"""The node's seconds and the job's own may differ by the larger of these: the start of a container is in one of them alone."""
_HOUR_S = 3600.0


class JobUsage(BaseModel):
    """``jobs/usage/{name}.{instance}.json`` of the scene: what one pod held, and how that compares with what it says itself."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: Literal["1.0"] = "1.0"
    name: str
    key: str
    scene_id: str
    stage: str
    pod_uid: str
    cluster: str
    region: str
    ending: str
    """What the trigger told: ``succeeded``, ``failed``, ``lost``, …"""
    node: str | None
    instance_type: str | None
    spot: bool
    accelerator: str | None
    machine: str
    """Price profile that the pod is booked with."""
    started_at: datetime
    """Of the container."""
    finished_at: datetime | None
    """``None`` where nobody saw its end."""
    pod_s: float = Field(ge=0)
    """From the container's start to its end; where that was not seen, what the job says itself [s]."""
    pod_s_certainty: Certainty
    node_s: float = Field(ge=0)
    """From the pod's place on the node to its end [s]: with the pull of the image."""
    own_s: float | None
    """What the job's record says of itself [s]; ``None`` without a record."""
    committed_s: float = Field(ge=0)
    """Of the commits that this pod made [s]; they are booked by themselves."""
    booked_before_s: float = Field(default=0.0, ge=0)
    """Booked while nobody could see how the pod went on [s]: its cluster did not answer then."""
    mismatch: tuple[str, ...]
    """Figures that differ by more than the bounds; empty: they agree."""

    @property
    def idle_s(self) -> float:
        """What is booked here [s]."""
        return max(0.0, self.pod_s - self.committed_s - self.booked_before_s)


def reconcile(record: JobRecord | None, *, pod_s: float | None, committed_s: float, machine: str, expected_machine: str) -> tuple[str, ...]:
    """Compare what the node says of a pod with what its process says of itself; what does not agree, in words."""
    found = []
    if machine != expected_machine:
        found.append(f"the pod was on {machine}, and its commits are priced as on {expected_machine}")
    if pod_s is None:
        return tuple(found)
    bound_s = max(BOUND_S, BOUND_SHARE * pod_s)
    if record is not None and record.finished_at is not None and abs(pod_s - record.wall_s) > bound_s:
        found.append(f"the node says {pod_s:.1f} s, the job says {record.wall_s:.1f} s")
    if committed_s > pod_s + bound_s:
        found.append(f"commits claim {committed_s:.1f} s of {pod_s:.1f} s")
    return tuple(found)


def committed_seconds(record: JobRecord | None) -> float:
    """Wall seconds of the commits that a job made itself."""
    return 0.0 if record is None else sum(unit.wall_s or 0.0 for unit in record.units)


def job_entries(usage: JobUsage, prices: PriceTable) -> list[LedgerEntry]:
    """Ledger entries for what a pod held beyond its commits: one a line of its machine that is billed by time.

    Raises:
        UnknownMachine: The table has no such machine.
    """
    profile = prices.machine(usage.machine)
    at = usage.finished_at or usage.started_at
    identity = key_of({"job": usage.key, "pod": usage.pod_uid})
    entries = []
    for line in profile.lines:
        if line.reserved is None or usage.idle_s <= 0:
            continue
        quantity = line.reserved * usage.idle_s / _HOUR_S
        entries.append(
            LedgerEntry(
                commit_key=identity,
                item=f"pod.{line.item}",
                scene_id=usage.scene_id,
                stage=usage.stage,
                unit=usage.name,
                machine=usage.machine,
                occurred_at=at,
                **price_line(prices, profile, line, at.date(), quantity=quantity, quantity_certainty=usage.pod_s_certainty),
            )
        )
    return entries
