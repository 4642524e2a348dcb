"""The image of jobs, really built and really run, as hard as production runs it."""

import json
import shutil

import pytest

from tests.shipping.conftest import JOB_USER
from tests.shipping.engine import build_image, open_engine, run_hardened

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000), pytest.mark.xdist_group("image")]

SIZE_BUDGET_BYTES = 2_100_000_000
"""Unpacked. Most of it is what simulates and writes: pyarrow, polars, USD, SciPy, Mesa."""


@pytest.fixture(scope="module")
def engine():
    return open_engine()


@pytest.fixture(scope="module")
def image(engine, tmp_path_factory):
    """The target `job`, built from this checkout."""
    return build_image(engine, "job", tmp_path_factory.mktemp("build"))


@pytest.fixture
def run(engine, image, tmp_path):
    """Run a command of the image with a folder for its state."""
    state = tmp_path / "state"
    state.mkdir()
    shutil.chown(state, JOB_USER, JOB_USER)

    def call(*arguments, entrypoint=None, mounts=()):
        options = ["--volume", f"{state}:/var/lib/blueprint-pipeline", *mounts]
        return run_hardened(engine, image, *arguments, user=f"{JOB_USER}:{JOB_USER}", entrypoint=entrypoint, options=options)

    return call


def test_the_program_answers(run):
    """`bpp --version` and the list of all stages, from the wheel with its generated messages."""
    version = run("--version")
    assert (version.returncode, version.stdout.strip()) == (0, "0.1.0"), version.stderr
    stages = run("stage", "list", "--json")
    assert stages.returncode == 0, stages.stderr
    assert {"ingest_scene", "simulate_shard", "write_dataset", "notify_lab"} <= {
        stage["name"] for stage in json.loads(stages.stdout)["stages"]
    }


def test_the_machine_in_the_image_is_well(run):
    """`bpp doctor`: the workspace can be written, the registry made, and a renderer draws, all on a read-only root."""
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
    bpp stage run ingest_scene --request ingest.json --json
    bpp stage run estimate_physics --request estimate.json --json
    ls .bpp/workspace/scenes/small/commits
    """
    done = run("-ec", script, entrypoint="bash", mounts=mounts)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "estimate_physics.json" in done.stdout


def test_the_image_runs_as_its_user_and_holds_no_tool_that_installs(run):
    """Who runs is 10001; pip, compilers and Airflow are missing; the root file system takes no file."""
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
