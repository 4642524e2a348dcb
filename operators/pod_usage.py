"""Book what a pod held: seconds and machine from the cluster, compared with what the job says of itself."""

import logging

from pydantic import ValidationError

from blueprint_pipeline.compute.job import JobSpec
from blueprint_pipeline.compute.profiles import Cluster
from blueprint_pipeline.compute.record import JobRecord, describe_first, usage_name
from blueprint_pipeline.cost.job_usage import JobUsage, committed_seconds, job_entries, reconcile
from blueprint_pipeline.price.table import load_price_table
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.registry.records import Certainty
from blueprint_pipeline.settings import load_settings
from blueprint_pipeline.workspace.storage import SceneFolder
from plugins.providers.kubernetes.pod_facts import NodeFacts, PodFacts
from plugins.providers.kubernetes.pod_trigger import JobEvent

log = logging.getLogger(__name__)


def book_usage(scene: SceneFolder, spec: JobSpec, cluster: Cluster, told: JobEvent, record: JobRecord | None) -> JobUsage | None:
    """Write down and book what a pod held beyond its commits; ``None`` for a pod whose container never started.

    Doing it twice changes nothing. A pod whose cluster did not answer is booked by what its record said then, and the rest
    when its end is seen after all.
    """
    if told.pod is None or told.pod.started_at is None:
        return None
    usage = build_usage(spec, cluster, told, pod=told.pod, record=record)
    name = usage_name(spec.name, told.uid)
    before = _booked_before(scene, name)
    if before is not None and (before.finished_at or usage.finished_at is None):
        return before
    if before is not None:
        usage = usage.model_copy(update={"booked_before_s": before.idle_s})
    if usage.mismatch:
        log.warning("the figures for pod %s on %s do not agree: %s", spec.name, cluster.name, "; ".join(usage.mismatch))
    registry = open_registry(load_settings().registry)
    prices = load_price_table((usage.finished_at or usage.started_at).date())
    registry.ledger.record(job_entries(usage, prices))
    scene.write_bytes(name, usage.model_dump_json(indent=1).encode() + b"\n")
    log.info("pod %s held %s for %.1f s, %.1f s of it in commits", spec.name, usage.machine, usage.pod_s, usage.committed_s)
    return usage


def _booked_before(scene: SceneFolder, name: str) -> JobUsage | None:
    """What was booked of a pod before; ``None`` where that is not written, or cannot be read: its ledger entries have the same ids."""
    data = scene.find_bytes(name)
    try:
        return None if data is None else JobUsage.model_validate_json(data)
    except ValidationError as error:
        log.warning("%s cannot be read and is written anew: %s", scene.root / name, describe_first(error))
        return None


def build_usage(spec: JobSpec, cluster: Cluster, told: JobEvent, *, pod: PodFacts, record: JobRecord | None) -> JobUsage:
    """What a pod held, from its status, its node and its record."""
    node = told.node or NodeFacts(name="")
    expected = cluster.machines[spec.profile.name]
    machine = cluster.machine_of(node.instance_type, spot=node.spot) or expected
    seen_s = None if pod.finished_at is None or pod.started_at is None else (pod.finished_at - pod.started_at).total_seconds()
    recorded_s = 0.0 if record is None else record.wall_s
    pod_s = recorded_s if seen_s is None else seen_s
    waited_s = (pod.started_at - pod.scheduled_at).total_seconds() if pod.started_at and pod.scheduled_at else 0.0
    committed_s = committed_seconds(record)
    return JobUsage(
        name=spec.name,
        key=spec.key,
        scene_id=spec.scene_id,
        stage=spec.stage,
        pod_uid=told.uid,
        cluster=cluster.name,
        region=cluster.region,
        ending=told.kind,
        node=pod.node,
        instance_type=node.instance_type,
        spot=node.spot,
        accelerator=node.accelerator,
        machine=machine,
        started_at=pod.started_at or pod.created_at,
        finished_at=pod.finished_at,
        pod_s=max(0.0, pod_s),
        pod_s_certainty=Certainty.MEASURED if seen_s is not None else Certainty.ESTIMATED,
        node_s=max(0.0, pod_s) + max(0.0, waited_s),
        own_s=None if record is None else record.wall_s,
        committed_s=committed_s,
        mismatch=reconcile(record, pod_s=seen_s, committed_s=committed_s, machine=machine, expected_machine=expected),
    )
