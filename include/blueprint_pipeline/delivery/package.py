"""Pack a dataset for a lab: gather, judge, write every byte once, sign."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from blueprint_pipeline.delivery.bag import PayloadFile, write_payload, write_signed_tags, write_statement
from blueprint_pipeline.delivery.gather import build_facts
from blueprint_pipeline.delivery.lab import LabProfile
from blueprint_pipeline.delivery.legal import compute_bundle_licence
from blueprint_pipeline.delivery.payload import list_payload
from blueprint_pipeline.delivery.provenance import build_provenance
from blueprint_pipeline.delivery.replay_kit import KIT_FOLDER, validate_kit
from blueprint_pipeline.delivery.report_page import build_report
from blueprint_pipeline.delivery.requirements import validate_requirements
from blueprint_pipeline.delivery.signing import load_signer, public_pem, sign_payload
from blueprint_pipeline.delivery.sources import BundleSources, load_sources
from blueprint_pipeline.delivery.statement import build_statement
from blueprint_pipeline.episode.record import preview_name, render_path
from blueprint_pipeline.errors import ConfigurationError
from blueprint_pipeline.licence.bundle import BundleLicence, validate_licence
from blueprint_pipeline.stage.contract import StageContext
from blueprint_pipeline.workspace.checksums import FileDigest


class KeyNotPinned(ConfigurationError):
    """The lab trusts another key than the one that would sign."""

    code = "delivery.key_not_pinned"
    template = (
        "Lab {lab} trusts the key {pinned_keyid}, and the signing key is {keyid}: the lab would refuse the bundle. "
        "Sign with the pinned key, or agree on the new one with the lab and change its profile."
    )

    lab: str
    pinned_keyid: str
    keyid: str


@dataclass(frozen=True, kw_only=True)
class PackedBundle:
    """A bundle that was written."""

    sources: BundleSources
    licence: BundleLicence
    keyid: str
    statement: FileDigest
    files: int
    size_bytes: int


def bundle_path(lab: str) -> str:
    """Where a lab's bundle lies in the scene's folder."""
    return f"deliveries/{lab}/bundle"


def package_bundle(context: StageContext, lab: LabProfile, profile: dict[str, FileDigest]) -> PackedBundle:
    """Write the signed bundle of a scene for a lab to the stage's staging folder.

    Args:
        context: Where to read and write.
        lab: The lab.
        profile: Digest of the lab's profile, by name.

    Raises:
        SigningKeyMissing: There is no key to sign with.
        KeyNotPinned: The lab trusts another key.
        LabRequirementUnmet: The dataset is not what the lab agreed to take.
        LicenceRefused: A part's licence is unknown, or forbids the lab's use.
        KitDiffers: The replay kit does not give the model of the recordings.
    """
    signer = load_signer(context.settings.delivery.signing_key)
    keyid = signer.public_key.keyid
    if lab.pinned_keyid not in {None, keyid}:
        raise KeyNotPinned(lab.id, str(lab.pinned_keyid), keyid)
    sources = load_sources(context.scene, failures=lab.wants_failures)
    validate_requirements(lab, sources)
    licence = compute_bundle_licence(sources)
    validate_licence(licence, lab=lab.id, commercial=lab.commercial)
    bag = context.staging / bundle_path(lab.id)
    if bag.exists():
        shutil.rmtree(bag)
    bag.mkdir(parents=True)
    context.progress(0, 3)
    payload = write_payload(bag, list_payload(context, sources, lab, licence, context.code_version))
    if sources.acted_in_twin():
        validate_kit(bag / "data" / KIT_FOLDER, [attempt.record for attempt in sources.sold_attempts()])
    context.stop_if_asked()
    context.progress(1, 3)
    dataset_bytes = sum(digest.size_bytes for name, digest in payload.items() if name.startswith("data/dataset/"))
    facts = build_facts(sources, lab, licence, dataset_size_bytes=dataset_bytes, keyid=keyid, code_version=context.code_version)
    payload |= write_payload(bag, [PayloadFile("index.html", build_report(facts, _previews(context, sources)))])
    context.progress(2, 3)
    tags = write_signed_tags(bag, payload, _bag_info(sources, lab, context.code_version), public_pem(signer.public_key))
    image = context.settings.compute.image_digest
    provenance = build_provenance(sources, lab, licence, profile, code_version=context.code_version, image=image)
    statement = write_statement(bag, sign_payload(build_statement({**payload, **tags}, provenance), signer), tags)
    context.progress(3, 3)
    return PackedBundle(
        sources=sources,
        licence=licence,
        keyid=keyid,
        statement=statement,
        files=len(payload) + len(tags) + 2,
        size_bytes=sum(digest.size_bytes for digest in payload.values()),
    )


def _previews(context: StageContext, sources: BundleSources) -> dict[str, list[Path]]:
    return {
        camera: [
            context.input(f"{render_path(attempt.shard_index, attempt.record.episode_id)}/{preview_name(camera)}")
            for attempt in sources.kept_attempts()
        ]
        for camera in sources.plan.cameras
    }


def _bag_info(sources: BundleSources, lab: LabProfile, code_version: str) -> dict[str, str]:
    return {
        "Source-Organization": "Blueprint",
        "External-Description": f"Robot dataset of scene {sources.plan.scene_id} for {lab.name}",
        "External-Identifier": sources.plan.job_id,
        "Bag-Group-Identifier": sources.plan.scene_id,
        "Bag-Software-Agent": f"blueprint-pipeline {code_version}",
    }
