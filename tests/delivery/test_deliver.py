"""Delivery: staged, verified, promoted, once. On a local folder, and on a Google Cloud Storage server that fails."""

import shutil
from pathlib import Path

import pytest
import stamina

from blueprint_pipeline.delivery.bag import STATEMENT_NAME, TAGMANIFEST_NAME
from blueprint_pipeline.delivery.bucket import Bucket, BucketRefused, BucketUnreachable
from blueprint_pipeline.delivery.deliver import DeliveryConflict, UploadDamaged, deliver_bundle
from blueprint_pipeline.delivery.verify import BundleAltered, validate_bundle
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.registry.deliveries import delivery_id_of
from blueprint_pipeline.workspace.checksums import digest_file, list_files
from tests.gcs import google_storage


@pytest.fixture
def deliveries(settings):
    return open_registry(settings.registry).deliveries


@pytest.fixture
def deliver(bundle, public_key, deliveries):
    """Deliver the small bundle to a bucket."""

    def run(bucket):
        return deliver_bundle(
            bundle,
            bucket,
            lab="aurora_robotics",
            scene_id="kitchen",
            job_id="job-0123456789ab",
            public_key=public_key,
            deliveries=deliveries,
        )

    return run


@pytest.fixture(autouse=True)
def no_waiting():
    """Retries without their pauses."""
    with stamina.set_testing(True, attempts=4):
        yield


def state(folder):
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.rglob("*") if path.is_file()
    }


def test_a_bundle_arrives_whole(deliver, deliveries, bundle, public_key, tmp_path):
    """What lies in the lab's folder verifies; nothing is left staged; registry and receipt say what went where."""
    receipt = deliver(Bucket(str(tmp_path / "lab")))
    place = tmp_path / "lab" / "kitchen" / "job-0123456789ab" / receipt.delivery_id
    assert receipt.location == str(place / "bundle")
    assert validate_bundle(place / "bundle", public_key).is_whole
    assert list_files(place) == sorted([f"bundle/{name}" for name in list_files(bundle)] + ["receipt.json"])
    assert not (tmp_path / "lab" / ".staging").exists()
    assert deliveries.find(receipt.delivery_id).status == "promoted"
    assert deliveries.find(receipt.delivery_id).receipt["statement_sha256"] == receipt.statement_sha256


def test_another_bucket_is_another_delivery(deliver, deliveries, tmp_path):
    """The lab acknowledged the first place: under the same id it would never hear of the second."""
    first, second = deliver(Bucket(str(tmp_path / "lab"))), deliver(Bucket(str(tmp_path / "moved")))
    assert (first.statement_sha256, first.delivery_id != second.delivery_id) == (second.statement_sha256, True)
    assert {delivery.url for delivery in deliveries.all_of()} == {first.location, second.location}


def test_delivering_twice_changes_nothing(deliver, tmp_path):
    """No file is rewritten, and the receipt is the same one."""
    first = deliver(Bucket(str(tmp_path / "lab")))
    before = state(tmp_path / "lab")
    assert deliver(Bucket(str(tmp_path / "lab"))) == first
    assert state(tmp_path / "lab") == before


@pytest.mark.parametrize("kept", [0, 3, 7])
def test_a_half_done_delivery_goes_on(deliver, tmp_path, public_key, kept):
    """Killed while promoting: what is in its place stays untouched, what was staged or lost is brought, the tag manifest last."""
    first = deliver(Bucket(str(tmp_path / "lab")))
    place = tmp_path / "lab" / "kitchen" / "job-0123456789ab" / first.delivery_id
    (place / "receipt.json").unlink()
    names = [name for name in list_files(place / "bundle") if name != TAGMANIFEST_NAME]
    staging = tmp_path / "lab" / ".staging" / first.delivery_id
    for index, name in enumerate([*names[kept:], TAGMANIFEST_NAME]):
        (staging / name).parent.mkdir(parents=True, exist_ok=True)
        (place / "bundle" / name).replace(staging / name)
        if index == 1:
            (staging / name).write_bytes(b"half")
        if index == 2:
            (staging / name).unlink()
    untouched = {name: value for name, value in state(place).items() if name.removeprefix("bundle/") in names[:kept]}
    deliver(Bucket(str(tmp_path / "lab")))
    assert validate_bundle(place / "bundle", public_key).is_whole
    assert untouched.items() <= state(place).items()
    assert not (tmp_path / "lab" / ".staging").exists()


@pytest.mark.parametrize("change", ["other bytes", "added file", "receipt of another", "receipt broken"])
def test_other_content_at_the_place_is_a_conflict(deliver, deliveries, tmp_path, change):
    """Nothing is overwritten; the error names the file."""
    first = deliver(Bucket(str(tmp_path / "lab")))
    place = tmp_path / "lab" / "kitchen" / "job-0123456789ab" / first.delivery_id
    if change == "other bytes":
        (place / "bundle/data/index.html").write_text("other")
    elif change == "added file":
        (place / "bundle/data/extra.txt").write_text("other")
    elif change == "receipt of another":
        (place / "receipt.json").write_text(first.model_copy(update={"statement_sha256": "0" * 64}).model_dump_json())
    else:
        (place / "receipt.json").write_text("{")
    before = state(tmp_path / "lab")
    with pytest.raises(DeliveryConflict) as caught:
        deliver(Bucket(str(tmp_path / "lab")))
    assert str(place) in str(caught.value)
    assert state(tmp_path / "lab") == before
    assert deliveries.find(first.delivery_id).status == "promoted"


def test_a_conflict_before_anything_arrived_fails_the_delivery(deliver, deliveries, bundle, tmp_path):
    """The registry shows a failed delivery, and it may begin again when the place is free."""
    bucket = Bucket(str(tmp_path / "lab"))
    delivery_id = delivery_id_of("aurora_robotics", digest_file(bundle / STATEMENT_NAME).sha256, bucket.url)
    place = tmp_path / "lab" / "kitchen" / "job-0123456789ab" / delivery_id
    (place / "bundle").mkdir(parents=True)
    (place / "bundle" / STATEMENT_NAME).write_text("other")
    with pytest.raises(DeliveryConflict):
        deliver(bucket)
    assert deliveries.find(delivery_id).status == "failed"
    shutil.rmtree(place)
    assert deliver(bucket).delivery_id == delivery_id
    assert deliveries.find(delivery_id).status == "promoted"


def test_a_bundle_that_changed_is_not_delivered(deliver, bundle, tmp_path):
    """What does not verify here does not leave."""
    (bundle / "data/index.html").write_text("changed")
    with pytest.raises(BundleAltered):
        deliver(Bucket(str(tmp_path / "lab")))
    assert not (tmp_path / "lab").exists()


def test_a_folder_that_cannot_be_written_is_refused(deliver, tmp_path):
    """A wrong bucket is no transient fault."""
    (tmp_path / "lab").write_text("a file, no folder")
    with pytest.raises(BucketRefused):
        deliver(Bucket(str(tmp_path / "lab")))


def test_an_upload_that_stays_damaged_is_told(deliver, tmp_path, monkeypatch):
    """Read-back finds a bucket that stores other bytes; nothing is promoted."""
    whole = Bucket._put_file

    def damage(self, source, name):
        whole(self, source, name)
        if name.endswith("index.html"):
            Path((self.root / name).path).write_bytes(b"damaged")

    monkeypatch.setattr(Bucket, "_put_file", damage)
    with pytest.raises(UploadDamaged) as caught:
        deliver(Bucket(str(tmp_path / "lab")))
    assert caught.value.retryable
    assert not list((tmp_path / "lab").glob("kitchen/**/*"))
    monkeypatch.undo()
    deliver(Bucket(str(tmp_path / "lab")))


@pytest.fixture
def google(google_server, monkeypatch):
    """A fresh bucket on the server."""
    with google_storage(google_server, monkeypatch) as (fs, name):
        yield Bucket(f"gs://{name}/drop"), google_server, fs


def generations(fs, bucket):
    fs.invalidate_cache()
    return {name: fs.info(name)["generation"] for name in fs.find(bucket.root.path)}


def test_google_delivery_arrives_and_twice_changes_nothing(deliver, google, bundle):
    """Every object keeps its generation, and not one write call is made the second time."""
    bucket, proxy, fs = google
    receipt = deliver(bucket)
    names = bucket.names(f"kitchen/job-0123456789ab/{receipt.delivery_id}/bundle")
    assert names == list_files(bundle)
    assert not bucket.names(".staging")
    before = generations(fs, bucket)
    proxy.reset()
    assert deliver(bucket) == receipt
    assert generations(fs, bucket) == before
    assert proxy.writes == []


@pytest.mark.parametrize("kind", ["503", "drop", "cut"])
def test_google_faults_are_outlived(deliver, google, bundle, public_key, tmp_path, *, kind):
    """Every fifth call fails (server error, dropped connection, half an answer); the bundle arrives whole all the same."""
    bucket, proxy, fs = google
    counted = iter(range(10_000))
    proxy.reset(lambda method, _path, _nth: kind if (kind != "cut" or method == "GET") and next(counted) % 5 == 4 else None)
    receipt = deliver(bucket)
    assert proxy.faults[kind] > 0
    proxy.reset()
    place = f"{bucket.root.path}/kitchen/job-0123456789ab/{receipt.delivery_id}/bundle"
    fs.get(place, str(tmp_path / "fetched"), recursive=True)
    assert validate_bundle(tmp_path / "fetched", public_key).is_whole
    assert list_files(tmp_path / "fetched") == list_files(bundle)


def test_google_dead_in_the_middle_then_resumed(deliver, google, bundle):
    """The server dies for good half-way: a retryable error, nothing visible; later the staged objects are not sent again."""
    bucket, proxy, fs = google
    proxy.reset(lambda method, _path, nth: "503" if method == "POST" and nth > 6 else None)
    with pytest.raises(BucketUnreachable) as caught:
        deliver(bucket)
    assert caught.value.retryable
    assert not bucket.names("kitchen")
    staged = generations(fs, bucket)
    assert staged
    proxy.reset()
    deliver(bucket)
    uploads = [call for call in proxy.writes if "/upload/" in call]
    assert len(uploads) == len(list_files(bundle)) - len(staged) + 1  # and the receipt


@pytest.mark.usefixtures("google")
@pytest.mark.parametrize(
    "call",
    [lambda bucket: bucket.read_bytes("a"), lambda bucket: bucket.names("a"), lambda bucket: bucket.remove_folder("a")],
    ids=["read", "list", "remove"],
)
def test_an_absent_bucket_is_not_an_empty_one(call):
    """A misspelt bucket of a lab is named before anything is uploaded."""
    with stamina.set_testing(True, attempts=1), pytest.raises(BucketRefused, match="no such bucket"):
        call(Bucket("gs://no-such-bucket/drop"))
