"""What people decided on borderline episodes: ``geniesim/quality/approvals/{batch}.json``, an :class:`ApprovalLog` each.

A file is never changed: each recording of decisions adds one (an empty one where nobody was asked).
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Literal

from pydantic import Field

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.workspace.storage import Id, SceneFolder

APPROVALS_FOLDER = "geniesim/quality/approvals"


class ApprovalDecision(FrozenModel):
    """What one person said of one borderline episode."""

    episode_id: Id
    approved: bool
    decided_by: str = Field(min_length=1)
    reason: str
    decided_at: datetime


class ApprovalEntry(FrozenModel):
    """One line of the audit; entries are only ever appended."""

    request_id: str
    """``apr_<12 hex>``: over the verdicts that the person saw and the episode."""
    gate_id: str
    """The gates that were near their limits, joined by ``,``."""
    scene_id: Id
    episode_id: Id
    shard_index: int
    checkpoint: Literal["episodes_gated"] = "episodes_gated"
    status: Literal["approved", "rejected"]
    failure_message: str
    verdicts_sha256: str
    """Of the file with the verdicts of the shard, as the person saw it; the decision counts for that file alone."""
    approved_by: str
    approved_at: datetime
    approval_notes: str


class ApprovalLog(FrozenModel):
    """Decisions that were recorded at one time, or all of them, oldest first."""

    schema_version: Literal["1.0"] = "1.0"
    scene_id: Id
    job_id: Id
    entries: tuple[ApprovalEntry, ...]


def load_approvals(scene: SceneFolder) -> list[ApprovalEntry]:
    """All decisions that were ever recorded for a scene, oldest first; empty where nobody was asked."""
    logs = [ApprovalLog.model_validate_json(scene.read_bytes(name)) for name in scene.files_under(APPROVALS_FOLDER)]
    return sort_entries(entry for log in logs for entry in log.entries)


def sort_entries(entries: Iterable[ApprovalEntry]) -> list[ApprovalEntry]:
    """Oldest first; of two on one episode at one instant the rejection is the last, and counts."""
    return sorted(entries, key=lambda entry: (entry.approved_at, entry.request_id, entry.status))


def approved_episode_ids(entries: Iterable[ApprovalEntry], seen: Collection[str]) -> set[str]:
    """Episodes whose last decision was an approval; no decision is a rejection.

    Args:
        entries: Decisions, oldest first.
        seen: sha256 of the files of verdicts that stand now: decisions on others do not count.
    """
    last = {entry.episode_id: entry.status for entry in entries if entry.verdicts_sha256 in seen}
    return {episode_id for episode_id, status in last.items() if status == "approved"}
