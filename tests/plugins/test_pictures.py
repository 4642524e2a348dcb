"""Pictures of scenes in Airflow's UI: for those who are logged in, and nothing else of the workspace."""

import pytest
from airflow.api_fastapi.core_api import security
from airflow.api_fastapi.core_api.security import get_user
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient

from blueprint_pipeline.settings import load_settings
from blueprint_pipeline.workspace.storage import Workspace
from plugins.blueprint_pipeline_plugin import BlueprintPipelinePlugin
from plugins.pages.picture_app import app
from plugins.pages.pictures import picture_path

NAME = "0123456789abcdef.jpg"


@pytest.fixture
def client(settings, monkeypatch):
    """The plugin's application where Airflow mounts it, over a workspace with one picture."""
    monkeypatch.setenv("BPP__WORKSPACE__URL", settings.workspace.url)
    load_settings.cache_clear()
    scene = Workspace(settings.workspace).scene("s1")
    scene.write_bytes(f"geniesim/strips/{NAME}", b"jpeg")
    scene.write_bytes("geniesim/plan.json", b"{}")
    (entry,) = BlueprintPipelinePlugin.fastapi_apps
    airflow = FastAPI()
    airflow.mount(entry["url_prefix"], entry["app"])
    yield TestClient(airflow)
    app.dependency_overrides.clear()
    load_settings.cache_clear()


def test_who_is_not_logged_in_sees_nothing(client, monkeypatch):
    """The cookie of Airflow's UI is asked for: it is all that a browser sends for a picture of a page."""
    asked = []

    async def resolve(token):
        asked.append(token)
        raise HTTPException(401)

    monkeypatch.setattr(security, "resolve_user_from_token", resolve)
    client.cookies.set("_token", "a-token")
    assert client.get(picture_path("s1", NAME)).status_code == 401
    assert asked == ["a-token"]


def test_a_picture_is_served_to_people_who_are_logged_in(client):
    """Its name is its content's, so a browser keeps it."""
    app.dependency_overrides[get_user] = object
    found = client.get(picture_path("s1", f"geniesim/strips/{NAME}"))
    assert (found.status_code, found.content, found.headers["content-type"]) == (200, b"jpeg", "image/jpeg")
    assert "immutable" in found.headers["cache-control"]


@pytest.mark.parametrize("path", ["s1/plan.json", "s1/..%2Fplan.json", "..%2Fs1/" + NAME, "s2/" + NAME, "s1/0000000000000000.jpg"])
def test_nothing_else_is_served(client, path):
    """Neither other files of the workspace nor what is not there."""
    app.dependency_overrides[get_user] = object
    assert client.get(f"/blueprint-pipeline/pictures/{path}").status_code == 404
