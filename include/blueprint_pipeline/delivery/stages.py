"""The stages that hand a dataset to a lab."""

import hashlib
from pathlib import Path

from blueprint_pipeline.delivery.bucket import Bucket
from blueprint_pipeline.delivery.deliver import deliver_bundle
from blueprint_pipeline.delivery.lab import digest_profile, load_lab
from blueprint_pipeline.delivery.notify import notification_path, notify_lab
from blueprint_pipeline.delivery.package import bundle_path, package_bundle
from blueprint_pipeline.delivery.receipt import Receipt, receipt_path
from blueprint_pipeline.delivery.signing import load_signer, public_pem
from blueprint_pipeline.delivery.sources import list_reads
from blueprint_pipeline.public_url import HookUrl, PrivateUrl
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.settings import Settings
from blueprint_pipeline.stage.contract import Stage, StageContext, StageRequest, StageResult
from blueprint_pipeline.task.plan import PLAN_PATH, load_plan
from blueprint_pipeline.workspace.checksums import FileDigest
from blueprint_pipeline.workspace.storage import Id


class PackageBundleRequest(StageRequest):
    """For whom to pack."""

    lab: Id


class PackageBundleResult(StageResult):
    """What was packed."""

    lab: Id
    job_id: Id
    bundle: str
    """Folder of the bundle in the scene's folder."""
    report: str
    """The report page in it."""
    attempted: int
    kept: int
    failures: int
    """Failed episodes in it."""
    licence: str | None
    certified: bool
    statement_sha256: str
    signing_keyid: str
    files: int
    size_bytes: int


class DeliverBundleRequest(StageRequest):
    """To whom, and where."""

    lab: Id
    bucket: PrivateUrl | None = None
    """Folder or URL in the place of the profile's bucket."""


class DeliverBundleResult(StageResult):
    """What arrived where; the receipt in short."""

    lab: Id
    delivery_id: Id
    location: str
    report_url: str
    statement_sha256: str
    files: int
    size_bytes: int


class NotifyLabRequest(StageRequest):
    """Whom to notify, and where. The secret comes from the settings of the process, never from a request."""

    lab: Id
    webhook_url: HookUrl | None = None
    """In the place of the address in the settings or in the profile."""


class NotifyLabResult(StageResult):
    """How the lab was notified."""

    lab: Id
    delivery_id: Id
    message_id: str
    url: str
    attempts: int
    status_code: int | None
    """Of the last attempt."""


def _run_package(request: PackageBundleRequest, context: StageContext) -> PackageBundleResult:
    packed = package_bundle(context, load_lab(request.lab), digest_profile(request.lab))
    folder = bundle_path(request.lab)
    return PackageBundleResult(
        lab=request.lab,
        job_id=packed.sources.plan.job_id,
        bundle=folder,
        report=f"{folder}/data/index.html",
        attempted=len(packed.sources.plan.episodes),
        kept=len(packed.sources.kept),
        failures=len(packed.sources.failures.attempts) if packed.sources.failures else 0,
        licence=packed.licence.licence,
        certified=packed.sources.certification.certified,
        statement_sha256=packed.statement.sha256,
        signing_keyid=packed.keyid,
        files=packed.files,
        size_bytes=packed.size_bytes,
    )


def _run_deliver(request: DeliverBundleRequest, context: StageContext) -> DeliverBundleResult:
    profile = load_lab(request.lab)
    plan = load_plan(context.scene)
    with open_registry(context.settings.registry) as registry:
        receipt = deliver_bundle(
            context.input(bundle_path(request.lab)),
            Bucket(request.bucket or profile.bucket),
            lab=request.lab,
            scene_id=request.scene_id,
            job_id=plan.job_id,
            public_key=load_signer(context.settings.delivery.signing_key).public_key,
            deliveries=registry.deliveries,
        )
    context.output(receipt_path(request.lab)).write_text(receipt.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return DeliverBundleResult(
        lab=request.lab,
        delivery_id=receipt.delivery_id,
        location=receipt.location,
        report_url=receipt.report_url,
        statement_sha256=receipt.statement_sha256,
        files=receipt.files,
        size_bytes=receipt.size_bytes,
    )


def _run_notify(request: NotifyLabRequest, context: StageContext) -> NotifyLabResult:
    receipt = Receipt.model_validate_json(context.scene.read_bytes(receipt_path(request.lab)))
    delivery = context.settings.delivery
    with open_registry(context.settings.registry) as registry:
        url = request.webhook_url or delivery.webhook_url
        told = notify_lab(load_lab(request.lab), receipt, url=url, secret=delivery.webhook_secret, deliveries=registry.deliveries)
    context.output(notification_path(request.lab)).write_text(told.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return NotifyLabResult(
        lab=request.lab,
        delivery_id=told.delivery_id,
        message_id=told.message_id,
        url=told.url,
        attempts=len(told.attempts),
        status_code=told.attempts[-1].status_code,
    )


def _signer(_request: PackageBundleRequest, settings: Settings) -> dict[str, FileDigest]:
    """Who signs: another key makes another bundle."""
    key = settings.delivery.signing_key
    return {"signing-key.pub.pem": _digest_public_key(key)} if key.is_file() else {}


def _digest_public_key(signing_key: Path) -> FileDigest:
    """From the private key: where that is a mounted secret, no public half lies beside it."""
    public = public_pem(load_signer(signing_key).public_key)
    return FileDigest(sha256=hashlib.sha256(public).hexdigest(), size_bytes=len(public))


PACKAGE_BUNDLE = Stage(
    name="package_bundle",
    description="Pack datasets, reports, replay kit and licences for a lab, and sign every byte.",
    request=PackageBundleRequest,
    result=PackageBundleResult,
    run=_run_package,
    reads=lambda request: list_reads(failures=load_lab(request.lab).wants_failures),
    writes=lambda request: [bundle_path(request.lab)],
    external_inputs=_signer,
    unit=lambda request: request.lab,
)

DELIVER_BUNDLE = Stage(
    name="deliver_bundle",
    description="Bring the bundle to the lab's bucket: staged, read back, promoted, receipted; twice changes nothing.",
    request=DeliverBundleRequest,
    result=DeliverBundleResult,
    run=_run_deliver,
    reads=lambda request: [PLAN_PATH, bundle_path(request.lab)],
    writes=lambda request: [receipt_path(request.lab)],
    unit=lambda request: request.lab,
)

NOTIFY_LAB = Stage(
    name="notify_lab",
    description="Notify the lab by a signed webhook, retried, and never twice once it has acknowledged.",
    request=NotifyLabRequest,
    result=NotifyLabResult,
    run=_run_notify,
    reads=lambda request: [receipt_path(request.lab)],
    writes=lambda request: [notification_path(request.lab)],
    unit=lambda request: request.lab,
)
