"""What can go wrong with a job that its stage has no part in: its machine, its pod, its cluster."""

from collections.abc import Sequence

from blueprint_pipeline.errors import ConfigurationError, InternalError, PreemptedError, TransientError


class NoClusters(ConfigurationError):
    """Stages must run as pods, but no cluster is configured."""

    code = "compute.no_clusters"
    template = "Stage {stage} must run in a pod, and {path} lists no cluster. Add one under `clusters`."

    stage: str
    path: str


class SecretsInPod(ConfigurationError):
    """A stage that needs a connection's secrets must run as a pod."""

    code = "compute.secrets_in_pod"
    template = (
        "Stage {stage} is given {names} from a connection, and a pod's specification is readable by many. Run this "
        "stage with profile `local`, or mount the secret in the pod template."
    )

    stage: str
    names: Sequence[str]


class PodPreempted(PreemptedError):
    """A pod was asked to end, or evicted from its node; finished units are kept."""

    code = "compute.pod_preempted"
    template = "Pod {pod} on {cluster} was taken away ({reason}). Finished units are kept; the next pod continues."

    pod: str
    cluster: str
    reason: str


class PodLost(PreemptedError):
    """A pod disappeared: its node ended, or somebody deleted it."""

    code = "compute.pod_lost"
    template = "Pod {pod} on {cluster} is gone ({reason}). Finished units are kept; the next pod continues."

    pod: str
    cluster: str
    reason: str


class NoCapacity(TransientError):
    """No cluster had room for a pod, for as long as a job may wait."""

    code = "compute.no_capacity"
    template = "No room for pod {pod} on {tried}; the last said: {reason}. Raise a quota, add a node pool or a cluster, or wait."

    pod: str
    tried: Sequence[str]
    reason: str


class ClusterUnreachable(TransientError):
    """No cluster's API answers."""

    code = "compute.cluster_unreachable"
    template = "No API of {tried} answered for pod {pod}; the last said: {reason}. Check the connections and the clusters."

    pod: str
    tried: Sequence[str]
    reason: str


class ClusterRefused(ConfigurationError):
    """A cluster's API, or the service that gives tokens for it, says no, and would say it again."""

    code = "compute.cluster_refused"
    template = (
        "{cluster} refuses to {call}: {reason}. Check its row in the file of clusters (connection, namespace), the connection's "
        "credentials, and that its account has the role that the chart makes in that namespace."
    )

    cluster: str
    call: str
    reason: str


class PodInvalid(ConfigurationError):
    """A cluster's API does not take a pod as it is: its template, its profile, or a bound of the namespace is wrong."""

    code = "compute.pod_invalid"
    template = (
        "{cluster} does not take pod {pod}: {reason}. Correct its profile or its pod template, or the bounds of the namespace "
        "(ResourceQuota, LimitRange, Pod Security)."
    )

    cluster: str
    pod: str
    reason: str


class PodMisconfigured(ConfigurationError):
    """A node cannot make a pod's container: what its specification names is missing or malformed."""

    code = "compute.pod_misconfigured"
    template = (
        "Pod {pod} on {cluster} cannot be started: {reason}. Correct what it names (Secret, ConfigMap, key, image name), "
        "then clear the task."
    )

    pod: str
    cluster: str
    reason: str


class PodNotStarted(TransientError):
    """A pod has a node, but its container did not start in time."""

    code = "compute.pod_not_started"
    template = (
        "Pod {pod} on {cluster} did not start on node {node}: {reason}. Check its volumes and the node; an image that takes longer "
        "to pull needs a longer `start_s` under `failover`."
    )

    pod: str
    cluster: str
    node: str | None
    reason: str


class OutOfDisk(TransientError):
    """A job was evicted for the ephemeral storage that it took itself."""

    code = "compute.out_of_disk"
    template = (
        "Job {job} on {place} was evicted for its own disk use: {reason}. Finished units are kept; raise the `ephemeral-storage` "
        "limit of its profile or the size of the volume, or take fewer shards a job."
    )

    job: str
    place: str
    reason: str


class JobRecordUnreadable(TransientError):
    """The record that a job left is damaged, or of a format that this version does not know."""

    code = "compute.record_unreadable"
    template = (
        "The record {path} of job {job} cannot be read ({reason}). It is kept beside as .unreadable, and the job runs again: it finds "
        "what is committed. If this comes again, workers and pods run versions that do not fit together."
    )

    job: str
    path: str
    reason: str


class ImagePullFailed(TransientError):
    """A pod's image could not be pulled."""

    code = "compute.image_pull_failed"
    template = (
        "The image {image} of pod {pod} could not be pulled on {cluster}: {reason}. Check its name, its digest, and "
        "the rights of the nodes' account on the registry."
    )

    pod: str
    cluster: str
    image: str
    reason: str


class JobTimedOut(TransientError):
    """A job ran for longer than its profile allows."""

    code = "compute.timed_out"
    template = (
        "Job {job} on {place} ran for more than {timeout_s:.0f} s and was ended. Finished units are kept; raise "
        "`timeout_s` of its profile, or take fewer shards a job."
    )

    job: str
    place: str
    timeout_s: float


class OutOfMemory(TransientError):
    """A job was killed for its memory: it exceeded its container's limit, or the kernel chose it when memory ran out."""

    code = "compute.out_of_memory"
    template = (
        "Job {job} on {place} was killed for its memory. Finished units are kept; give it more (a pod: the memory "
        "limit of its profile), or run fewer at once."
    )

    job: str
    place: str


class JobCrashed(TransientError):
    """A job's process ended without a typed error."""

    code = "compute.job_crashed"
    template = (
        "Job {job} on {place} ended with status {exit_status} ({reason}) and without a typed error. Its last output: "
        "{last_output}. It is tried again; if that does not help, this is a defect: report it with the log."
    )

    job: str
    place: str
    exit_status: int | None
    reason: str
    last_output: str


class JobNameTaken(InternalError):
    """A pod of another job has the name of this one."""

    code = "compute.name_taken"
    template = (
        "Pod {pod} on {cluster} is of job {found_key}, expected {expected_key}. Nothing was touched: find out who "
        "made that pod, and delete it."
    )

    pod: str
    cluster: str
    expected_key: str
    found_key: str | None


class JobRecordMissing(InternalError):
    """A job ended well, and its record is missing."""

    code = "compute.record_missing"
    template = "Job {job} on {place} ended well and left no record at {path}. Check that pods and workers have the same workspace URL."

    job: str
    place: str
    path: str
