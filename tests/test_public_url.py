"""What lets the bearer of a URL in is never written down."""

import uuid

import pytest
from upath import UPath

from blueprint_pipeline.compute.job import JobSpec
from blueprint_pipeline.compute.run_job import run_job
from blueprint_pipeline.delivery.bucket import Bucket
from blueprint_pipeline.delivery.stages import DeliverBundleRequest, NotifyLabRequest
from blueprint_pipeline.public_url import public_fields, public_origin, public_url
from blueprint_pipeline.scene.ingest import SOURCE_MANIFEST_PATH, SourceManifest
from blueprint_pipeline.scene.source_errors import SourceNotFound
from blueprint_pipeline.stage.runner import InvalidRequest, run_stage
from blueprint_pipeline.workspace.checksums import list_files
from blueprint_pipeline.workspace.commits import load_commit
from blueprint_pipeline.workspace.storage import Workspace

USER = "ann:s3cret"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"https://{USER}@host:8443/a/b?X-Goog-Signature=s3cret#s3cret", "https://host:8443/a/b"),
        ("simplecache::https://s3cret@host/a.zip?s3cret", "simplecache::https://host/a.zip"),
        ("gs://bucket/scenes/kitchen", "gs://bucket/scenes/kitchen"),
        ("file:///data/kitchen", "file:///data/kitchen"),
        ("sqlite:///.bpp/registry.db", "sqlite:///.bpp/registry.db"),
        (f"postgresql+psycopg2://{USER}@db/blueprint?sslpassword=s3cret", "postgresql+psycopg2://db/blueprint"),
        ("data/what?/kitchen#1", "data/what?/kitchen#1"),
    ],
)
def test_what_lets_in_is_cut_off(url, shown):
    """The place stays; a local path is no URL."""
    assert public_url(url) == shown


@pytest.fixture
def signed(sound_scene):
    """A source whose URL has a password and a signature, and how it may be shown."""
    place = uuid.uuid4()
    url = f"memory://{USER}@{place}/scene?X-Goog-Signature=s3cret"
    for name in list_files(sound_scene):
        (UPath(url) / name).write_bytes((sound_scene / name).read_bytes())
    return url, f"memory://{place}/scene"


def test_scene_is_taken_in_from_a_signed_url_that_nobody_reads_later(settings, signed):
    """Neither a file of the workspace nor the registry holds it."""
    url, shown = signed
    spec = JobSpec(stage="ingest_scene", requests=({"scene_id": "s1", "source": url},), run_id="r1")
    records = []
    run_job(spec, settings, keep=records.append, progress=lambda _done, _total: None)
    scene = Workspace(settings.workspace).scene("s1")
    assert load_commit(scene, "ingest_scene").request["source"] == shown
    assert SourceManifest.model_validate_json(scene.read_bytes(SOURCE_MANIFEST_PATH)).source == shown
    assert "s3cret" not in "".join(record.model_dump_json() for record in records)
    written = [path for path in settings.workspace.cache_dir.parent.rglob("*") if path.is_file()]
    assert any(path.name == "registry.db" for path in written)
    assert [path for path in written if b"s3cret" in path.read_bytes()] == []


def test_errors_do_not_show_it(settings):
    """A source that is missing, a field too many."""
    url = f"memory://{USER}@{uuid.uuid4()}/none"
    with pytest.raises(SourceNotFound) as absent:
        run_stage("ingest_scene", {"scene_id": "s1", "source": url}, settings)
    with pytest.raises(InvalidRequest) as invalid:
        run_stage("ingest_scene", {"scene_id": "s1", "sourc": url}, settings)
    assert "s3cret" not in f"{absent.value.as_dict()}{invalid.value.as_dict()}"


def test_requests_and_receipts_of_labs_do_not_hold_it():
    """A bucket or webhook in the place of the profile's."""
    url = f"https://{USER}@lab.example/drop?s3cret"
    bucket = DeliverBundleRequest(scene_id="s", lab="l", bucket=url)
    webhook = NotifyLabRequest(scene_id="s", lab="l", webhook_url=url)
    assert (bucket.bucket, webhook.webhook_url) == (url, url)
    assert "s3cret" not in bucket.model_dump_json() + webhook.model_dump_json()
    assert Bucket(f"memory://{USER}@drop/x").url == "memory://drop/x"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://lab.example.com/hook/t0ken?x=1#y", "https://lab.example.com/…"),
        (f"https://{USER}@lab.example.com:8443/a", "https://lab.example.com:8443/…"),
        ("https://lab.example.com", "https://lab.example.com"),
        ("https://lab.example.com/", "https://lab.example.com"),
    ],
)
def test_of_a_webhook_the_origin_is_shown(url: str, shown: str) -> None:
    """Its path is a secret as often as not; a job's record has no more of it either."""
    assert public_origin(url) == shown
    assert public_fields({"webhook_url": url, "lab": "x", "seed": 3}) == {"webhook_url": shown, "lab": "x", "seed": 3}
