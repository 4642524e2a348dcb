"""The pod of a job, from the chart's own templates: valid in strict mode, and all that the profile asks for."""

import re

import kubernetes_validate
import pytest
import yaml

from blueprint_pipeline.compute.job import JobSpec
from blueprint_pipeline.compute.profiles import Cluster, ComputeConfigInvalid, Profile, Resources
from blueprint_pipeline.settings import RegistrySettings, Settings, WorkspaceSettings
from plugins.providers.kubernetes.installation import installation_of
from plugins.providers.kubernetes.pod_spec import build_pod, choose_image
from tests.shipping.conftest import DIGEST, load_values, render

VERSION = "1.34"
CLUSTER = Cluster(
    name="a", region="a", connection="a", namespace="factory", machines={"gpu": "gce_g2_standard_8_spot", "cpu": "gce_e2_standard_8"}
)
IMAGE = f"region-docker.pkg.dev/p/blueprint-pipeline/job@{DIGEST}"


@pytest.fixture(scope="module")
def templates(tmp_path_factory):
    """As the chart mounts them in production."""
    folder = tmp_path_factory.mktemp("templates")
    (found,) = [m for m in render(load_values("production")) if m["metadata"]["name"] == "blueprint-pipeline-pod-templates"]
    for name, text in found["data"].items():
        (folder / name).write_text(text)
    return folder


def spec_of(**profile):
    requests = ({"scene_id": "s1", "shard_index": 0}, {"scene_id": "s1", "shard_index": 1})
    return JobSpec(stage="render_shard", requests=requests, run_id="r1", profile=Profile(image=IMAGE, **profile))


def gpu(**more):
    return spec_of(
        name="gpu", template="gpu.yaml", resources=Resources(gpus=1, accelerator="nvidia-l4", spot=True, shared_memory="4Gi"), **more
    )


def container_of(pod):
    return next(found for found in pod["spec"]["containers"] if found["name"] == "base")


@pytest.mark.parametrize("spec", [gpu(), spec_of(name="cpu", template="cpu.yaml"), spec_of(name="cpu")], ids=["gpu", "cpu", "bare"])
def test_the_pod_is_valid(spec, templates):
    """Strict: a field that Kubernetes does not know is refused."""
    kubernetes_validate.validate(build_pod(spec, CLUSTER, templates, {"dag_id": "d"}, installation="i"), VERSION, strict=True)


def test_the_pod_asks_for_what_the_profile_says(templates):
    """GPU, accelerator and Spot with their tolerations, shared memory, grace, deadline, priority, account, image by digest."""
    pod = build_pod(gpu(timeout_s=100), CLUSTER, templates, {}, installation="i")
    spec, container = pod["spec"], container_of(pod)
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert spec["nodeSelector"] == {"cloud.google.com/gke-accelerator": "nvidia-l4", "cloud.google.com/gke-spot": "true"}
    assert {toleration["key"] for toleration in spec["tolerations"]} == {"nvidia.com/gpu", "cloud.google.com/gke-spot"}
    (memory,) = [volume for volume in spec["volumes"] if volume["name"] == "shared-memory"]
    assert memory["emptyDir"] == {"medium": "Memory", "sizeLimit": "4Gi"}
    assert (spec["terminationGracePeriodSeconds"], spec["activeDeadlineSeconds"], spec["restartPolicy"]) == (15, 100, "Never")
    assert (spec["priorityClassName"], spec["serviceAccountName"]) == ("blueprint-pipeline-job", "blueprint-pipeline-job")
    assert container["image"] == IMAGE
    assert "ephemeral-storage" in container["resources"]["requests"]


def test_the_pod_is_hardened(templates):
    """As the chart has it, and where a profile names no template."""
    for spec in (gpu(), spec_of(name="cpu")):
        pod = build_pod(spec, CLUSTER, templates, {}, installation="i")
        security = container_of(pod)["securityContext"]
        assert pod["spec"]["securityContext"]["runAsNonRoot"]
        assert security == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        assert pod["spec"]["automountServiceAccountToken"] is False


def test_the_job_is_in_the_pod(templates):
    """Name and key are the job's; the container finds the specification in a file, and knows its pod and its price."""
    spec = gpu()
    pod = build_pod(spec, CLUSTER, templates, {"dag_id": "d"}, installation="i")
    assert (pod["metadata"]["name"], pod["metadata"]["namespace"]) == (spec.name, "factory")
    assert JobSpec.model_validate_json(pod["metadata"]["annotations"]["blueprint-pipeline-spec"]) == spec
    assert pod["metadata"]["annotations"]["blueprint-pipeline-key"] == spec.key
    assert pod["metadata"]["labels"]["dag_id"] == "d"
    assert pod["metadata"]["labels"]["blueprint-pipeline-installation"] == "i"
    assert container_of(pod)["args"] == ["job", "run", "/etc/blueprint-pipeline-job/spec.json"]
    variables = {variable["name"]: variable for variable in container_of(pod)["env"]}
    assert variables["BPP__COMPUTE__MACHINE"]["value"] == "gce_g2_standard_8_spot"
    assert variables["BPP__COMPUTE__IMAGE_DIGEST"]["value"] == DIGEST
    assert variables["BPP__COMPUTE__POD_UID"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.uid"
    assert len(variables) == len(container_of(pod)["env"])


def test_a_template_without_the_container_is_refused(tmp_path):
    (tmp_path / "cpu.yaml").write_text(yaml.safe_dump({"spec": {"containers": [{"name": "other"}]}, "metadata": {}}))
    with pytest.raises(ComputeConfigInvalid, match="named 'base'"):
        build_pod(spec_of(name="cpu", template="cpu.yaml"), CLUSTER, tmp_path, {}, installation="i")


def test_a_canary_takes_its_share_and_the_same_job_the_same_image(tmp_path):
    """By the job's key, so that a retry does not change its mind."""
    (tmp_path / "images.yaml").write_text(yaml.safe_dump({"stable": "s", "canary": "c", "canary_weight_percent": 20}))
    chosen = [choose_image(Profile(), tmp_path, f"key-{number}") for number in range(2000)]
    assert 300 < chosen.count("c") < 500
    assert chosen == [choose_image(Profile(), tmp_path, f"key-{number}") for number in range(2000)]
    assert choose_image(Profile(image="own"), tmp_path, "key-1") == "own"


def test_an_installation_is_known_by_its_registry_and_workspace():
    """Whoever has either of its own is another; a rotated password or another driver's name makes none."""

    def installation(database="db/registry", workspace="gs://ours/workspace", driver="postgresql+psycopg2", login="airflow:old"):
        url = f"{driver}://{login}@{database}"
        return installation_of(Settings(registry=RegistrySettings(url=url), workspace=WorkspaceSettings(url=workspace)))

    ours = installation()
    assert re.fullmatch("[0-9a-f]{20}", ours)
    assert installation("db/registry?sslmode=require", driver="postgresql", login="airflow:new") == ours
    others = [installation("db/staging"), installation("elsewhere/registry"), installation(workspace="gs://theirs/workspace")]
    assert len({ours, *others}) == 4
