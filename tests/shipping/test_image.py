"""The image of jobs, really built (without a Docker engine) and really run, as hard as production runs it.

Needs root, buildah, podman, runc and debootstrap. The base image is made by debootstrap, because tests pull nothing from a
registry of images; it is Debian bookworm, as the Dockerfile's default is. Layers are kept in a cache folder
(``BLUEPRINT_IMAGE_CACHE``, else below the user's cache), so that a second run builds what changed.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shipping.conftest import JOB_USER, ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000), pytest.mark.xdist_group("image")]

TOOLS = ("buildah", "podman", "runc", "debootstrap")
BASE = "localhost/debian-bookworm:test"
IMAGE = "localhost/blueprint:job"
SIZE_BUDGET_BYTES = 2_100_000_000
"""Unpacked. Most of it is what simulates and writes: pyarrow, polars, USD, SciPy, Mesa."""
CONTAINERS = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


class Engine:
    """buildah and podman on a store of the tests' own."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "containers.conf").write_text(CONTAINERS)
        self.store = ["--root", folder / "storage", "--runroot", folder / "run"]
        self.environment = {**os.environ, "CONTAINERS_CONF": str(folder / "containers.conf"), "BUILDAH_ISOLATION": "chroot"}
        # The quick driver where the disk can, the one that works everywhere elsewhere.
        self.environment["STORAGE_DRIVER"] = "overlay"
        if self._call("buildah", "info").returncode:
            self.environment["STORAGE_DRIVER"] = "vfs"

    def _call(self, tool, *arguments, cwd=None):
        command = [tool, *self.store, *arguments]
        return subprocess.run(command, env=self.environment, cwd=cwd, capture_output=True, text=True, check=False)

    def buildah(self, *arguments, cwd=None):
        """Run buildah; its output."""
        done = self._call("buildah", *arguments, cwd=cwd)
        assert done.returncode == 0, f"buildah {arguments[0]}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout.strip()

    def podman(self, *arguments):
        """Run podman; the finished process."""
        return self._call("podman", "--cgroup-manager", "cgroupfs", *arguments)


def configured_index(folder):
    """What pip is configured with on this machine, as secrets and mounts of a build; nothing of it gets into an image."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True).stdout
    settings = dict(line.partition("=")[::2] for line in listed.splitlines())
    lines, options = ["[global]"], []
    for key, quoted in sorted(settings.items()):
        value, name = quoted.strip("'"), key.removeprefix("global.").removeprefix(":env:.")
        if name == "cert":
            options += ["--secret", f"id=ca,src={value}"]
            value = "/etc/ssl/certs/ca-certificates.crt"
        lines.append(f"{name} = {value}")
        for word in value.split():
            path = Path(word.removeprefix("file://"))
            if path.is_absolute() and path.is_dir():
                # An index of files links into folders beside it.
                tree = path if path.parent.parent == Path("/") else path.parent
                options += ["--volume", f"{tree}:{tree}:ro"]
    conf = folder / "pip.conf"
    conf.write_text("\n".join(dict.fromkeys(lines)) + "\n")
    return [*options, "--secret", f"id=pip,src={conf}"]


@pytest.fixture(scope="session")
def engine():
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        pytest.skip(f"no image can be built here: {', '.join(missing)} not installed (Debian: apt-get install {' '.join(TOOLS)})")
    if os.geteuid() != 0:
        pytest.skip("no image can be built here: that needs root")
    cache = os.environ.get("BLUEPRINT_IMAGE_CACHE") or Path.home() / ".cache" / "blueprint-images"
    return Engine(Path(cache))


@pytest.fixture(scope="session")
def base(engine, tmp_path_factory):
    """Debian bookworm, as small as debootstrap makes it."""
    if not engine.buildah("images", "--quiet", "--filter", f"reference={BASE}"):
        root = tmp_path_factory.mktemp("debian")
        subprocess.run(["debootstrap", "--variant=minbase", "bookworm", root], check=True, capture_output=True)
        container = engine.buildah("from", "scratch")
        shutil.rmtree(root / "dev")
        (root / "dev").mkdir()
        engine.buildah("add", "--quiet", container, root, "/")
        engine.buildah("commit", "--quiet", "--rm", container, BASE)
        shutil.rmtree(root)
    return BASE


@pytest.fixture(scope="session")
def image(engine, base, tmp_path_factory):
    """The target `job`, built from this checkout."""
    options = ["--isolation", "chroot", "--format", "docker", "--layers", "--target", "job", "--build-arg", f"BASE_IMAGE={base}"]
    engine.buildah("bud", *options, *configured_index(tmp_path_factory.mktemp("pip")), "--tag", IMAGE, ".", cwd=ROOT)
    return IMAGE


@pytest.fixture
def run(engine, image, tmp_path):
    """Run a command of the image: read-only, without a capability, without a network, as the image's user."""
    state = tmp_path / "state"
    state.mkdir()
    shutil.chown(state, JOB_USER, JOB_USER)

    def call(*arguments, entrypoint=None, mounts=()):
        hardened = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "none"]
        options = ["--rm", *hardened, "--user", f"{JOB_USER}:{JOB_USER}", "--volume", f"{state}:/var/lib/blueprint", *mounts]
        return engine.podman("run", *options, *(["--entrypoint", entrypoint] if entrypoint else []), image, *arguments)

    return call


def test_the_program_answers(run):
    """`blueprint --version` and the list of all stages, from the wheel with its generated messages."""
    version = run("--version")
    assert (version.returncode, version.stdout.strip()) == (0, "0.1.0"), version.stderr
    stages = run("stage", "list", "--json")
    assert stages.returncode == 0, stages.stderr
    assert {"ingest_scene", "simulate_shard", "write_dataset", "notify_lab"} <= {
        stage["name"] for stage in json.loads(stages.stdout)["stages"]
    }


def test_the_machine_in_the_image_is_well(run):
    """`blueprint doctor`: the workspace can be written, the registry made, and a renderer draws, all on a read-only root."""
    doctor = run("doctor", "--json")
    findings = {finding["part"]: finding for finding in json.loads(doctor.stdout)["findings"]}
    assert doctor.returncode == 0, findings
    assert findings["renderer"]["found"] in ("egl", "osmesa")
    assert findings["apache-airflow"]["state"] == "absent"


def test_a_stage_runs_from_a_request_to_its_commit(run, sound_scene):
    """Configuration data are in the image: a scene is ingested and its physics estimated from the tables there."""
    mounts = ["--volume", f"{sound_scene.parent}:/scenes:ro"]
    script = """
    echo '{"scene_id": "small", "source": "/scenes/minimal_ok"}' > ingest.json
    echo '{"scene_id": "small"}' > estimate.json
    blueprint stage run ingest_scene --request ingest.json --json
    blueprint stage run estimate_physics --request estimate.json --json
    ls .blueprint/workspace/scenes/small/commits
    """
    done = run("-ec", script, entrypoint="bash", mounts=mounts)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "estimate_physics.json" in done.stdout


def test_the_image_runs_as_its_user_and_holds_no_tool_that_installs(run):
    """Who runs is 10001; pip, compilers and Airflow are not there; the root file system takes no file."""
    done = run("-c", "id -u; command -v pip gcc airflow; touch /opt/x || true", entrypoint="bash")
    assert done.stdout.split() == [str(JOB_USER)]
    assert "Read-only file system" in done.stderr


def test_nothing_of_the_build_machine_is_left(run):
    """No pip configuration and no host of an index in the image's file system or history."""
    done = run("-c", "ls /etc/pip.conf /root/.config /source /wheel 2>/dev/null; env", entrypoint="bash")
    assert "pip.conf" not in done.stdout
    assert not [line for line in done.stdout.splitlines() if line.startswith(("PIP_", "UV_", "/"))]


def test_the_size_is_within_budget(engine, image):
    """A job's image is pulled onto every new Spot node before it earns anything."""
    size_bytes = int(engine.podman("image", "inspect", image, "--format", "{{.Size}}").stdout)
    assert 0 < size_bytes <= SIZE_BUDGET_BYTES, f"{size_bytes / 1e9:.2f} GB"
