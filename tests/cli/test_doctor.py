"""`bpp doctor` looks at the disks that a run fills, and shows settings without what is secret in them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from blueprint_pipeline.cli.app import app
from blueprint_pipeline.cli.doctor import check_disk
from blueprint_pipeline.cli.settings_in_force import list_settings
from blueprint_pipeline.settings import Settings, WorkspaceSettings, load_settings

USER = "ann:hunter2"
SECRETS = {
    "BPP__REGISTRY__URL": f"postgresql+psycopg2://{USER}@db/blueprint?sslpassword=hunter2",
    "BPP__WORKSPACE__URL": f"s3://{USER}@bucket/prefix",
    "BPP__DELIVERY__WEBHOOK_URL": "https://hooks.example.com/services/hunter2",
    "BPP__DELIVERY__WEBHOOK_SECRET": "whsec_hunter2",  # pragma: allowlist secret -- made up, looked for in what is shown
    "BPP__MESSAGES__RUNBOOK_URL": f"https://{USER}@wiki.example.com/on-call?token=hunter2",
}


def test_the_disk_of_the_workspace_counts_and_not_the_one_of_this_folder(tmp_path: Path) -> None:
    """A full one (procfs has no room) is found broken where it is; the cache's is its own."""
    found = {item.part: item for item in check_disk(Settings(workspace=WorkspaceSettings(url="/proc/absent", cache_dir=tmp_path)))}
    assert (found["disk of the workspace"].state, found["disk of the workspace"].found) == ("broken", "0.0 GiB free at /proc/absent")
    assert found["disk of the workspace"].advice == "Free at least 5 GiB there."
    assert found["disk of the cache"].found.endswith(f"GiB free at {tmp_path}")
    assert not found["disk of the cache"].found.startswith("0.0 ")


def test_a_remote_workspace_has_no_disk_here(tmp_path: Path) -> None:
    """Only the cache's is looked at."""
    found = [item.part for item in check_disk(Settings(workspace=WorkspaceSettings(url="memory://ws", cache_dir=tmp_path)))]
    assert found == ["workspace", "disk of the cache"]


@pytest.fixture
def _fresh_settings():
    load_settings.cache_clear()
    yield
    load_settings.cache_clear()


@pytest.mark.usefixtures("_fresh_settings")
def test_settings_in_force_are_shown_without_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Those that were set, and the defaults; of a secret only that there is one."""
    for name, value in {**SECRETS, "BPP__COMPUTE__WORKERS": "3"}.items():
        monkeypatch.setenv(name, value)
    found = {item.variable: item for item in list_settings(load_settings())}
    assert not [item for item in found.values() if "hunter2" in item.value]
    assert {name: found[name].value for name in SECRETS} == {
        "BPP__REGISTRY__URL": "postgresql+psycopg2://db/blueprint",
        "BPP__WORKSPACE__URL": "s3://bucket/prefix",
        "BPP__DELIVERY__WEBHOOK_URL": "https://hooks.example.com/…",
        "BPP__DELIVERY__WEBHOOK_SECRET": "set, not shown",  # pragma: allowlist secret -- what is shown in its place
        "BPP__MESSAGES__RUNBOOK_URL": "https://wiki.example.com/on-call",
    }
    assert (found["BPP__COMPUTE__WORKERS"].value, found["BPP__COMPUTE__WORKERS"].is_default) == ("3", False)
    assert (found["BPP__RENDER__BACKEND"].value, found["BPP__RENDER__BACKEND"].is_default) == ("auto", True)


@pytest.mark.usefixtures("_fresh_settings")
def test_doctor_prints_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In both forms, and no secret in either, though the registry does not answer."""
    for name, value in {**SECRETS, "BPP__WORKSPACE__URL": str(tmp_path), "BPP__WORKSPACE__CACHE_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("BPP__REGISTRY__URL", f"sqlite:///{tmp_path}/registry.db")
    answers = [CliRunner().invoke(app, ["doctor", *words]).output for words in ((), ("--json",))]
    assert not [answer for answer in answers if "hunter2" in answer]
    assert "Settings in force" in answers[0]
    settings = {item["variable"]: item["value"] for item in json.loads(answers[1][answers[1].index("{\n") :])["settings"]}
    assert settings["BPP__REGISTRY__URL"] == f"sqlite:///{tmp_path}/registry.db"
