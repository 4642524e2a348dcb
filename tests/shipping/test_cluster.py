"""The chart on a real control plane: installed, tested, upgraded, rolled back; its accounts, quotas and pods at work."""

import copy
import tempfile
from pathlib import Path

import pytest
import yaml

from tests.shipping.conftest import CHART
from tests.shipping.helm import HelmRefused, open_helm

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(1200), pytest.mark.xdist_group("shipping-cluster")]

NAMESPACE = "factory"
SMALL = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "2Gi"}}
WAIT_S = 300


@pytest.fixture(scope="module")
def scenes():
    """A folder that pods on every node see, as a volume that all can mount."""
    with tempfile.TemporaryDirectory(prefix="blueprint-pipeline-scenes-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o777)
        yield folder


@pytest.fixture(scope="module")
def values(scenes):
    """Small pods, and certificates of one's own: there is no cert-manager here."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return {
        "environment": "staging",
        "image": {"tag": "one"},
        "jobs": {"scratchSize": "1Gi", "cpu": {"resources": SMALL}, "gpu": {"resources": SMALL}},
        "quota": {"gpus": 1, "pods": 3, "cpu": "4", "memory": "8Gi"},
        "simulator": {
            "enabled": True,
            "replicas": 1,
            "port": port,
            "resources": SMALL,
            "scenesVolume": {"hostPath": {"path": scenes}},
        },
        "tls": {"existingSecrets": {"server": "simulator-server", "client": "simulator-client"}},
        "tests": {"simulatorAddress": f"127.0.0.1:{port}"},
        "migration": {"backoffLimit": 0},
    }


@pytest.fixture(scope="module")
def api(kubeconfig):
    """The cluster's API, as administrator, with the namespace made."""
    from kubernetes import client, config

    api = config.new_client_from_config(kubeconfig)
    client.CoreV1Api(api).create_namespace({"metadata": {"name": NAMESPACE}})
    return api


@pytest.fixture(scope="module")
def core(api):
    from kubernetes import client

    return client.CoreV1Api(api)


@pytest.fixture(scope="module")
def secrets(core, database_url):
    """The secrets that docs/deploy.md has people make."""
    import trustme

    authority = trustme.CA()
    make = {"registry": {"url": database_url}}
    for side, leaf in (("server", authority.issue_cert("127.0.0.1")), ("client", authority.issue_cert("blueprint-pipeline-job"))):
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems).decode()
        key = leaf.private_key_pem.bytes().decode()
        make[f"simulator-{side}"] = {"tls.crt": chain, "tls.key": key, "ca.crt": authority.cert_pem.bytes().decode()}
    for name, data in make.items():
        full = "blueprint-pipeline-registry" if name == "registry" else name
        core.create_namespaced_secret(NAMESPACE, {"metadata": {"name": full}, "stringData": data})


@pytest.fixture(scope="module")
def helm(kubeconfig):
    with open_helm(kubeconfig, NAMESPACE) as helm:
        yield helm


@pytest.fixture(scope="module")
def release(helm, secrets, values):
    """Revision 1, as docs/deploy.md installs it."""
    return helm("install", CHART, "blueprint-pipeline", values, wait="watcher", timeout=WAIT_S)


def revision_of(database_url):
    from sqlalchemy import create_engine, text

    engine = create_engine(database_url)
    with engine.connect() as connection:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    engine.dispose()
    return found


def log_of(core, pod, container):
    return core.read_namespaced_pod_log(pod, NAMESPACE, container=container, _preload_content=False).data.decode()


def may(api, account, verb, resource, subresource=""):
    """Whether the API lets a service account do that."""
    from kubernetes import client

    attributes = {"namespace": NAMESPACE, "verb": verb, "resource": resource, "subresource": subresource}
    review = {"spec": {"user": f"system:serviceaccount:{NAMESPACE}:{account}", "resourceAttributes": attributes}}
    return client.AuthorizationV1Api(api).create_subject_access_review(review).status.allowed


def template_of(core, name, file):
    pod = yaml.safe_load(core.read_namespaced_config_map("blueprint-pipeline-pod-templates", NAMESPACE).data[file])
    pod["metadata"]["name"] = name
    return pod


def wait_for_phase(core, name, phases, timeout_s=180):
    from kubernetes import watch

    for event in watch.Watch().stream(
        core.list_namespaced_pod, NAMESPACE, field_selector=f"metadata.name={name}", timeout_seconds=timeout_s
    ):
        if event["object"].status.phase in phases:
            return event["object"]
    pytest.fail(f"{name} did not become {phases}: {core.read_namespaced_pod(name, NAMESPACE).status}")


def test_an_install_migrates_the_registry_and_comes_up(release, database_url, api):
    """The hook brought PostgreSQL to the newest revision before the simulator started; nothing of the hook is left."""
    from kubernetes import client

    from blueprint_pipeline.registry.migrate import HEAD

    assert (release["revision"], release["status"]) == (1, "deployed")
    assert revision_of(database_url) == HEAD
    simulator = client.AppsV1Api(api).read_namespaced_deployment("blueprint-pipeline-simulator", NAMESPACE)
    assert simulator.status.ready_replicas == 1
    assert not client.BatchV1Api(api).list_namespaced_job(NAMESPACE).items


def test_a_cluster_without_policy_v1_gets_the_older_budget(release, api):
    """The API of this cluster is 1.20, where policy/v1 is unknown: the chart asked for what is served."""
    from kubernetes import client

    (policy,) = [group for group in client.ApisApi(api).get_api_versions().groups if group.name == "policy"]
    assert [version.version for version in policy.versions] == ["v1beta1"]
    found = client.CustomObjectsApi(api).list_namespaced_custom_object("policy", "v1beta1", NAMESPACE, "poddisruptionbudgets")
    assert [budget["spec"]["maxUnavailable"] for budget in found["items"]] == [1]


def test_helm_test_passes(helm, release, core):
    """A pod like a stage's finds everything it needs, and calls the simulator with mutual TLS."""
    helm("test", "blueprint-pipeline", timeout=WAIT_S)
    assert log_of(core, "blueprint-pipeline-test", "simulator").strip() == "SERVING"
    assert '"state": "broken"' not in log_of(core, "blueprint-pipeline-test", "doctor")


def test_airflow_may_launch_jobs_and_jobs_may_nothing(release, api):
    """Role and binding, as the API itself judges them."""
    assert all(may(api, "blueprint-pipeline-airflow", verb, "pods") for verb in ("create", "get", "list", "watch", "patch", "delete"))
    assert may(api, "blueprint-pipeline-airflow", "get", "pods", "log")
    assert not may(api, "blueprint-pipeline-airflow", "create", "pods", "exec")
    assert may(api, "blueprint-pipeline-airflow", "get", "nodes")
    assert not may(api, "blueprint-pipeline-airflow", "get", "secrets")
    assert not may(api, "blueprint-pipeline-airflow", "create", "deployments")
    assert not any(may(api, "blueprint-pipeline-job", verb, "pods") for verb in ("create", "get", "list"))


def test_a_stage_runs_from_the_pod_template(release, core):
    """The template of the config map is a whole pod: an operator only sets name and arguments."""
    pod = template_of(core, "stage-list", "cpu.yaml")
    pod["spec"]["containers"][0]["args"] = ["stage", "list", "--json"]
    core.create_namespaced_pod(NAMESPACE, pod)
    assert wait_for_phase(core, "stage-list", ("Succeeded", "Failed")).status.phase == "Succeeded"
    assert "simulate_shard" in log_of(core, "stage-list", "base")


def test_the_served_simulator_reads_what_a_job_wrote(release, core, values):
    """A pod of the template has address and certificates in its environment; the suite's scene, written by it, is loaded by the server."""
    pod = template_of(core, "served", "cpu.yaml")
    (container,) = pod["spec"]["containers"]
    told = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert told["BPP__SIMULATION__ADDRESS"] == f"blueprint-pipeline-simulator.{NAMESPACE}.svc:{values['simulator']['port']}"
    files = ("certificate", "private_key", "server_ca")
    tls = [word for name in files for word in (f"--{name.replace('_', '-')}", told[f"BPP__SIMULATION__{name.upper()}"])]
    # There is no name server here; the replica listens on this machine.
    container["args"] = ["simulator", "check", "--address", values["tests"]["simulatorAddress"], *tls]
    (volume,) = [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "scenes"]
    container["env"].append({"name": "TMPDIR", "value": volume})
    core.create_namespaced_pod(NAMESPACE, pod)
    phase = wait_for_phase(core, "served", ("Succeeded", "Failed")).status.phase
    assert phase == "Succeeded", log_of(core, "served", "base")


def test_gpu_pods_land_on_the_gpu_node_and_the_quota_counts_them(release, core):
    """The template's selector and tolerations find the Spot node; a GPU more than the quota is refused by the API."""
    from kubernetes import client

    pod = template_of(core, "first", "gpu.yaml")
    pod["spec"]["containers"][0]["args"] = ["--version"]
    core.create_namespaced_pod(NAMESPACE, pod)
    second = template_of(core, "second", "gpu.yaml")
    second["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] = "2"
    with pytest.raises(client.ApiException, match=r"exceeded quota: blueprint-pipeline-gpus"):
        core.create_namespaced_pod(NAMESPACE, second)
    assert wait_for_phase(core, "first", ("Succeeded", "Failed")).status.phase == "Succeeded"


def test_upgrade_canary_rollback(release, helm, values, api, database_url):
    """An upgrade adds a canary; a failing migration stops the next one before it changes anything; a rollback takes the canary away."""
    from kubernetes import client

    apps = client.AppsV1Api(api)

    def images():
        return {d.metadata.name: d.spec.template.spec.containers[0].image for d in apps.list_namespaced_deployment(NAMESPACE).items}

    wanted = copy.deepcopy(values)
    wanted["canary"] = {"weightPercent": 50, "tag": "two"}
    upgraded = helm("upgrade", CHART, "blueprint-pipeline", wanted, wait="hookOnly", timeout=WAIT_S)
    assert upgraded["revision"] == 2
    canary = {
        "blueprint-pipeline-simulator": "blueprint-pipeline/job:one",
        "blueprint-pipeline-simulator-canary": "blueprint-pipeline/job:two",
    }
    assert images() == canary

    wanted["image"]["tag"] = "three"
    wanted["registry"] = {"existingSecret": "blueprint-pipeline-registry", "key": "no-such-key"}
    with pytest.raises(HelmRefused):
        helm("upgrade", CHART, "blueprint-pipeline", wanted, wait="hookOnly", timeout=20)
    assert images() == canary
    assert [entry["status"] for entry in helm("history", "blueprint-pipeline")][-1] == "failed"

    helm("rollback", "blueprint-pipeline", version=1, wait="hookOnly", timeout=WAIT_S)
    assert images() == {"blueprint-pipeline-simulator": "blueprint-pipeline/job:one"}
    from blueprint_pipeline.registry.migrate import HEAD

    assert revision_of(database_url) == HEAD


def test_a_wrong_value_never_reaches_the_cluster(release, helm, values):
    """The schema is asked first; the history has no new revision."""
    before = len(helm("history", "blueprint-pipeline"))
    with pytest.raises(HelmRefused):
        helm("upgrade", CHART, "blueprint-pipeline", {**values, "environment": "prod"}, timeout=20)
    assert len(helm("history", "blueprint-pipeline")) == before
