"""What a pod's status says, as data that goes through a trigger's event, and how that is judged."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

KEY_ANNOTATION = "blueprint-pipeline-key"
CONTAINER = "base"

MALFORMED_IMAGE = frozenset({"InvalidImageName", "ErrImageNeverPull"})
"""No other try gets this image."""
_IMAGE_REASONS = frozenset({"ImagePullBackOff", "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed"})
"""The image did not come; the kubelet tries again."""
MISCONFIGURED = "CreateContainerConfigError"
"""A Secret, a ConfigMap or a key is missing, or a user is not allowed."""
_NOT_MADE = frozenset(
    {MISCONFIGURED, "CreateContainerError", "RunContainerError", "PreCreateHookError", "PreStartHookError", "PostStartHookError"}
)
"""Source of these reasons: ``pkg/kubelet/images/types.go``, ``pkg/kubelet/container/sync_result.go`` and
``pkg/kubelet/kuberuntime/kuberuntime_container.go`` of https://github.com/kubernetes/kubernetes."""

Verdict = Literal["waiting", "running", "unschedulable", "image", "not_started", "succeeded", "failed", "terminating", "overdue"]


class NodeFacts(BaseModel):
    """What a node is billed as."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    # It goes from triggerer to worker, and they may be of two versions.

    name: str
    instance_type: str | None = None
    spot: bool = False
    accelerator: str | None = None
    zone: str | None = None


class PodFacts(BaseModel):
    """A pod's status, as far as a job's owner cares."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    uid: str
    key: str | None
    """The job's key, from the annotation."""
    phase: str
    reason: str = ""
    message: str = ""
    created_at: datetime
    deleted_at: datetime | None = None
    """When the API asked it to be gone, grace period included."""
    disrupted: str = ""
    """Reason of the condition ``DisruptionTarget``: the cluster took it away."""
    unschedulable: str = ""
    """What the scheduler says against it."""
    waiting_reason: str = ""
    waiting_message: str = ""
    trouble: str = ""
    """The newest event of the pod, if it is a warning: only there stands that a volume cannot be mounted."""
    image: str = ""
    started_at: datetime | None = None
    """Of the container."""
    finished_at: datetime | None = None
    exit_code: int | None = None
    container_reason: str = ""
    last_output: str = ""
    """The termination message."""
    scheduled_at: datetime | None = None
    node: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether its process has ended, by the word of the node's agent."""
        return self.exit_code is not None or (self.phase in {"Succeeded", "Failed"} and self.started_at is None)


def facts_of(pod: Any) -> PodFacts:
    """Read a ``V1Pod`` of either client."""
    metadata, spec, status = pod.metadata, pod.spec, pod.status
    conditions = {condition.type: condition for condition in status.conditions or []}
    scheduled, disrupted = conditions.get("PodScheduled"), conditions.get("DisruptionTarget")
    statuses = [found for found in status.container_statuses or [] if found.name == CONTAINER]
    state = statuses[0].state if statuses else None
    waiting, running, ended = (getattr(state, name, None) for name in ("waiting", "running", "terminated"))
    begun = running or ended
    return PodFacts(
        name=metadata.name,
        uid=metadata.uid,
        key=(metadata.annotations or {}).get(KEY_ANNOTATION),
        phase=status.phase or "Pending",
        reason=status.reason or "",
        message=status.message or "",
        created_at=metadata.creation_timestamp,
        deleted_at=metadata.deletion_timestamp,
        disrupted=(disrupted.reason or "disrupted") if disrupted is not None and disrupted.status == "True" else "",
        unschedulable=(scheduled.message or scheduled.reason or "") if scheduled is not None and scheduled.status == "False" else "",
        waiting_reason=(waiting.reason or "") if waiting else "",
        waiting_message=(waiting.message or "") if waiting else "",
        image=next((container.image for container in spec.containers if container.name == CONTAINER), "") or "",
        started_at=None if begun is None else begun.started_at,
        finished_at=ended.finished_at if ended else None,
        exit_code=ended.exit_code if ended else None,
        container_reason=(ended.reason or "") if ended else "",
        last_output=(ended.message or "") if ended else "",
        scheduled_at=scheduled.last_transition_time if scheduled is not None and scheduled.status == "True" else None,
        node=spec.node_name,
    )


def node_facts_of(node: Any) -> NodeFacts:
    """Read a ``V1Node`` of either client.

    Source: labels of Kubernetes and GKE ("Well-Known Labels", "Spot VMs", "GPUs in GKE").
    """
    labels = node.metadata.labels or {}
    return NodeFacts(
        name=node.metadata.name,
        instance_type=labels.get("node.kubernetes.io/instance-type") or labels.get("beta.kubernetes.io/instance-type"),
        spot=labels.get("cloud.google.com/gke-spot") == "true",
        accelerator=labels.get("cloud.google.com/gke-accelerator"),
        zone=labels.get("topology.kubernetes.io/zone"),
    )


def judge(
    facts: PodFacts,
    now: datetime,
    *,
    unschedulable_s: float,
    timeout_s: float,
    gone_s: float,
    pull_s: float = 60.0,
    setup_s: float = 300.0,
    start_s: float = 1800.0,
) -> Verdict:
    """What a pod's status means: one word.

    ``terminating`` is a pod that was asked to be gone and is not, long after its grace period: its node does not answer.
    """
    if facts.phase in {"Succeeded", "Failed"}:
        return "succeeded" if facts.phase == "Succeeded" else "failed"
    if facts.deleted_at is not None:
        return "terminating" if now > facts.deleted_at + timedelta(seconds=gone_s) else "waiting"
    if facts.started_at is not None:
        return "overdue" if now > facts.started_at + timedelta(seconds=timeout_s) else "running"
    if facts.scheduled_at is None:
        return "unschedulable" if now > facts.created_at + timedelta(seconds=unschedulable_s) else "waiting"
    return _judge_start(facts, (now - facts.scheduled_at).total_seconds(), pull_s=pull_s, setup_s=setup_s, start_s=start_s)


def _judge_start(facts: PodFacts, on_node_s: float, *, pull_s: float, setup_s: float, start_s: float) -> Verdict:
    """A pod that has had a node for a while, and no running container."""
    if facts.waiting_reason in MALFORMED_IMAGE or (facts.waiting_reason in _IMAGE_REASONS and on_node_s > pull_s):
        return "image"
    bound_s = setup_s if facts.trouble or facts.waiting_reason in _NOT_MADE else start_s
    return "not_started" if on_node_s > bound_s else "waiting"


def now_utc() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)
