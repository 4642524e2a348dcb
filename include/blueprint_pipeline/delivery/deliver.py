"""Bring a bundle to a lab: staged, read back, promoted, receipted. Doing it twice changes nothing.

::

    {bucket}/.staging/{delivery_id}/...                        while it is on its way
    {bucket}/{scene_id}/{job_id}/{delivery_id}/bundle/...      then; tagmanifest-sha256.txt comes last
    {bucket}/{scene_id}/{job_id}/{delivery_id}/receipt.json    only when all of it is there
"""

from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError
from securesystemslib.signer import SSlibKey

from blueprint_pipeline.delivery.bag import STATEMENT_NAME, TAGMANIFEST_NAME
from blueprint_pipeline.delivery.bucket import Bucket, BucketUnreachable
from blueprint_pipeline.delivery.receipt import RECEIPT_NAME, Receipt
from blueprint_pipeline.delivery.verify import validate_bundle
from blueprint_pipeline.errors import IntegrityError, TransientError
from blueprint_pipeline.log import get_logger
from blueprint_pipeline.registry.deliveries import DeliveryRepository, delivery_id_of
from blueprint_pipeline.workspace.checksums import FileDigest, digest_files, list_files

_UPLOADS = 3


class UploadDamaged(TransientError):
    """What was read back from a bucket is not what was sent."""

    code = "delivery.upload_damaged"
    template = "{location} was read back with sha256 {found_sha256}, and {expected_sha256} was sent. The staged copy will be sent again."

    location: str
    expected_sha256: str
    found_sha256: str


class DeliveryConflict(IntegrityError):
    """Something else lies where the bundle is to go."""

    code = "delivery.conflict"
    template = (
        "{location}/{name} already exists and is not this delivery's ({found}, expected sha256 {expected_sha256}). "
        "Nothing was overwritten. Move the old delivery away, or deliver to another place."
    )

    location: str
    name: str
    expected_sha256: str
    found: str


def deliver_bundle(
    bundle: Path, bucket: Bucket, *, lab: str, scene_id: str, job_id: str, public_key: Path | SSlibKey, deliveries: DeliveryRepository
) -> Receipt:
    """Deliver a bundle, or find that it is delivered; resumes what an earlier try left.

    Args:
        bundle: Folder of the bundle; it must verify against ``public_key``.
        bucket: The lab's bucket.
        lab: Id of the lab.
        scene_id: Id of the scene.
        job_id: Id of the job that made the dataset.
        public_key: Public half of the signing key.
        deliveries: Where deliveries are kept.

    Raises:
        BundleAltered: The bundle changed since it was signed.
        DeliveryConflict: Something else lies at its place; nothing was overwritten.
        UploadDamaged: What was read back is not what was sent, three times over.
        BucketUnreachable: The bucket did not answer; what is uploaded stays staged.
    """
    report = validate_bundle(bundle, public_key)
    digests = digest_files(bundle, list_files(bundle))
    statement_sha256 = digests[STATEMENT_NAME].sha256
    delivery_id = delivery_id_of(lab, statement_sha256, bucket.url)
    place = f"{scene_id}/{job_id}/{delivery_id}"
    location = f"{bucket.url}/{place}/bundle"
    size_bytes = sum(digest.size_bytes for digest in digests.values())
    about = {"lab": lab, "scene_id": scene_id, "job_id": job_id}
    deliveries.start(delivery_id, bundle_sha256=statement_sha256, size_bytes=size_bytes, url=location, **about)
    try:
        _transfer(bundle, digests, bucket, place, delivery_id)
        found = _found_receipt(bucket, place, statement_sha256)
    except DeliveryConflict as error:
        if (state := deliveries.find(delivery_id)) is not None and state.status in {"staged", "verified"}:
            deliveries.advance(delivery_id, "failed", error=str(error))
        raise
    receipt = found or Receipt(
        delivery_id=delivery_id,
        lab=lab,
        scene_id=scene_id,
        job_id=job_id,
        location=location,
        report_url=f"{location}/data/index.html",
        dataset_card_url=f"{location}/data/dataset_card.json",
        statement_sha256=statement_sha256,
        signing_keyid=report.trusted_keyid,
        files=len(digests),
        size_bytes=size_bytes,
        delivered_at=datetime.now(UTC),
    )
    if found is None:
        bucket.write_bytes(f"{place}/{RECEIPT_NAME}", receipt.model_dump_json(indent=1).encode() + b"\n")
    if (state := deliveries.find(delivery_id)) is not None and state.status in {"staged", "verified"}:
        deliveries.advance(delivery_id, "promoted", receipt=receipt.model_dump(mode="json"))
    return receipt


def _transfer(bundle: Path, digests: dict[str, FileDigest], bucket: Bucket, place: str, delivery_id: str) -> None:
    """Upload and promote whatever is not in its place yet."""
    staging = f".staging/{delivery_id}"
    arrived = _names_in_place(digests, bucket, f"{place}/bundle")
    missing = [name for name in digests if name not in arrived]
    if missing:
        get_logger().info("uploading bundle", location=f"{bucket.url}/{place}", files=len(missing), already_there=len(arrived))
        _upload(bundle, {name: digests[name] for name in missing}, bucket, staging)
        ordered = sorted(missing, key=lambda name: (name == TAGMANIFEST_NAME, not name.startswith("data/"), name))
        bucket.move((f"{staging}/{name}", f"{place}/bundle/{name}") for name in ordered)
        lost = sorted(set(digests) - set(bucket.names(f"{place}/bundle")))
        if lost:
            raise BucketUnreachable(f"{bucket.url}/{place}/bundle", f"{lost[0]} was promoted and is not listed")
    bucket.remove_folder(staging)


def _names_in_place(digests: dict[str, FileDigest], bucket: Bucket, folder: str) -> set[str]:
    """Names that lie in their place already, with the right bytes.

    Raises:
        DeliveryConflict: One has other bytes, or does not belong there.
    """
    names = bucket.names(folder)
    found = bucket.digests(f"{folder}/{name}" for name in names)
    for name in names:
        digest, expected = found[f"{folder}/{name}"], digests.get(name)
        if expected is None:
            raise DeliveryConflict(f"{bucket.url}/{folder}", name, "none", "a file that is not part of the bundle")
        if digest != expected:
            raise DeliveryConflict(f"{bucket.url}/{folder}", name, expected.sha256, f"sha256 {digest.sha256}")
    return set(names)


def _upload(bundle: Path, digests: dict[str, FileDigest], bucket: Bucket, staging: str) -> None:
    """Stage files and read them back, those of an earlier try too."""
    staged = bucket.digests(f"{staging}/{name}" for name in bucket.names(staging) if name in digests)
    wrong = [name for name, digest in digests.items() if staged.get(f"{staging}/{name}") != digest]
    for _ in range(_UPLOADS):
        bucket.put({f"{staging}/{name}": bundle / name for name in wrong})
        staged |= bucket.digests(f"{staging}/{name}" for name in wrong)
        wrong = [name for name in wrong if staged[f"{staging}/{name}"] != digests[name]]
        if not wrong:
            return
        get_logger().warning("upload was damaged, sending again", files=wrong)
    name = wrong[0]
    raise UploadDamaged(f"{bucket.url}/{staging}/{name}", digests[name].sha256, staged[f"{staging}/{name}"].sha256)


def _found_receipt(bucket: Bucket, place: str, statement_sha256: str) -> Receipt | None:
    data = bucket.read_bytes(f"{place}/{RECEIPT_NAME}")
    if data is None:
        return None
    try:
        receipt = Receipt.model_validate_json(data)
    except ValidationError as error:
        raise DeliveryConflict(f"{bucket.url}/{place}", RECEIPT_NAME, statement_sha256, "a receipt that cannot be read") from error
    if receipt.statement_sha256 != statement_sha256:
        raise DeliveryConflict(f"{bucket.url}/{place}", RECEIPT_NAME, statement_sha256, f"a receipt of {receipt.statement_sha256}")
    return receipt
