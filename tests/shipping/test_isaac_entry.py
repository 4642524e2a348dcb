"""The entry point of the image ``isaac``: exit codes and SIGTERM come through, which NVIDIA's own ``python.sh`` swallows.

The image cannot be built here. What is run is the very ``sed`` of the Dockerfile, on a script that ends as NVIDIA's does (5.1, 6.x).
"""

import os
import re
import subprocess
import sys

import pytest

from tests.shipping.conftest import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
ISAAC = DOCKERFILE[DOCKERFILE.index("FROM ${ISAAC_IMAGE} AS isaac") :]
PYTHON_SH = """#!/bin/bash
set -e
error_exit()
{
    echo "There was an error running python"
    exit 1
}
python_exe=${PYTHONEXE:-"/isaac-sim/kit/python/bin/python3"}
$python_exe "$@" $args || error_exit
"""


@pytest.fixture
def entry(tmp_path):
    """``blueprint-pipeline.sh`` as the Dockerfile makes it."""
    before, after = tmp_path / "python.sh", tmp_path / "blueprint-pipeline.sh"
    before.write_text(PYTHON_SH)
    expression = re.search(r"RUN (sed '.+?') /isaac-sim/python\.sh > /isaac-sim/blueprint-pipeline\.sh", ISAAC).group(1)
    subprocess.run(f"{expression} {before} > {after} && grep -q '^exec \\$python_exe' {after}", shell=True, check=True)
    return before, after


def run(script, code):
    environment = {**os.environ, "PYTHONEXE": sys.executable}
    return subprocess.Popen(["bash", script, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("status", [0, 64, 69, 75, 143])
def test_exit_codes_come_through(entry, status):
    """A job's exit code says whether it is done, to be tried again, or refused."""
    assert run(entry[1], f"import sys; sys.exit({status})").wait() == status


def test_nvidias_script_would_make_all_of_them_1(entry):
    """Why it is not the entry point."""
    assert run(entry[0], "import sys; sys.exit(75)").wait() == 1


def test_the_process_that_gets_sigterm_is_python_itself(entry):
    """A shell as process 1 would ignore it, and the pod be killed after 15 s without its last commit."""
    process = run(entry[1], "import os; print(os.getpid())")
    assert int(process.communicate()[0]) == process.pid


def test_what_the_image_sets(entry):
    """Vulkan needs the driver's graphics; ours is served with isaac_sim; the caches are folders of user 1234; all loads at build time."""
    assert "NVIDIA_DRIVER_CAPABILITIES=all" in ISAAC
    assert 'ENTRYPOINT ["/isaac-sim/blueprint-pipeline.sh", "-m", "blueprint_pipeline"]' in ISAAC
    assert 'CMD ["simulator", "serve", "--simulator", "isaac_sim"]' in ISAAC
    for folder in ("kit/cache", ".cache", ".nv", ".nvidia-omniverse", ".local"):
        assert f"/isaac-sim/{folder}" in ISAAC
    assert "OMNI_KIT_ALLOW_ROOT" not in ISAAC, "it never runs as root"
    user, check = ISAAC.index("USER 1234:1234"), ISAAC.index("import blueprint_pipeline.simulation.service.server")
    assert user < check, "the check runs as who serves"
