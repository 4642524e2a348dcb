"""The image of Isaac Sim, built on a stand-in for NVIDIA's: every step of ours runs; Isaac Sim itself is missing, and was not run."""

import json

import pytest

from tests.shipping.conftest import ROOT
from tests.shipping.engine import build_image, make_base, open_engine, run_hardened
from tests.shipping.pip_index import configured_index

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000), pytest.mark.xdist_group("image")]

STAND_IN = "localhost/isaac-stand-in:test"
OURS_BUDGET_BYTES = 2_100_000_000
"""Unpacked, without NVIDIA's part: what comes on top of an image that is many times as large."""


@pytest.fixture(scope="module")
def engine():
    return open_engine()


@pytest.fixture(scope="module")
def stand_in(engine, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stand-in")
    context = ROOT / "tests" / "resources" / "isaac_stand_in"
    options = ["--isolation", "chroot", "--format", "docker", "--layers", "--build-arg", f"BASE_IMAGE={make_base(engine, folder)}"]
    engine.buildah("bud", *options, *configured_index(folder), "--tag", STAND_IN, context)
    return STAND_IN


@pytest.fixture(scope="module")
def image(engine, stand_in, tmp_path_factory):
    return build_image(engine, "isaac", tmp_path_factory.mktemp("build"), ISAAC_IMAGE=stand_in)


@pytest.fixture
def run(engine, image):
    def call(*arguments, entrypoint=None):
        return run_hardened(
            engine, image, *arguments, user="1234:1234", entrypoint=entrypoint, options=["--tmpfs", "/var/lib/blueprint-pipeline:mode=1777"]
        )

    return call


def test_the_program_answers_under_python_sh(run):
    """The package, its lock and its generated messages load under the interpreter that python.sh chooses."""
    version = run("--version")
    assert (version.returncode, version.stdout.strip()) == (0, "0.1.0"), version.stderr


def test_exit_codes_survive_python_sh(run):
    """NVIDIA's script makes 1 of every failure; Airflow judges a pod by ours."""
    refused = run("stage", "run", "no_such_stage", "--request", "/dev/null")
    assert refused.returncode not in (0, 1), refused.stderr


def test_without_isaac_sim_the_simulator_says_so(run):
    """On a machine without Isaac Sim the backend is refused in words, not by a traceback."""
    checked = run("simulator", "check", "--simulator", "isaac_sim", "--json")
    assert checked.returncode == 69, checked.stderr[-2000:]
    assert json.loads(checked.stdout or checked.stderr.splitlines()[-1])["error"]["code"].startswith("simulation.")


def test_no_second_usd_and_no_licence_accepted(run):
    """Kit brings its own USD; NVIDIA's licence is accepted by who deploys."""
    done = run("-c", "ls -d /opt/blueprint-pipeline/site/pxr 2>&1; env", entrypoint="bash")
    assert "No such file" in done.stdout
    assert "EULA" not in done.stdout


def test_our_part_is_within_budget(engine, image, stand_in):
    """What we add to NVIDIA's image."""
    whole, below = (int(engine.podman("image", "inspect", name, "--format", "{{.Size}}").stdout) for name in (image, stand_in))
    assert 0 < whole - below <= OURS_BUDGET_BYTES, f"{(whole - below) / 1e9:.2f} GB"
