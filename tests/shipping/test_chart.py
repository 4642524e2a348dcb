"""The chart's manifests: of today's schemas, with the fewest rights, and only from values that make sense."""

import copy

import pytest
import yaml

from tests.shipping.conftest import CHART, DIGEST, ROOT, load_values, of_kind, pods_of, render

ENVIRONMENTS = ("dev", "staging", "production")
SCHEMAS = "1.37"


def served(name, **changes):
    """One of the value files, with the simulator served."""
    values = load_values(name)
    values["simulator"] |= {"enabled": True, "scenesVolume": {"persistentVolumeClaim": {"claimName": "scenes"}}, **changes}
    return values


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_manifests_pass_the_strict_schemas(name):
    """Every manifest, and every pod in the config map of templates, has only fields that Kubernetes knows."""
    import kubernetes_validate

    manifests = render(load_values(name))
    files = ("cpu.yaml", "gpu.yaml", "isaac.yaml")
    templates = [yaml.safe_load(m["data"][f]) for m in of_kind(manifests, "ConfigMap") for f in files if f in m["data"]]
    assert len(templates) == len(files)
    for manifest in [*manifests, *templates]:
        if manifest["kind"] not in {"Certificate", "FQDNNetworkPolicy", "CiliumNetworkPolicy"}:  # of others than Kubernetes
            kubernetes_validate.validate(manifest, SCHEMAS, strict=True)


def test_strict_schemas_refuse_an_unknown_field():
    """The check above can fail."""
    import kubernetes_validate

    pod = of_kind(render(load_values("dev")), "Pod")[0]
    pod["spec"]["containers"][0]["privileged"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(pod, SCHEMAS, strict=True)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_chart_lints(name):
    """Helm's own linter finds no error and no warning."""
    import helm_python

    found = helm_python.lint(CHART, load_values(name), strict=True)
    assert not found["errors"]
    assert [message for message in found["messages"] if message["severity"] > 1] == []


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_pods_are_hardened(name):
    """No pod runs as root, writes its root file system, keeps a capability or holds a token of the cluster."""
    pods = list(pods_of(render(load_values(name))))
    assert {pod for pod, _, _ in pods} >= {
        "Job/blueprint-pipeline-migration",
        "Pod/blueprint-pipeline-test",
        "ConfigMap/blueprint-pipeline-pod-templates/gpu.yaml",
    }
    for pod, _, spec in pods:
        security = spec["securityContext"]
        assert (security["runAsNonRoot"], security["seccompProfile"]) == (True, {"type": "RuntimeDefault"}), pod
        assert security["runAsUser"] > 0, pod
        assert spec["automountServiceAccountToken"] is False, pod
        for container in spec["containers"]:
            own = container["securityContext"]
            assert own["readOnlyRootFilesystem"], pod
            assert not own["allowPrivilegeEscalation"], pod
            assert own["capabilities"] == {"drop": ["ALL"]}, pod
            assert {"cpu", "memory"} <= set(container["resources"]["requests"]), pod
            assert "memory" in container["resources"]["limits"], pod
            mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
            assert "/tmp" in mounted, pod
            assert {mount["name"] for mount in container["volumeMounts"]} <= {volume["name"] for volume in spec["volumes"]}, pod


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_pod_is_under_the_policy_that_denies(name):
    """A pod that the network policies do not select could talk to anyone."""
    manifests = render(load_values(name))
    deny = next(p for p in of_kind(manifests, "NetworkPolicy") if p["metadata"]["name"] == "blueprint-pipeline-deny")
    assert deny["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert not deny["spec"].get("egress")
    wanted = deny["spec"]["podSelector"]["matchLabels"].items()
    for pod, labels, _ in pods_of(manifests):
        assert wanted <= labels.items(), pod


def test_airflow_may_start_pods_and_nothing_else():
    """The only role of the chart holds pods, their logs and events, and nodes may be read; jobs have none."""
    manifests = render(load_values("production"))
    (role,) = of_kind(manifests, "Role")
    rights = {(resource, verb) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]}
    assert {resource for resource, _ in rights} == {"pods", "pods/log", "events"}
    assert "*" not in {verb for _, verb in rights}
    (reader,) = of_kind(manifests, "ClusterRole")
    assert [(rule["resources"], rule["verbs"]) for rule in reader["rules"]] == [(["nodes"], ["get"])]
    (binding,) = of_kind(manifests, "RoleBinding")
    assert [subject["name"] for subject in binding["subjects"]] == ["blueprint-pipeline-airflow"]


def test_production_runs_by_digest():
    """Every image of production is named by digest, and commit records are told which."""
    manifests = render(load_values("production"))
    images = {container["image"] for _, _, spec in pods_of(manifests) for container in spec["containers"]}
    assert images == {f"region-docker.pkg.dev/ours/blueprint-pipeline/certify@{DIGEST}"}
    settings = next(m for m in of_kind(manifests, "ConfigMap") if m["metadata"]["name"] == "blueprint-pipeline-settings")
    assert settings["data"]["BPP__COMPUTE__IMAGE_DIGEST"] == DIGEST


@pytest.mark.parametrize(
    ("replicas", "weight", "stable", "canary"),
    [(4, 0, 4, None), (4, 25, 3, 1), (4, 50, 2, 2), (10, 1, 9, 1), (10, 34, 7, 3), (1, 10, 1, 1), (4, 99, 1, 4), (4, 100, 0, 4)],
)
def test_the_canary_gets_its_share_of_replicas(replicas, weight, stable, canary):
    """The share is rounded; a canary that is wanted has one replica at least, and so has the stable version until all is canary."""
    values = served("staging", replicas=replicas)
    values["canary"]["weightPercent"] = weight
    manifests = render(values)
    found = {m["spec"]["template"]["metadata"]["labels"]["blueprint-pipeline/track"]: m for m in of_kind(manifests, "Deployment")}
    assert found["stable"]["spec"]["replicas"] == stable
    if canary is None:
        assert "canary" not in found
    else:
        assert found["canary"]["spec"]["replicas"] == canary
        (container,) = found["canary"]["spec"]["template"]["spec"]["containers"]
        assert container["image"].endswith(":candidate")


def test_labs_and_prices_of_the_deployment_replace_those_of_the_image():
    """Given files become config maps that every job mounts over the image's own; nothing given, nothing mounted."""
    values = load_values("dev") | {"labs": {"aurora": {"schema_version": "1.0", "id": "aurora"}}}
    manifests = render(values)
    labs = next(m for m in of_kind(manifests, "ConfigMap") if m["metadata"]["name"] == "blueprint-pipeline-labs")
    assert yaml.safe_load(labs["data"]["aurora.yaml"]) == {"schema_version": "1.0", "id": "aurora"}
    pods = {pod: spec for pod, _, spec in pods_of(manifests)}
    mounts = {
        m["mountPath"]: m["name"] for m in pods["ConfigMap/blueprint-pipeline-pod-templates/cpu.yaml"]["containers"][0]["volumeMounts"]
    }
    assert mounts["/etc/blueprint-pipeline/labs"] == "labs"
    assert "/etc/blueprint-pipeline/prices" not in mounts


def test_gpu_pods_ask_for_spot_nodes_with_rt_cores():
    """Selector, toleration, limit and NVIDIA's capabilities stand in the template; on demand, the Spot selector is gone."""
    values = load_values("production")
    pods = {pod: spec for pod, _, spec in pods_of(render(values))}
    gpu = pods["ConfigMap/blueprint-pipeline-pod-templates/gpu.yaml"]
    assert gpu["nodeSelector"] == {"cloud.google.com/gke-accelerator": "nvidia-l4", "cloud.google.com/gke-spot": "true"}
    (container,) = gpu["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert {"name": "NVIDIA_DRIVER_CAPABILITIES", "value": "all"} in container["env"]
    values["jobs"] = {"gpu": {"spot": False}}
    gpu = {pod: spec for pod, _, spec in pods_of(render(values))}["ConfigMap/blueprint-pipeline-pod-templates/gpu.yaml"]
    assert "cloud.google.com/gke-spot" not in gpu["nodeSelector"]


def test_isaac_pods_write_only_their_caches():
    """As NVIDIA's user, on a GPU node, with a volume on every folder that the image makes for caches; its entry point is not replaced."""
    pods = {pod: spec for pod, _, spec in pods_of(render(load_values("production")))}
    isaac, gpu = (pods[f"ConfigMap/blueprint-pipeline-pod-templates/{kind}.yaml"] for kind in ("isaac", "gpu"))
    assert isaac["nodeSelector"] == gpu["nodeSelector"]
    assert isaac["securityContext"]["runAsUser"] == isaac["securityContext"]["fsGroup"] == 1234
    (container,) = isaac["containers"]
    assert "command" not in container
    assert "ACCEPT_EULA" not in {variable["name"] for variable in container["env"]}
    mounts = [m["mountPath"] for m in container["volumeMounts"] if m["name"] == "isaac-cache"]
    dockerfile = (ROOT / "Dockerfile").read_text()
    made = dockerfile[dockerfile.index("install -d -o 1234") :].split("\n#")[0]
    assert sorted(mounts) == sorted(word for word in made.split() if word.startswith("/isaac-sim/"))


def test_certificates_come_from_cert_manager_or_from_secrets_of_ones_own():
    """With cert-manager two certificates are asked for, one for each side; with own secrets none, and the pods mount them."""
    values = served("production")
    certificates = {m["metadata"]["name"]: m["spec"] for m in of_kind(render(values), "Certificate")}
    assert certificates["blueprint-pipeline-simulator-server"]["usages"] == ["digital signature", "server auth"]
    assert "blueprint-pipeline-simulator.factory.svc" in certificates["blueprint-pipeline-simulator-server"]["dnsNames"]
    assert certificates["blueprint-pipeline-simulator-client"]["usages"] == ["digital signature", "client auth"]
    values["tls"] = {"existingSecrets": {"server": "my-server", "client": "my-client"}}
    manifests = render(values)
    assert not of_kind(manifests, "Certificate")
    pods = {pod: spec for pod, _, spec in pods_of(manifests)}
    server = {v["name"]: v for v in pods["Deployment/blueprint-pipeline-simulator"]["volumes"]}["tls"]
    assert server["secret"]["secretName"] == "my-server"


def compute(**changes):
    """Compute of the file for production, changed."""
    return {"compute": {**load_values("production")["compute"], **changes}}


def cluster(**changes):
    (found,) = load_values("production")["compute"]["clusters"]
    return compute(clusters=[{**found, **changes}])


SCENES = {"persistentVolumeClaim": {"claimName": "scenes"}}
OWN_TLS = {"existingSecrets": {"server": "my-server", "client": "my-client"}}
WRONG = {
    "a stage that is none": compute(stages={"simulate": "cpu"}),
    "a stage on a profile that is missing": compute(stages={"simulate_shard": "cpux"}),
    "a misspelt field of a profile": compute(profiles={"cpu": {"template": "cpu.yaml", "timeouts": 5}}, stages={"simulate_shard": "cpu"}),
    "a template that is missing": compute(profiles={"cpu": {"template": "tpu.yaml"}}, stages={"simulate_shard": "cpu"}),
    "another namespace for this cluster": cluster(namespace="blueprint"),
    "another cluster without namespace": cluster(connection="gke_east"),
    "a profile without a machine": cluster(machines={"cpu": "gce_e2_standard_8_spot"}),
    "a misspelt field of failover": compute(failover={"breaker": 5}),
    "HTTPS by names of which there are none": {"networkPolicies": {"https": {"by": "gke", "names": []}}},
    "HTTPS by an address in place of a name": {
        "networkPolicies": {"https": {"by": "cilium", "names": ["https://storage.googleapis.com/x"]}}
    },
    "HTTPS to all names": {"networkPolicies": {"https": {"by": "gke", "names": ["*"]}}},
    "HTTPS by what no cluster has": {"networkPolicies": {"https": {"by": "calico"}}},
    "a misspelt setting": {"settings": {"BPP__LOG__LEVL": "DEBUG"}},
    "a misspelt group of settings": {"settings": {"BPP__COMPUTER__WORKERS": "2"}},
    "a bucket with a placeholder": {"workspace": {"url": "gs://PROJECT-blueprint-pipeline/workspace"}},
    "an account with a placeholder": {"serviceAccounts": {"job": {"annotations": {"iam.gke.io/gcp-service-account": "a@PROJECT.iam"}}}},
    "an image with a placeholder": {"image": {"repository": "region-docker.pkg.dev/project/blueprint-pipeline/job"}},
    "a misspelt key": {"imagee": {"repository": "x"}},
    "a tag that moves": {"image": {"tag": "latest"}},
    "a digest that is none": {"image": {"digest": "sha256:beef"}},
    "more than everything": {"canary": {"weightPercent": 101, "tag": "next"}},
    "a canary without image": {"canary": {"weightPercent": 10}},
    "a GPU without RT cores": {"jobs": {"gpu": {"accelerator": "nvidia-h100-80gb"}}},
    "a grace that Spot does not grant": {"jobs": {"terminationGracePeriodSeconds": 5}},
    "a setting that is none": {"settings": {"BPP_LOG_LEVEL": "DEBUG"}},
    "a secret in a config map": {"settings": {"BPP__DELIVERY__WEBHOOK_SECRET": "whsec_x"}},
    "a number for a setting": {"settings": {"BPP__COMPUTE__WORKERS": 2}},
    "a simulator without TLS": {"simulator": {"enabled": True, "scenesVolume": SCENES}},
    "a simulator without scenes": {"simulator": {"enabled": True}, "tls": OWN_TLS},
    "scenes that one pod alone sees": {"simulator": {"enabled": True, "scenesVolume": {"emptyDir": {}}}, "tls": OWN_TLS},
    "a simulator that wants tokens of jobs that have none": {
        "simulator": {"enabled": True, "scenesVolume": SCENES, "tokenKeys": {"existingSecret": "keys"}},
        "tls": OWN_TLS,
    },
    "an issuer without name": {"tls": {"certManager": {"enabled": True}}},
    "production by tag": {"environment": "production", "image": {"tag": "1.0"}},
    "production on a disk of the cluster": {"environment": "production", "image": {"digest": DIGEST}, "signing": {"existingSecret": "s"}},
    "production unfenced": {
        "environment": "production",
        "image": {"digest": DIGEST},
        "workspace": {"url": "gs://b/w"},
        "signing": {"existingSecret": "s"},
        "networkPolicies": {"enabled": False},
    },
}


def test_what_the_wrong_values_change_is_right_before():
    render(compute())
    render(cluster())
    render({"simulator": {"enabled": True, "scenesVolume": SCENES}, "tls": OWN_TLS})


@pytest.mark.parametrize("what", WRONG)
def test_the_schema_refuses(what):
    """A wrong value ends before anything is installed."""
    import helm_python

    with pytest.raises(helm_python.HelmError):
        render(copy.deepcopy(WRONG[what]))


def test_the_schema_knows_every_default():
    """What values.yaml sets, the schema describes: no default stands outside of it."""
    import json

    schema = json.loads((CHART / "values.schema.json").read_text())
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    assert set(defaults) <= set(schema["properties"])
    render({})


def test_the_schema_says_what_the_code_says():
    """Fields of compute.yaml, stages and variables: ``python -m tests.shipping.values_schema`` writes them."""
    import json

    from tests.shipping import values_schema

    found = values_schema.PATH.read_text()
    assert found == values_schema.text_of(values_schema.build(json.loads(found)))


def test_the_namespace_of_this_cluster_is_the_releases():
    (maps,) = [m for m in render(load_values("production")) if m["metadata"]["name"] == "blueprint-pipeline-pod-templates"]
    (found,) = yaml.safe_load(maps["data"]["compute.yaml"])["clusters"]
    assert found["namespace"] == "factory"


@pytest.mark.parametrize("name", ["production", "staging"])
def test_what_is_priced_as_spot_asks_for_spot(name):
    """A pod on demand that is booked as Spot would cost three times what its ledger says."""
    found = load_values(name)["compute"]
    for cluster in found["clusters"]:
        for profile, machine in cluster["machines"].items():
            resources = found["profiles"][profile].get("resources", {})
            assert resources.get("spot", False) == machine.endswith("_spot"), (cluster["name"], profile)


def mounts_of(manifests, kind):
    spec = {pod: spec for pod, _, spec in pods_of(manifests)}[f"ConfigMap/blueprint-pipeline-pod-templates/{kind}.yaml"]
    return {volume["name"] for volume in spec["volumes"]}


def test_only_pods_that_sign_hold_the_key():
    """Bundles are signed in Airflow's workers, or in pods where package_bundle is a stage of theirs."""
    values = load_values("production")
    manifests = render(values)
    assert not any("signing" in mounts_of(manifests, kind) for kind in ("cpu", "gpu", "isaac"))
    values["compute"]["stages"]["package_bundle"] = "cpu"
    manifests = render(values)
    assert {kind for kind in ("cpu", "gpu", "isaac") if "signing" in mounts_of(manifests, kind)} == {"cpu"}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_nothing_is_deployed_that_nobody_calls(name):
    """Jobs simulate for themselves; a served simulator is asked for."""
    assert of_kind(render(load_values(name)), "Deployment") == []


def test_isaacs_shaders_outlive_a_pod_where_a_claim_is_named():
    values = load_values("production") | {"jobs": {"isaacCacheClaim": "shaders"}}
    spec = {pod: spec for pod, _, spec in pods_of(render(values))}["ConfigMap/blueprint-pipeline-pod-templates/isaac.yaml"]
    (volume,) = [volume for volume in spec["volumes"] if volume["name"] == "isaac-cache"]
    assert volume["persistentVolumeClaim"] == {"claimName": "shaders"}


@pytest.mark.parametrize(("workspace", "path"), [("gs://ours/workspace", "/var/lib/blueprint-pipeline/cache/remote"), ("/data", "/data")])
def test_a_served_simulator_is_called_and_reads_the_scenes_of_its_callers(workspace, path):
    """Every cpu and gpu pod has its address, certificates and token, and the volume of scenes where the simulator has it."""
    values = served("staging") | {"workspace": {"url": workspace}}
    manifests = render(values)
    (service,) = of_kind(manifests, "Service")
    assert service["spec"]["clusterIP"] == "None"
    pods = {pod.rpartition("/")[2]: spec for pod, _, spec in pods_of(manifests)}
    (server,) = pods["blueprint-pipeline-simulator"]["containers"]
    assert {"name": "scenes", "mountPath": path, "readOnly": True} in server["volumeMounts"]
    for kind in ("cpu", "gpu"):
        (job,) = pods[f"{kind}.yaml"]["containers"]
        told = {variable["name"]: variable.get("value") for variable in job["env"]}
        assert told["BPP__SIMULATION__ADDRESS"] == "blueprint-pipeline-simulator.factory.svc:50051"
        mounts = {mount["name"]: mount["mountPath"] for mount in job["volumeMounts"]}
        assert mounts["scenes"] == path
        assert all(
            told[f"BPP__SIMULATION__{name}"].startswith(mounts["simulator-client"]) for name in ("CERTIFICATE", "PRIVATE_KEY", "SERVER_CA")
        )
        assert told["BPP__SIMULATION__TOKEN_FILE"].startswith(mounts["simulator-token"])
    (isaac,) = pods["isaac.yaml"]["containers"]
    assert not [variable for variable in isaac["env"] if variable["name"].startswith("BPP__SIMULATION__")]
    held = {volume["name"] for volume in pods["isaac.yaml"]["volumes"]}
    assert held.isdisjoint({"simulator-client", "simulator-token"})  # it acts for itself
    assert ("scenes" in held) == (workspace == path)  # the volume is the workspace, or copies for the served simulator
    for name, spec in pods.items():
        for container in spec["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} <= {volume["name"] for volume in spec["volumes"]}, name
    volumes = [[v for v in spec["volumes"] if v["name"] == "scenes"] for spec in (pods["cpu.yaml"], pods["blueprint-pipeline-simulator"])]
    assert volumes[0] == volumes[1] == [{"name": "scenes", **SCENES}]
