"""From how a pod ended to an error of our tree."""

import json
import re

from blueprint_pipeline.compute.errors import JobCrashed, JobTimedOut, OutOfDisk, OutOfMemory, PodPreempted
from blueprint_pipeline.compute.exit_codes import Ending, ending_of
from blueprint_pipeline.compute.job import JobSpec, StageFailed
from blueprint_pipeline.errors import BlueprintError
from plugins.providers.kubernetes.pod_facts import PodFacts

_TAKEN_AWAY = frozenset(
    {
        "Terminated",
        "NodeShutdown",
        "Shutdown",
        "NodeLost",
        "NodeAffinity",
        "NodeAdmissionFailure",
        "Preempting",
        "Evicted",
        "UnexpectedAdmissionError",
        "TopologyAffinityError",
    }
)
"""Reasons of a pod's status that say nothing against the pod. Sources, all in https://github.com/kubernetes/kubernetes:

- ``Terminated``, ``NodeShutdown``, ``Shutdown``: ``pkg/kubelet/nodeshutdown``; ``NodeLost``: ``pkg/controller/util/node``
- ``NodeAffinity``, ``NodeAdmissionFailure``, ``UnexpectedAdmissionError``: ``pkg/kubelet/lifecycle``
- ``TopologyAffinityError``: ``pkg/kubelet/cm/topologymanager``; ``Preempting``: ``pkg/kubelet/preemption``
- ``Evicted``: ``pkg/kubelet/eviction``, for pressure on the node or for :data:`_OWN_DISK`
"""
_OUT_OF = "OutOf"
"""A node had no room any more when the pod came (``OutOfcpu``, ``OutOfnvidia.com/gpu``): two schedulers, or a resource that left.

Source: ``InsufficientResourceError`` in ``pkg/kubelet/lifecycle/predicate.go``.
"""
_OWN_DISK = re.compile(
    r"^(Container \S+ exceeded its local ephemeral storage limit"
    r"|Pod ephemeral local storage usage exceeds the total limit"
    r"|Usage of EmptyDir volume \S+ exceeds the limit)"
)
"""An eviction for the disk that the pod itself took. That of a node under pressure begins ``The node was low on resource`` or
``The node had condition``, and may go on ``which exceeds its request``.

Source: ``containerEphemeralStorageMessageFmt``, ``podEphemeralStorageMessageFmt``, ``emptyDirMessageFmt``, ``nodeLowMessageFmt`` in
https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/eviction/helpers.go; the wording of pressure:
https://github.com/kubernetes/kubernetes/issues/91600.
"""
_LAST_OUTPUT = 500
"""Characters of a crash's output that go into the error."""


def error_of(facts: PodFacts, spec: JobSpec, cluster: str) -> BlueprintError:
    """The error of a pod that failed: what its process said, else what its node and its exit code say."""
    for_memory = facts.container_reason == "OOMKilled"
    ending = None if facts.exit_code is None else ending_of(facts.exit_code, for_memory=for_memory)
    said = _parse_error(facts.last_output)
    if facts.reason == "DeadlineExceeded":
        error: BlueprintError = JobTimedOut(facts.name, cluster, spec.profile.timeout_s)
    elif facts.reason == "Evicted" and _OWN_DISK.match(facts.message):
        error = OutOfDisk(facts.name, cluster, facts.message.strip())
    elif ending is Ending.OUT_OF_MEMORY:
        error = OutOfMemory(facts.name, cluster)
    elif ending is Ending.PREEMPTED:
        error = PodPreempted(facts.name, cluster, facts.disrupted or facts.reason or f"exit code {facts.exit_code}")
    elif said is not None:
        error = StageFailed(said, spec.stage)
    elif facts.disrupted or facts.reason in _TAKEN_AWAY or facts.reason.startswith(_OUT_OF):
        error = PodPreempted(facts.name, cluster, facts.disrupted or facts.reason)
    elif ending is Ending.PERMANENT:
        error = StageFailed(_untyped_failure(facts, cluster), spec.stage)
    else:
        last_output = facts.last_output.strip()[-_LAST_OUTPUT:] or facts.message
        error = JobCrashed(facts.name, cluster, facts.exit_code, _reason(facts), last_output)
    return error


def _reason(facts: PodFacts) -> str:
    return facts.container_reason or facts.reason or "no reason"


def _untyped_failure(facts: PodFacts, cluster: str) -> dict[str, object]:
    message = f"Pod {facts.name} on {cluster} ended with status {facts.exit_code} ({_reason(facts)}); the log says why."
    return {"code": "stage.failed", "message": message, "retryable": False, "exit_code": facts.exit_code}


def _parse_error(text: str) -> dict[str, object] | None:
    try:
        said = json.loads(text)
    except ValueError:
        return None
    whole = isinstance(said, dict) and {"code", "message", "retryable", "exit_code"} <= said.keys()
    return said if whole else None
