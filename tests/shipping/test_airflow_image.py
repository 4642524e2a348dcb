"""The image of Airflow, really built and really run: its DAGs load, nothing can be written where nothing should be."""

import pytest

from tests.shipping.engine import build_image, open_engine, run_hardened

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000), pytest.mark.xdist_group("image")]

SIZE_BUDGET_BYTES = 2_700_000_000
"""Unpacked. Google's clients and the parts of the job image, which local stages need."""
USER = "50000:0"


@pytest.fixture(scope="module")
def engine():
    return open_engine()


@pytest.fixture(scope="module")
def image(engine, tmp_path_factory):
    return build_image(engine, "airflow", tmp_path_factory.mktemp("build"))


@pytest.fixture
def run(engine, image, tmp_path):
    """Run a shell script in the image; the official chart mounts airflow.cfg, logs and the database lie in memory."""
    (tmp_path / "airflow.cfg").touch()
    settings = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite:////tmp/airflow.db", "AIRFLOW__LOGGING__BASE_LOG_FOLDER": "/tmp/logs"}
    environment = [word for name, value in settings.items() for word in ("--env", f"{name}={value}")]
    options = [*environment, "--volume", f"{tmp_path}/airflow.cfg:/opt/airflow/airflow.cfg:ro"]

    def call(script):
        return run_hardened(engine, image, "-ec", script, user=USER, entrypoint="bash", options=options)

    return call


def test_every_dag_loads(run):
    """The three DAG files parse with the image's packages alone; none has an import error."""
    commands = ("db migrate >/dev/null", "dags reserialize >/dev/null", "dags list --output plain", "dags list-import-errors")
    done = run(" && ".join(f"airflow {command}" for command in commands))
    assert done.returncode == 0, done.stderr[-2000:]
    assert {"scene_to_dataset", "nightly_scenes"} <= {line.split()[0] for line in done.stdout.splitlines() if line.strip()}
    assert "No data found" in done.stdout, done.stdout


def test_it_runs_as_its_user_and_holds_no_tool_that_installs(run):
    """Who runs is 50000 of group 0; pip and compilers are missing; the DAGs cannot be changed from within."""
    done = run("id -u; id -g; command -v pip gcc || true; touch /opt/airflow/dags/x 2>&1 || true; ls /etc/pip.conf 2>&1 || true")
    assert done.stdout.split()[:2] == ["50000", "0"]
    assert "Read-only file system" in done.stdout
    assert "cannot access" in done.stdout


def test_the_size_is_within_budget(engine, image):
    size_bytes = int(engine.podman("image", "inspect", image, "--format", "{{.Size}}").stdout)
    assert 0 < size_bytes <= SIZE_BUDGET_BYTES, f"{size_bytes / 1e9:.2f} GB"
