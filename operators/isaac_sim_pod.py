"""The operator that runs a stage as a pod: made once, found again after whatever happens to Airflow, judged by what it left."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import Context

from blueprint_pipeline.compute.errors import ImagePullFailed, JobRecordMissing, JobTimedOut, NoClusters, PodLost, SecretsInPod
from blueprint_pipeline.compute.job import JobSpec
from blueprint_pipeline.compute.profiles import Cluster, ComputeConfig, load_compute
from blueprint_pipeline.compute.record import JobRecord, load_record, record_name
from blueprint_pipeline.errors import BlueprintError
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.settings import load_settings
from blueprint_pipeline.workspace.storage import SceneFolder, Workspace
from operators.job_pods import JobPods, JobState, Placed
from operators.pod_usage import book_usage
from operators.retries import raise_for_airflow
from operators.stage_task import StageTask
from plugins.providers.kubernetes.connections import build_hook, find_endpoint
from plugins.providers.kubernetes.pod_failure import error_of
from plugins.providers.kubernetes.pod_spec import choose_image
from plugins.providers.kubernetes.pod_trigger import JobEvent, JobPodTrigger, Watch
from plugins.providers.kubernetes.pods import ClusterPods


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
        try:
            job = self._open(context)
            job.state.left = {}  # a new try begins with all clusters
            self._wait(context, job, job.find() or job.create())
        except BlueprintError as error:
            raise_for_airflow(error)

    def resume(self, context: Context, event: dict[str, Any]) -> Any:
        """What the trigger told: take the result, go elsewhere, or raise the error."""
        told = JobEvent.model_validate(event)
        try:
            job = self._open(context)
            cluster = job.config.cluster(told.cluster)
            if cluster is None:
                raise PodLost(job.spec.name, told.cluster, "its cluster is configured no more")
            if told.kind in {"unschedulable", "unreachable"}:
                scene = Workspace(load_settings().workspace).scene(job.spec.scene_id)
                book_usage(scene, job.spec, cluster, told, load_record(scene, job.spec, told.uid))
                job.leave(cluster, told.pod, f"{told.kind}: {told.reason}")
                self._wait(context, job, job.find() or job.create())
            return self._settle(context, job, cluster, told)
        except BlueprintError as error:
            raise_for_airflow(error)

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
        return JobPods(spec, compute, state, leases, templates=templates, labels=labels)

    def _wait(self, context: Context, job: JobPods, placed: Placed) -> None:
        """Hand the pod to the triggerer."""
        self._placed = (job, placed)
        spec, limits, cluster = job.spec, job.config.failover, placed.cluster
        context["ti"].xcom_push(key="pod", value={"name": spec.name, "cluster": cluster.name, "namespace": cluster.namespace})
        watch = Watch(
            cluster=cluster.name,
            connection=cluster.connection,
            namespace=cluster.namespace,
            gke=cluster.gke,
            endpoint=find_endpoint(cluster),
            pod=spec.name,
            uid=placed.uid,
            grace_s=spec.profile.grace_s,
            timeout_s=spec.profile.timeout_s,
            **limits.model_dump(include={"unschedulable_s", "unreachable_s", "gone_s", "poll_s", "quiet_s"}),
        )
        self.log.info("pod %s on %s (%d requests)", spec.name, cluster.name, len(spec.requests))
        self.defer(trigger=JobPodTrigger(watch=watch.model_dump(mode="json")), method_name="resume")

    def _settle(self, context: Context, job: JobPods, cluster: Cluster, told: JobEvent) -> Any:
        """A pod is over: take its result or its error, and leave nothing of it on the cluster."""
        scene = Workspace(load_settings().workspace).scene(job.spec.scene_id)
        record = load_record(scene, job.spec, told.uid)
        book_usage(scene, job.spec, cluster, told, record)
        is_done = told.kind == "succeeded" or (told.kind == "lost" and record is not None and record.outcome == "done")
        error = None if is_done else _error_of(job.spec, cluster, told)
        if told.pod is not None:
            job.remove(cluster, told.pod)
        if error is not None:
            raise error
        job.remove_others(cluster)
        return self.finish(context, _results_of(scene, job.spec, cluster, told, record))


def _error_of(spec: JobSpec, cluster: Cluster, told: JobEvent) -> BlueprintError:
    if told.kind == "image":
        return ImagePullFailed(spec.name, cluster.name, spec.profile.image, told.reason)
    if told.kind == "overdue":
        return JobTimedOut(spec.name, cluster.name, spec.profile.timeout_s)
    if told.kind == "failed" and told.pod is not None:
        return error_of(told.pod, spec, cluster.name)
    return PodLost(spec.name, cluster.name, told.reason)


def _results_of(scene: SceneFolder, spec: JobSpec, cluster: Cluster, told: JobEvent, record: JobRecord | None) -> list[dict[str, Any]]:
    if record is None or record.outcome != "done":
        raise JobRecordMissing(spec.name, cluster.name, str(scene.root / record_name(spec.name, told.uid)))
    return record.results()
