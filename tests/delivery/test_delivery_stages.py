"""Deliver and notify by the real runner: from a packed bundle to a lab that acknowledged it."""

import json
from pathlib import Path

from pytest_httpserver import HTTPServer
from standardwebhooks import Webhook
from werkzeug import Response

from blueprint_pipeline.delivery.verify import validate_bundle
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.stage.runner import run_stage
from tests.delivery.conftest import LAB, WEBHOOK_SECRET, read_json
from tests.delivery.scene_workspace import SCENE_ID


def test_from_package_to_acknowledged_webhook(packed_scene, delivery_settings, public_key, tmp_path):
    """Deliver and notify by the runner, twice: one delivery, one receipt, one call, and nothing rewritten."""
    with HTTPServer() as server:
        calls = []

        def handle(request):
            Webhook(WEBHOOK_SECRET).verify(request.get_data(), dict(request.headers))
            calls.append(json.loads(request.get_data()))
            return Response(status=204)

        server.expect_request("/hook").respond_with_handler(handle)
        for _ in range(2):
            bucket = {"scene_id": SCENE_ID, "lab": LAB, "bucket": str(tmp_path / "lab")}
            delivered = run_stage("deliver_bundle", bucket, delivery_settings)
            told = run_stage("notify_lab", {"scene_id": SCENE_ID, "lab": LAB, "webhook_url": server.url_for("/hook")}, delivery_settings)
            (packed_scene / f"commits/deliver_bundle.{LAB}.json").unlink()
            (packed_scene / f"commits/notify_lab.{LAB}.json").unlink()
    assert len(calls) == 1
    assert calls[0]["data"]["bundle_url"] == delivered.location
    assert told.status_code == 204
    assert validate_bundle(Path(delivered.location), public_key).is_whole
    receipt = read_json(packed_scene / f"deliveries/{LAB}/receipt.json")
    assert receipt == read_json(Path(delivered.location).parent / "receipt.json")
    with open_registry(delivery_settings.registry) as registry:
        assert [item.status for item in registry.deliveries.all_of(lab=LAB)] == ["notified"]


def test_a_registry_that_was_lost_does_not_stop_the_call(packed_scene, delivery_settings, tmp_path):
    """With a new database the delivery is entered again from its receipt."""
    run_stage("deliver_bundle", {"scene_id": SCENE_ID, "lab": LAB, "bucket": str(tmp_path / "lab")}, delivery_settings)
    (tmp_path / "registry.db").unlink()
    with HTTPServer() as server:
        server.expect_request("/hook").respond_with_data(status=200)
        request = {"scene_id": SCENE_ID, "lab": LAB, "webhook_url": server.url_for("/hook")}
        assert run_stage("notify_lab", request, delivery_settings).attempts == 1
