"""The region-loss drill, as on-call runs it, on two real control planes."""

import json
import subprocess
import sys

import pytest

from blueprint_pipeline.settings import RegistrySettings, Settings, WorkspaceSettings
from operators.embedded.airflow_home import process_environment
from tests.kube import ROOT, KubeCluster, clean_environment, write_templates

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("kubernetes")]


def test_a_batch_of_eight_shards_ends_in_the_second_region(tmp_path, database_url):
    """The first is lost after three: nothing that was finished is done again, every episode is there once, one try is enough."""
    settings = Settings(
        workspace=WorkspaceSettings(url=str(tmp_path / "state" / "workspace"), cache_dir=tmp_path / "state" / "cache"),
        registry=RegistrySettings(url=database_url),
    )
    (tmp_path / "state").mkdir()
    clusters = [KubeCluster(tmp_path, name) for name in ("alpha", "beta")]
    try:
        for cluster in clusters:
            cluster.start()
        templates = write_templates(tmp_path / "templates", settings)
        command = [
            sys.executable,
            "-m",
            "blueprint_pipeline",
            "drill",
            "region-loss",
            "--templates",
            str(templates),
            "--unreachable-s",
            "6",
        ]
        command += ["--first", str(clusters[0].kubeconfig), "--second", str(clusters[1].kubeconfig)]
        command += ["--report", str(tmp_path / "report.json")]
        environment = {**clean_environment(), **process_environment(settings), "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr[-4000:]
        outcome = json.loads((tmp_path / "report.json").read_text())
        assert outcome["promises_kept"]
        assert "`gke:`" in outcome["not_proven"]
        assert outcome["published"] == outcome["episodes"] == 16
        assert (outcome["done_again"], outcome["tries"]) == (0, 1)
        assert clusters[1].pods() == []
    finally:
        for cluster in clusters:
            cluster.stop()
