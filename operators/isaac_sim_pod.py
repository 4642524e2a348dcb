"""The operator that runs a stage as a pod: made once, found again after whatever happens to Airflow, judged by what it left."""

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import Context

from blueprint_pipeline.compute.errors import (
    ClusterRefused,
    ImagePullFailed,
    JobRecordMissing,
    JobRecordUnreadable,
    JobTimedOut,
    NoCapacity,
    NoClusters,
    PodLost,
    PodMisconfigured,
    PodNotStarted,
    SecretsInPod,
)
from blueprint_pipeline.compute.job import JobSpec, UnitDone
from blueprint_pipeline.compute.profiles import Cluster, ComputeConfig, load_compute
from blueprint_pipeline.compute.record import JobRecord, load_record, move_record_aside, record_name
from blueprint_pipeline.errors import BlueprintError
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.registry.sessions import RegistryUnavailable
from blueprint_pipeline.settings import load_settings
from blueprint_pipeline.workspace.storage import SceneFolder, Workspace
from operators.job_pods import JobPods, JobState, Placed
from operators.lab_notice import end_task
from operators.pod_usage import book_usage
from operators.stage_task import StageTask
from plugins.providers.kubernetes.api_errors import ApiUnreachable
from plugins.providers.kubernetes.connections import build_hook
from plugins.providers.kubernetes.installation import installation_of
from plugins.providers.kubernetes.pause_trigger import PAUSED, Pause, PauseTrigger
from plugins.providers.kubernetes.pod_facts import MALFORMED_IMAGE, MISCONFIGURED, now_utc
from plugins.providers.kubernetes.pod_failure import error_of
from plugins.providers.kubernetes.pod_spec import choose_image
from plugins.providers.kubernetes.pod_trigger import JobEvent, JobPodTrigger, Watch
from plugins.providers.kubernetes.pods import ClusterPods, PodNotGone

_BOUNDS = {"unschedulable_s", "unreachable_s", "gone_s", "poll_s", "quiet_s", "pull_s", "setup_s", "start_s"}


class IsaacSimPodOperator(StageTask, KubernetesPodOperator):
    """Run a stage in a pod, deferred: no worker waits. Arguments and errors are those of :class:`StageTask`.

    The pod's name is the job's key, so a cluster never has two of it, and a task that starts again (a retry, a restarted
    scheduler, triggerer or worker) takes the living one. Which image, machine and cluster: ``blueprint_pipeline.compute.profiles``.
    """

    template_fields: Sequence[str] = StageTask.template_fields
    template_fields_renderers = StageTask.template_fields_renderers
    ui_color = "#dcecd9"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(deferrable=True, **kwargs)
        self.do_xcom_push = True  # of Airflow, not by a sidecar
        self._placed: tuple[JobPods, Placed] | None = None

    @cached_property
    def hook(self) -> Any:
        """The hook of the cluster that has the pod, or would have it."""
        compute = self._compute()
        return build_hook(self._placed[1].cluster if self._placed else compute.clusters[0])

    def execute(self, context: Context) -> Any:
        return self._go_on(context, None, None)

    def resume(self, context: Context, event: dict[str, Any]) -> Any:
        """What a trigger told: take the result, go elsewhere, go on after a pause, or raise the error."""
        if event.get("kind") != PAUSED:
            return self._go_on(context, JobEvent.model_validate(event), None)
        pause = Pause.model_validate(event)
        return self._go_on(context, pause.told, pause)

    def _go_on(self, context: Context, told: JobEvent | None, pause: Pause | None) -> Any:
        """One step: settle what was told, else find the pod or make it. What only needs time is waited for, at no try's cost."""
        no_room_since = None
        if told is not None:
            no_room_since = told.no_room_since
        elif pause is not None and pause.code == NoCapacity.code:
            no_room_since = pause.since
        try:
            job = self._open(context)
            if told is None:
                job.begin_round()
                return self._wait(context, job, job.find() or job.create(), no_room_since)
            return self._judge(context, job, told)
        except NoCapacity as error:
            self._pause(context, error, None, no_room_since)
        except RegistryUnavailable as error:
            self._pause(context, error, told, pause.since if pause and pause.code == error.code else None)
        except BlueprintError as error:
            end_task(context, error, never_fails=self.never_fails)

    def _judge(self, context: Context, job: JobPods, told: JobEvent) -> Any:
        cluster = job.config.cluster(told.cluster)
        if cluster is None:
            raise PodLost(job.spec.name, told.cluster, "its cluster is no longer configured")
        if told.kind not in {"unschedulable", "unreachable"}:
            return self._settle(context, job, cluster, told)
        scene = Workspace(load_settings().workspace).scene(job.spec.scene_id)
        book_usage(scene, job.spec, cluster, told, _read_record(scene, job.spec, told)[0])
        if told.kind == "unreachable":
            job.leave_unreachable(cluster, told.reason)
        else:
            job.leave_full(cluster, told.pod, told.reason)
        return self._wait(context, job, job.find() or job.create(), told.no_room_since)

    def _pause(self, context: Context, error: BlueprintError, told: JobEvent | None, since: datetime | None) -> None:
        """Defer until the next try at what an error is about; raise it once that lasted too long."""
        failover, began = self._compute().failover, since or now_utc()
        waited_s = (now_utc() - began).total_seconds()
        limit_s = failover.room_wait_s if isinstance(error, NoCapacity) else failover.registry_wait_s
        if waited_s >= limit_s:
            self._remove_dead_pod(told)
            end_task(context, error, never_fails=self.never_fails)
        self.log.warning("has waited %.0f s of at most %.0f s, without spending a try: %s", waited_s, limit_s, error)
        pause = Pause(code=error.code, since=began, pause_s=failover.room_poll_s, told=told)
        self.defer(trigger=PauseTrigger(pause=pause.model_dump(mode="json")), method_name="resume")

    def _remove_dead_pod(self, told: JobEvent | None) -> None:
        """Leave nothing on the cluster of a pod whose end cannot be booked; its leases expire on their own."""
        failover, cluster = self._compute().failover, self._compute().cluster(told.cluster) if told else None
        if told is None or told.pod is None or cluster is None:
            return
        try:
            ClusterPods(cluster).delete(told.pod, grace_s=0, gone_s=failover.gone_s)
        except (ApiUnreachable, ClusterRefused, PodNotGone) as error:
            self.log.warning("pod %s may still be on %s: %s", told.pod.name, cluster.name, error)

    def on_kill(self) -> None:
        """The task's process is ended while it makes or reads a pod: the pod ends too."""
        if self._placed is not None:
            job, placed = self._placed
            found = ClusterPods(placed.cluster).read(job.spec.name)
            if found is not None and found.uid == placed.uid:
                self.log.warning("asking pod %s to end", found.name)
                job.remove(placed.cluster, found)

    def _compute(self) -> ComputeConfig:
        return load_compute(load_settings().compute.config)

    def _open(self, context: Context) -> JobPods:
        """The job of this task instance, with what the processes before knew of its pod."""
        settings, compute = load_settings(), self._compute()
        state = JobState.load(context.get("task_state_store"))
        profile = compute.profile_of(self.stage)
        bare = self.build_spec(context, profile)
        if not compute.clusters:
            raise NoClusters(self.stage, str(settings.compute.config))
        if bare.secrets:
            raise SecretsInPod(self.stage, sorted(bare.secrets))
        templates = settings.compute.pod_templates
        image = state.image or choose_image(profile, templates, bare.key)
        spec = bare.model_copy(update={"profile": profile.model_copy(update={"image": image})})
        leases = open_registry(settings.registry).leases
        labels = self._get_ti_pod_labels(context, include_try_number=False)
        return JobPods(spec, compute, state, leases, templates=templates, labels=labels, installation=installation_of(settings))

    def _wait(self, context: Context, job: JobPods, placed: Placed, no_room_since: datetime | None) -> None:
        """Hand the pod to the triggerer."""
        self._placed = (job, placed)
        spec, limits, cluster = job.spec, job.config.failover, placed.cluster
        context["ti"].xcom_push(key="pod", value={"name": spec.name, "cluster": cluster.name, "namespace": cluster.namespace})
        watch = Watch(
            cluster=cluster.name,
            connection=cluster.connection,
            namespace=cluster.namespace,
            gke=cluster.gke,
            endpoint=ClusterPods(cluster).find_endpoint(),
            pod=spec.name,
            uid=placed.uid,
            grace_s=spec.profile.grace_s,
            timeout_s=spec.profile.timeout_s,
            no_room_since=no_room_since,
            **limits.model_dump(include=_BOUNDS),
        )
        self.log.info("pod %s on %s (%d requests)", spec.name, cluster.name, len(spec.requests))
        self.defer(trigger=JobPodTrigger(watch=watch.model_dump(mode="json")), method_name="resume")

    def _settle(self, context: Context, job: JobPods, cluster: Cluster, told: JobEvent) -> Any:
        """A pod is over: take its result or its error, and leave nothing of it on the cluster."""
        scene = Workspace(load_settings().workspace).scene(job.spec.scene_id)
        record, unreadable = _read_record(scene, job.spec, told)
        book_usage(scene, job.spec, cluster, told, record)
        is_done = told.kind == "succeeded" or (told.kind == "lost" and record is not None and record.outcome == "done")
        error = unreadable if is_done else _error_of(job.spec, cluster, told)
        if told.pod is not None and told.kind != "refused":
            job.remove(cluster, told.pod)
        if unreadable is not None:
            move_record_aside(scene, job.spec, told.uid)
        if error is not None:
            raise error
        job.remove_others(cluster)
        return self.finish(context, _done_of(scene, job.spec, cluster, told, record))


def _read_record(scene: SceneFolder, spec: JobSpec, told: JobEvent) -> tuple[JobRecord | None, JobRecordUnreadable | None]:
    """What a pod recorded; or why that cannot be read: its pod is cleared away all the same."""
    try:
        return load_record(scene, spec, told.uid), None
    except JobRecordUnreadable as error:
        return None, error


def _error_of(spec: JobSpec, cluster: Cluster, told: JobEvent) -> BlueprintError:
    if told.kind in {"image", "not_started"}:
        return _start_error(spec, cluster, told)
    if told.kind == "refused":
        return ClusterRefused(cluster.name, f"watch pod {spec.name}", told.reason)
    if told.kind == "overdue":
        return JobTimedOut(spec.name, cluster.name, spec.profile.timeout_s)
    if told.kind == "failed" and told.pod is not None:
        return error_of(told.pod, spec, cluster.name)
    return PodLost(spec.name, cluster.name, told.reason)


def _start_error(spec: JobSpec, cluster: Cluster, told: JobEvent) -> BlueprintError:
    """Of a pod that got a node, and no running container."""
    if told.pod is not None and told.pod.waiting_reason in {MISCONFIGURED, *MALFORMED_IMAGE}:
        return PodMisconfigured(spec.name, cluster.name, told.reason)
    if told.kind == "image":
        return ImagePullFailed(spec.name, cluster.name, spec.profile.image, told.reason)
    return PodNotStarted(spec.name, cluster.name, None if told.pod is None else told.pod.node, told.reason)


def _done_of(scene: SceneFolder, spec: JobSpec, cluster: Cluster, told: JobEvent, record: JobRecord | None) -> list[UnitDone]:
    if record is None or record.outcome != "done":
        raise JobRecordMissing(spec.name, cluster.name, str(scene.root / record_name(spec.name, told.uid)))
    return record.done()
