"""The values for the official Airflow chart name what our chart and our image really have."""

import importlib
import os
import re
import subprocess

import pytest
import yaml

from tests.shipping.conftest import ROOT, load_values, render

COMPONENTS = ("scheduler", "apiServer", "triggerer", "dagProcessor", "workers", "migrateDatabaseJob")
VALUES = yaml.safe_load((ROOT / "helm" / "airflow-values.yaml").read_text())


def named(manifests, kind):
    return {manifest["metadata"]["name"] for manifest in manifests if manifest["kind"] == kind}


def test_components_use_the_account_that_our_chart_makes():
    """All components run as the account that may start job pods."""
    accounts = named(render(load_values("production")), "ServiceAccount")
    for component in COMPONENTS:
        account = VALUES[component]["serviceAccount"]
        assert account["create"] is False
        assert account["name"] in accounts


def test_config_maps_are_those_of_our_chart():
    """Settings and pod templates that Airflow mounts exist."""
    maps = named(render(load_values("production")), "ConfigMap")
    assert {volume["configMap"]["name"] for volume in VALUES["volumes"] if "configMap" in volume} <= maps
    (source,) = yaml.safe_load(VALUES["extraEnvFrom"])
    assert source["configMapRef"]["name"] in maps


def test_user_and_dags_are_those_of_the_image():
    """The chart's user, and no other source of DAGs than the image."""
    image = (ROOT / "Dockerfile").read_text()
    assert f"USER {VALUES['uid']}:{VALUES['gid']}" in image
    assert not VALUES["dags"]["persistence"]["enabled"]
    assert not VALUES["dags"]["gitSync"]["enabled"]


def test_airflow_is_of_the_version_that_is_locked():
    """The chart decides by this version what it renders."""
    lock = (ROOT / "requirements-airflow.txt").read_text()
    assert f"apache-airflow=={VALUES['airflowVersion']} " in lock


def test_airflow_reads_the_clusters_that_our_chart_writes(tmp_path):
    """The file is sound, lies where Airflow looks, and the connection of its cluster is there."""
    from blueprint_pipeline.compute.profiles import load_compute

    variables = {variable["name"]: variable["value"] for variable in VALUES["env"]}
    assert variables["BPP__COMPUTE__CONFIG"] == "/opt/airflow/pod_templates/compute.yaml"
    for name in ("production", "staging"):
        (maps,) = [m for m in render(load_values(name)) if m["metadata"]["name"] == "blueprint-pipeline-pod-templates"]
        path = tmp_path / f"{name}.yaml"
        path.write_text(maps["data"]["compute.yaml"])
        compute = load_compute(path)
        assert compute.profile_of("render_shard").resources.gpus == 1
        assert f"AIRFLOW_CONN_{compute.clusters[0].connection.upper()}" in variables
        assert {profile.template for profile in compute.profiles.values()} <= maps["data"].keys()


@pytest.mark.parametrize("name", ["production", "staging"])
def test_datasets_are_certified_where_lerobot_is(name):
    """Only the target `certify` of the Dockerfile names an interpreter with lerobot, so that stage is a pod of that image."""
    targets = dict(part.split("\n", 1) for part in re.split(r"^FROM \S+ AS ", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)[1:])
    able = {target for target, lines in targets.items() if "BPP__DATASET__CERTIFY_PYTHON=" in lines}
    values = load_values(name)
    stages, profiles = values["compute"]["stages"], values["compute"]["profiles"]
    assert not profiles[stages["certify_dataset"]].get("image")
    assert values["image"]["repository"].rsplit("/", 1)[1] in able
    assert not values.get("canary", {}).get("repository")


@pytest.mark.parametrize("name", ["values", "airflow-values"])
def test_the_guide_replaces_every_placeholder(name):
    """Airflow's chart takes a bucket of `PROJECT` as it stands: only what the guide tells to run stands before a night without logs."""
    guide = (ROOT / "docs" / "deploy.md").read_text()
    (command,) = re.findall(rf"^(sed .+) > {name}\.yaml$", guide, re.MULTILINE)
    source = (ROOT / command.split()[-1]).read_text()
    variables = {"PATH": os.environ["PATH"], "PROJECT": "ours", "REGION": "europe-west4"}
    made = subprocess.run(["bash", "-euc", command], cwd=ROOT, env=variables, capture_output=True, text=True, check=True).stdout
    assert len(re.findall(r"PROJECT|/project/", source)) > 1
    assert re.findall(r"PROJECT|/project/|us-central1-docker", made) == []
    assert made.count("europe-west4-docker.pkg.dev/ours/blueprint-pipeline/") == 1


def test_only_workers_hold_the_key_that_signs():
    """The scheduler, the API server and the triggerer sign nothing."""
    assert all("signing" not in volume["name"] for volume in VALUES["volumes"])
    (volume,) = VALUES["workers"]["extraVolumes"]
    assert volume["secret"]["secretName"] == load_values("production")["signing"]["existingSecret"]
    variables = {variable["name"]: variable["value"] for variable in VALUES["env"]}
    (mount,) = VALUES["workers"]["extraVolumeMounts"]
    assert variables["BPP__DELIVERY__SIGNING_KEY"].startswith(mount["mountPath"])


def test_people_log_in_by_an_auth_manager_that_the_image_has():
    """Not by the simple one, which serves one machine alone, and by no user whose password the chart knows."""
    from airflow.api_fastapi.auth.managers.base_auth_manager import BaseAuthManager
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
    from airflow.providers_manager import ProvidersManager

    named = VALUES["config"]["core"]["auth_manager"]
    (found,) = [manager for manager in ProvidersManager().auth_managers if manager == named]
    module, _, name = found.rpartition(".")
    manager = getattr(importlib.import_module(module), name)
    assert issubclass(manager, BaseAuthManager)
    assert not issubclass(manager, SimpleAuthManager)
    for place in ("createUserJob", "webserver"):  # since the chart's version 1.19, and before
        assert VALUES[place]["defaultUser"]["enabled"] is False


def test_the_airflow_chart_is_installed_in_one_version():
    """Each way to install it that people are shown names the version whose keys the values are of; it is one that knows them."""
    shown = [ROOT / name for name in ("docs/deploy.md", "helm/airflow-values.yaml", "helm/blueprint-pipeline/templates/NOTES.txt")]
    calls = [line for path in shown for line in path.read_text().splitlines() if "helm upgrade --install airflow " in line]
    assert len(calls) == len(shown)
    (version,) = {found for line in calls for found in re.findall(r"--version (\S+)", line) or ["any"]}
    assert tuple(map(int, version.split("."))) >= (1, 19)
