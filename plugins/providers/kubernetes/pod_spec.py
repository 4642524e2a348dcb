"""Build the pod of a job: the chart's template, what the profile asks for, and the job itself."""

import copy
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from blueprint_pipeline.compute.job import JobSpec
from blueprint_pipeline.compute.profiles import Cluster, ComputeConfigInvalid, Profile
from plugins.providers.kubernetes.pod_facts import CONTAINER, KEY_ANNOTATION

SPEC_ANNOTATION = "blueprint-pipeline-spec"
"""The whole job, for the container (by the downward API) and for people."""
KEY_LABEL, STAGE_LABEL, INSTALLATION_LABEL = "blueprint-pipeline-key", "blueprint-pipeline-stage", "blueprint-pipeline-installation"
_LABEL_LENGTH = 63
_SPEC_FOLDER = "/etc/blueprint-pipeline-job"
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 -- the mount point itself
_GPU = "nvidia.com/gpu"
_SPOT = "cloud.google.com/gke-spot"

_BARE: dict[str, Any] = {
    "metadata": {},
    "spec": {
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": CONTAINER,
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    },
}
"""A pod where a profile names no template."""


def choose_image(profile: Profile, templates: Path, key: str) -> str:
    """The image of a job: the profile's, else the release's, of which a canary takes its share.

    Args:
        profile: Of the job.
        templates: Folder with ``images.yaml``.
        key: Of the job without an image, so that the same job always gets the same answer.
    """
    if profile.image:
        return profile.image
    images = _load(templates / "images.yaml")
    weight = int(images.get("canary_weight_percent", 0))
    canary = int(sha256(key.encode()).hexdigest(), 16) % 100 < weight
    return str(images["canary"] if canary else images["stable"])


def build_pod(spec: JobSpec, cluster: Cluster, templates: Path, labels: Mapping[str, str], *, installation: str) -> dict[str, Any]:
    """The whole pod as the API takes it.

    Args:
        spec: The job.
        cluster: Where it is to run.
        templates: Folder with the profile's template.
        labels: Of Airflow's task.
        installation: Whose pod it is, as :func:`plugins.providers.kubernetes.installation.installation_of` says.

    Raises:
        ComputeConfigInvalid: The template is missing, or has no container ``base``.
    """
    profile = spec.profile
    pod = copy.deepcopy(_BARE) if profile.template is None else _load(templates / profile.template)
    container = next((found for found in pod["spec"]["containers"] if found["name"] == CONTAINER), None)
    if container is None:
        raise ComputeConfigInvalid(str(templates / str(profile.template)), [f"there is no container named '{CONTAINER}'"])
    pod.update(apiVersion="v1", kind="Pod")
    metadata = pod["metadata"]
    metadata.update(name=spec.name, namespace=cluster.namespace)
    own = {KEY_LABEL: spec.key[:_LABEL_LENGTH], STAGE_LABEL: spec.stage, INSTALLATION_LABEL: installation}
    metadata["labels"] = {**(metadata.get("labels") or {}), **labels, **own}
    metadata["annotations"] = {
        **(metadata.get("annotations") or {}),
        KEY_ANNOTATION: spec.key,
        SPEC_ANNOTATION: spec.model_dump_json(),
    }
    pod["spec"].update(
        restartPolicy="Never", terminationGracePeriodSeconds=profile.grace_s, activeDeadlineSeconds=max(1, int(profile.timeout_s))
    )
    _fill_container(container, spec, cluster)
    _ask_for_node(pod["spec"], profile)
    _mount_job(pod["spec"], container)
    if profile.resources.shared_memory:
        _size_shared_memory(pod["spec"], container, profile.resources.shared_memory)
    return pod


def _load(path: Path) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ComputeConfigInvalid(str(path), [str(error)]) from error
    if not isinstance(loaded, dict):
        raise ComputeConfigInvalid(str(path), ["expected a mapping"])
    return loaded


def _fill_container(container: dict[str, Any], spec: JobSpec, cluster: Cluster) -> None:
    profile = spec.profile
    container["image"] = profile.image
    if profile.command:
        container["command"] = list(profile.command)
    container["args"] = ["job", "run", f"{_SPEC_FOLDER}/spec.json"]
    container["terminationMessagePolicy"] = "FallbackToLogsOnError"
    resources = container.setdefault("resources", {})
    for kind, asked in (("requests", profile.resources.requests), ("limits", profile.resources.limits)):
        resources[kind] = {**(resources.get(kind) or {}), **asked}
    if profile.resources.gpus:
        resources["limits"][_GPU] = str(profile.resources.gpus)
    else:
        resources["limits"].pop(_GPU, None)
    values = {
        "BPP__LOG__FORMAT": "json",
        "BPP__COMPUTE__MACHINE": cluster.machines[profile.name],
        **({"BPP__COMPUTE__IMAGE_DIGEST": profile.image.partition("@")[2]} if "@" in profile.image else {}),
        **profile.environment,
    }
    facts = {"BPP__COMPUTE__POD_UID": "metadata.uid", "BPP__COMPUTE__NODE": "spec.nodeName"}
    own: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in values.items()]
    own += [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in facts.items()]
    names = {variable["name"] for variable in own}
    container["env"] = [*(found for found in container.get("env") or [] if found["name"] not in names), *own]


def _ask_for_node(pod_spec: dict[str, Any], profile: Profile) -> None:
    """Selectors and tolerations of the profile's accelerator and of Spot."""
    selector, tolerations = pod_spec.get("nodeSelector") or {}, pod_spec.get("tolerations") or []
    wanted: list[dict[str, str]] = []
    if profile.resources.accelerator:
        selector["cloud.google.com/gke-accelerator"] = profile.resources.accelerator
    if profile.resources.gpus:
        wanted.append({"key": _GPU, "operator": "Exists", "effect": "NoSchedule"})
    if profile.resources.spot:
        selector[_SPOT] = "true"
        wanted.append({"key": _SPOT, "operator": "Equal", "value": "true", "effect": "NoSchedule"})
    pod_spec["tolerations"] = [*tolerations, *(found for found in wanted if found not in tolerations)]
    if selector:
        pod_spec["nodeSelector"] = selector


def _mount_job(pod_spec: dict[str, Any], container: dict[str, Any]) -> None:
    item: dict[str, Any] = {"path": "spec.json", "fieldRef": {"fieldPath": f"metadata.annotations['{SPEC_ANNOTATION}']"}}
    volume: dict[str, Any] = {"name": "job", "downwardAPI": {"items": [item]}}
    pod_spec["volumes"] = [*(pod_spec.get("volumes") or []), volume]
    mount = {"name": "job", "mountPath": _SPEC_FOLDER, "readOnly": True}
    container["volumeMounts"] = [*(container.get("volumeMounts") or []), mount]


def _size_shared_memory(pod_spec: dict[str, Any], container: dict[str, Any], size: str) -> None:
    mounts = container["volumeMounts"]
    name = next((mount["name"] for mount in mounts if mount["mountPath"] == _SHARED_MEMORY), None)
    if name is None:
        name = "shared-memory"
        mounts.append({"name": name, "mountPath": _SHARED_MEMORY})
    memory = {"name": name, "emptyDir": {"medium": "Memory", "sizeLimit": size}}
    pod_spec["volumes"] = [*(volume for volume in pod_spec["volumes"] if volume["name"] != name), memory]
