"""The chart, rendered and parsed; and a Kubernetes control plane to install it on, where there is one."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "blueprint-pipeline"
DIGEST = "sha256:" + "5a" * 32
JOB_USER = 10001


def load_values(name):
    """One of the value files, with what an installation replaces and a release adds."""
    text = (CHART / f"values-{name}.yaml").read_text()
    values = yaml.safe_load(text.replace("pkg.dev/project/", "pkg.dev/ours/").replace("PROJECT", "ours"))
    if name == "production":
        values["image"]["digest"] = DIGEST
    return values


def render(values, release="blueprint-pipeline"):
    """All manifests of the chart, in no order; the schema is obeyed as in an install."""
    import helm_python

    with helm_python.Chart.load(CHART) as chart:
        chart.validate_schema(values)
        files = chart.render(values, name=release, namespace="factory")
    parsed = (manifest for name, text in files.items() if not name.endswith("NOTES.txt") for manifest in yaml.safe_load_all(text))
    return [manifest for manifest in parsed if manifest]


def pods_of(manifests):
    """Everything that becomes a pod: (name, labels, spec), those in the config map of templates too."""
    for manifest in manifests:
        name = f"{manifest['kind']}/{manifest['metadata']['name']}"
        if manifest["kind"] == "Pod":
            yield name, manifest["metadata"]["labels"], manifest["spec"]
        elif manifest["kind"] in ("Deployment", "Job"):
            template = manifest["spec"]["template"]
            yield name, template["metadata"]["labels"], template["spec"]
        elif manifest["kind"] == "ConfigMap":
            for file in ("cpu.yaml", "gpu.yaml", "isaac.yaml"):
                if file in manifest["data"]:
                    pod = yaml.safe_load(manifest["data"][file])
                    yield f"{name}/{file}", pod["metadata"]["labels"], pod["spec"]


def find_testcluster():
    """The program that starts a control plane; none: the test is skipped."""
    named = os.environ.get("BPP_TESTCLUSTER")
    path = Path(named) if named else ROOT.parent / "shared" / "kube" / "testcluster"
    if not path.is_file():
        pytest.skip(f"no Kubernetes control plane: {path} is missing (BPP_TESTCLUSTER names the program)")
    if os.geteuid() != 0:
        pytest.skip("no Kubernetes control plane: it makes mounts and namespaces, and so needs root")
    return path


def find_pod_python(environment):
    """A Python of this version that the pods' user may run with our packages."""
    tried = dict.fromkeys([os.path.realpath(sys.executable), "/usr/bin/python3", f"/usr/bin/python3.{sys.version_info.minor}"])
    code = f"import sys, numpy, blueprint_pipeline; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    for candidate in tried:
        if not Path(candidate).exists():
            continue
        try:
            found = subprocess.run([candidate, "-c", code], user=JOB_USER, group=JOB_USER, env=environment, cwd="/", check=False)
        except PermissionError:
            continue
        if found.returncode == 0:
            return Path(candidate)
    pytest.skip(
        f"no Python {sys.version_info.major}.{sys.version_info.minor} that user {JOB_USER} may run with these packages: {list(tried)}"
    )


@contextmanager
def outside_of_tmp(*paths):
    """The same files at paths that pods see: a pod has a ``/tmp`` of its own, so what lies there is linked (or copied) elsewhere."""
    hidden = Path("/tmp")
    with tempfile.TemporaryDirectory(prefix="blueprint-pipeline-pods-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        shown = []
        for number, path in enumerate(Path(path).resolve() for path in paths):
            if not path.is_relative_to(hidden):
                shown.append(path)
                continue
            target = Path(folder) / str(number)
            linked = subprocess.run(["cp", "-al", path, target], capture_output=True, check=False)
            if linked.returncode:  # another file system
                shutil.rmtree(target, ignore_errors=True)
                shutil.copytree(path, target, symlinks=True)
            shown.append(target)
        yield shown


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory):
    """The kubeconfig of a cluster of this session's own, one Spot node with one GPU. Pods run this checkout, whatever their image."""
    tool = [sys.executable, str(find_testcluster())]
    with outside_of_tmp(sysconfig.get_path("purelib"), ROOT / "include") as seen:
        yield from _run_cluster(tool, tmp_path_factory.mktemp("kube"), ":".join(map(str, seen)))


def _run_cluster(tool, folder, python_path):
    environment = {"PYTHONPATH": python_path, "PYTHONDONTWRITEBYTECODE": "1"}
    python = find_pod_python(environment)
    images = folder / "images.json"
    entry = {"entrypoint": [str(python), "-m", "blueprint_pipeline"], "env": {**environment, "HOME": "/tmp"}, "workingDir": "/tmp"}
    images.write_text(json.dumps({"*": entry}))
    path = {**os.environ, "PATH": f"{python.parent}:{os.environ['PATH']}"}
    options = ["--nodes", "1", "--gpus-per-node", "1", "--gpu-label", "nvidia-l4", "--spot", "--images", str(images)]
    try:
        started = subprocess.run([*tool, "start", folder / "cluster", *options], env=path, capture_output=True, text=True, check=False)
        if started.returncode:
            pytest.fail(f"the control plane did not start: {started.stderr[-2000:]}")
        yield str(folder / "cluster" / "kubeconfig")
    finally:
        subprocess.run([*tool, "stop", folder / "cluster"], check=False, capture_output=True)


def of_kind(manifests, kind):
    """Manifests of one kind."""
    return [manifest for manifest in manifests if manifest["kind"] == kind]
