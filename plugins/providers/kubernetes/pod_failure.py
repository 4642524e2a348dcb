"""From how a pod ended to an error of our tree."""

import json

from blueprint_pipeline.compute.errors import JobCrashed, JobTimedOut, OutOfMemory, PodPreempted
from blueprint_pipeline.compute.exit_codes import Ending, ending_of
from blueprint_pipeline.compute.job import JobSpec, StageFailed
from blueprint_pipeline.errors import BlueprintError
from plugins.providers.kubernetes.pod_facts import PodFacts

_TAKEN_AWAY = frozenset(
    {"Terminated", "NodeShutdown", "Shutdown", "NodeLost", "NodeAffinity", "Preempting", "Evicted", "UnexpectedAdmissionError"}
)
"""Reasons of a pod's status. Source: kubelet (node shutdown, eviction, admission), scheduler (preemption), node controller."""
_OWN_FAULT = "exceeds"
"""In the message of an eviction for what the pod itself took (ephemeral storage, memory)."""
_LAST_OUTPUT = 500
"""Characters of a crash's output that go into the error."""


def error_of(facts: PodFacts, spec: JobSpec, cluster: str) -> BlueprintError:
    """The error of a pod that failed: what its process said, else what its node and its exit code say."""
    for_memory = facts.container_reason == "OOMKilled"
    ending = None if facts.exit_code is None else ending_of(facts.exit_code, for_memory=for_memory)
    said = _parse_error(facts.last_output)
    if facts.reason == "DeadlineExceeded":
        error: BlueprintError = JobTimedOut(facts.name, cluster, spec.profile.timeout_s)
    elif ending is Ending.OUT_OF_MEMORY:
        error = OutOfMemory(facts.name, cluster)
    elif ending is Ending.PREEMPTED:
        error = PodPreempted(facts.name, cluster, facts.disrupted or facts.reason or f"exit code {facts.exit_code}")
    elif said is not None:
        error = StageFailed(said, spec.stage)
    elif facts.disrupted or (facts.reason in _TAKEN_AWAY and _OWN_FAULT not in facts.message):
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
