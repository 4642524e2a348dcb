"""A signed bundle of small files, and keys."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from blueprint_pipeline.delivery.bag import PayloadFile, write_payload, write_signed_tags, write_statement
from blueprint_pipeline.delivery.receipt import Receipt
from blueprint_pipeline.delivery.signing import load_signer, make_signing_key, public_key_path, public_pem, sign_payload
from blueprint_pipeline.delivery.statement import Provenance, build_statement, descriptor

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
