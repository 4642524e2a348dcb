"""A signed bundle of small files, keys, and a workspace in which a bundle of a simulated scene is packed."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from blueprint_pipeline.delivery.bag import PayloadFile, write_payload, write_signed_tags, write_statement
from blueprint_pipeline.delivery.receipt import Receipt
from blueprint_pipeline.delivery.signing import load_signer, make_signing_key, public_key_path, public_pem, sign_payload
from blueprint_pipeline.delivery.statement import Provenance, build_statement, descriptor
from blueprint_pipeline.settings import DeliverySettings, RegistrySettings, Settings, WorkspaceSettings
from blueprint_pipeline.stage.runner import run_stage
from tests.delivery.scene_workspace import SCENE_ID, write_workspace

LAB = "aurora_robotics"
WEBHOOK_SECRET = "whsec_" + "c2VjcmV0LW9mLXRoZS1sYWItMzItYnl0ZXMtbG9uZyE="

PROVENANCE = Provenance(
    code_version="0.1.0+0000000000000000",
    request={"scene_id": "kitchen", "lab": "aurora_robotics", "episodes": 2, "seed": 7},
    seeds={"ep_0000": 11, "ep_0001": 12},
    dependencies=[descriptor("scene:kitchen/regen3d/objects/can/mesh.glb", "a" * 64, licence="MIT"), descriptor("pkg:pypi/mujoco@4.0.0")],
    quality={"attempted": 3, "kept": 2},
    certification={"passed": True},
    cost={"usd_per_kept_episode": 0.0125},
    licence={"commercial_ok": True},
)

PAYLOAD = [
    PayloadFile("dataset/v3.0/meta/info.json", b'{"codebase_version": "v3.0"}\n'),
    PayloadFile("dataset/v3.0/data/chunk-000/file-000.parquet", b"PAR1" + bytes(range(256)) * 8 + b"PAR1"),
    PayloadFile("dataset/v3.0/videos/observation.images.scene/chunk-000/file-000.mp4", b"\0\0\0\x18ftypisom" + bytes(range(251)) * 20),
    PayloadFile("replay/replay.py", b"print('replayed')\n"),
    PayloadFile("legal/all of it.txt", b"all of it\n"),
    PayloadFile("index.html", b"<!doctype html><title>report</title>\n"),
]


def write_bag(bag: Path, key: Path) -> Path:
    """Write a small signed bundle with the writers that the package stage uses."""
    signer = load_signer(key)
    payload = write_payload(bag, PAYLOAD)
    tags = write_signed_tags(bag, payload, {"Source-Organization": "Blueprint"}, public_pem(signer.public_key))
    statement = build_statement({**payload, **tags}, PROVENANCE)
    write_statement(bag, sign_payload(statement, signer), tags)
    return bag


@pytest.fixture(scope="session")
def signing_key(tmp_path_factory):
    """A private key; its public half lies beside it."""
    path = tmp_path_factory.mktemp("keys") / "signing.pem"
    make_signing_key(path)
    return path


@pytest.fixture(scope="session")
def public_key(signing_key):
    return public_key_path(signing_key)


@pytest.fixture
def bundle(tmp_path, signing_key):
    return write_bag(tmp_path / "bundle", signing_key)


RECEIPT = Receipt(
    delivery_id="dlv_0123456789ab",
    lab="aurora_robotics",
    scene_id="kitchen",
    job_id="job-0123456789ab",
    location="gs://lab/kitchen/job-0123456789ab/dlv_0123456789ab/bundle",
    report_url="gs://lab/kitchen/job-0123456789ab/dlv_0123456789ab/bundle/data/index.html",
    dataset_card_url="gs://lab/kitchen/job-0123456789ab/dlv_0123456789ab/bundle/data/dataset_card.json",
    statement_sha256="a" * 64,
    signing_keyid="b" * 64,
    files=120,
    size_bytes=12_345_678,
    delivered_at=datetime(2026, 11, 23, 12, 0, tzinfo=UTC),
)


@pytest.fixture(scope="session")
def pristine(tmp_path_factory):
    """A workspace that is copied, not used."""
    root = tmp_path_factory.mktemp("pristine")
    write_workspace(root)
    return root


def make_settings(folder, signing_key):
    """Settings on a workspace below ``folder``."""
    return Settings(
        workspace=WorkspaceSettings(url=str(folder / "workspace"), cache_dir=folder / "cache"),
        registry=RegistrySettings(url=f"sqlite:///{folder / 'registry.db'}"),
        delivery=DeliverySettings(signing_key=signing_key, webhook_secret=SecretStr(WEBHOOK_SECRET)),
    )


@pytest.fixture(scope="session")
def packed_once(pristine, tmp_path_factory, signing_key):
    """A bundle made by the runner. Read only."""
    folder = tmp_path_factory.mktemp("packed")
    shutil.copytree(pristine, folder / "workspace")
    run_stage("package_bundle", {"scene_id": SCENE_ID, "lab": LAB}, make_settings(folder, signing_key))
    return folder / "workspace" / "scenes" / SCENE_ID / "deliveries" / LAB / "bundle"


@pytest.fixture
def scene(pristine, tmp_path):
    shutil.copytree(pristine, tmp_path / "workspace")
    return tmp_path / "workspace" / "scenes" / SCENE_ID


@pytest.fixture
def packed_scene(packed_once, tmp_path):
    """A workspace of the test's own in which the bundle is packed."""
    shutil.copytree(packed_once.parents[4], tmp_path / "workspace", dirs_exist_ok=True)
    return tmp_path / "workspace" / "scenes" / SCENE_ID


@pytest.fixture
def delivery_settings(tmp_path, signing_key):
    return make_settings(tmp_path, signing_key)


@pytest.fixture
def package(delivery_settings):
    return lambda lab=LAB: run_stage("package_bundle", {"scene_id": SCENE_ID, "lab": lab}, delivery_settings)


def read_json(path):
    return json.loads(path.read_text())
