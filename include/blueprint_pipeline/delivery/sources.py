"""Everything that a bundle is made of, read once from the scene's folder."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from blueprint_pipeline.cost.report import COST_REPORT_PATH, CostReport, load_cost_report
from blueprint_pipeline.dataset.certify.report import CertificationReport
from blueprint_pipeline.dataset.failures_index import FailuresIndex, load_failures_index
from blueprint_pipeline.dataset.layout import CERTIFICATION_PATH, CERTIFICATION_PATHS, DATASET_PATH, DATASET_PATHS, FAILURES_INDEX
from blueprint_pipeline.episode.record import (
    RENDERS_FOLDERS,
    EpisodeRecord,
    ReplayCertificate,
    Selection,
    preview_name,
    recording_path,
    render_path,
)
from blueprint_pipeline.errors import IntegrityError
from blueprint_pipeline.licence.attribution import UNKNOWN
from blueprint_pipeline.licence.bundle import AssetOrigin
from blueprint_pipeline.quality.report import (
    GATES_PATH,
    QUALITY_GATE_REPORT_PATH,
    RENDER_GATES_PATH,
    RENDER_REPORTS,
    GateReport,
    load_gate_report,
    load_render_report,
    load_verdicts,
)
from blueprint_pipeline.quality.verdicts import RENDER_VERDICTS_FOLDER, VERDICTS_FOLDER, EpisodeVerdict, verdicts_path
from blueprint_pipeline.scene.manifest import MANIFEST_PATH, SceneManifest, load_manifest
from blueprint_pipeline.simulators import SIMULATORS, TWIN_FOLDER
from blueprint_pipeline.task.plan import PLAN_PATH, JobPlan, load_plan
from blueprint_pipeline.workspace.checksums import FileDigest
from blueprint_pipeline.workspace.storage import SceneFolder

SOURCE_MANIFEST_PATH = "input/source_manifest.json"


def list_reads(*, failures: bool) -> list[str]:
    """What ``package_bundle`` reads; with what it packs for a lab that buys failures."""
    loaded = {row.folder for row in SIMULATORS.values() if row.folder}
    return [*_READS, TWIN_FOLDER, *sorted(loaded), *(_FAILURE_READS if failures else ())]


_READS = (
    SOURCE_MANIFEST_PATH,
    MANIFEST_PATH,
    PLAN_PATH,
    "geniesim/recordings",
    "geniesim/renders/*/*/certificate.json",
    f"geniesim/renders/*/*/{preview_name('*')}",
    GATES_PATH,
    VERDICTS_FOLDER,
    RENDER_GATES_PATH,
    RENDER_VERDICTS_FOLDER,
    QUALITY_GATE_REPORT_PATH,
    DATASET_PATH,
    CERTIFICATION_PATH,
    COST_REPORT_PATH,
)

_FAILURE_READS = (
    RENDER_REPORTS["failures"],
    FAILURES_INDEX,
    DATASET_PATHS["failures"],
    CERTIFICATION_PATHS["failures"],
    RENDERS_FOLDERS["failures"],
)


class CertificateMissing(IntegrityError):
    """An episode without a replay certificate is to be delivered."""

    code = "delivery.certificate_missing"
    template = "Episode {episode_id} is kept, and has no certificate.json. Render its shard again."

    episode_id: str


@dataclass(frozen=True, kw_only=True)
class Attempted:
    """One attempt, as recorded."""

    shard_index: int
    record: EpisodeRecord
    certificate: ReplayCertificate | None
    """``None`` where it was not rendered."""

    def proof(self) -> ReplayCertificate:
        """The certificate of an attempt that is delivered.

        Raises:
            CertificateMissing: It has none.
        """
        if self.certificate is None:
            raise CertificateMissing(self.record.episode_id)
        return self.certificate


@dataclass(frozen=True, kw_only=True)
class SoldFailures:
    """Failed episodes that a lab buys."""

    index: FailuresIndex
    report: GateReport
    """After rendering."""
    certification: CertificationReport
    attempts: tuple[Attempted, ...]
    """In the order of their dataset, with the certificates of their own replays; none where nothing failed."""


@dataclass(frozen=True, kw_only=True)
class BundleSources:
    """What the stages before wrote."""

    scene: SceneFolder
    plan: JobPlan
    gates: GateReport
    renders: GateReport
    attempts: dict[str, Attempted]
    """By episode id, in the plan's order."""
    kept: tuple[str, ...]
    """Ids of what is delivered, in the order of the dataset."""
    certification: CertificationReport
    cost: CostReport
    source_files: dict[str, FileDigest]
    assets: tuple[AssetOrigin, ...]
    failures: SoldFailures | None
    """``None``: the lab buys none."""

    def gated(self) -> Iterator[EpisodeVerdict]:
        """What the gates said of every attempt, a shard in memory at a time."""
        return load_verdicts(self.scene, self.gates)

    def rendered(self) -> Iterator[EpisodeVerdict]:
        """What they said of every attempt that was rendered."""
        return load_verdicts(self.scene, self.renders)

    def verdict_files(self) -> list[str]:
        """Files of the scene with what the gates said of each attempt, by shard."""
        reports = (self.gates, self.renders, *([self.failures.report] if self.failures else []))
        return [verdicts_path(report.evidence, shard.shard_index) for report in reports for shard in report.shards]

    def kept_attempts(self) -> list[Attempted]:
        return [self.attempts[episode_id] for episode_id in self.kept]

    def kept_certificates(self) -> list[ReplayCertificate]:
        """Replay certificates of what is delivered.

        Raises:
            CertificateMissing: An episode has none.
        """
        return [attempt.proof() for attempt in self.kept_attempts()]

    def acted_in_twin(self) -> bool:
        """Whether every delivered episode was made by MuJoCo in the twin, so that a script can execute it again and compare states."""
        return all(certificate.rule in {"bit_identical", "bounded"} for certificate in self.kept_certificates())

    def sold_attempts(self) -> list[Attempted]:
        """All that the lab gets: what is kept, then failures."""
        return [*self.kept_attempts(), *(self.failures.attempts if self.failures else ())]

    def rejected_ids(self) -> list[str]:
        """Ids of what is not delivered, in the plan's order."""
        kept = set(self.kept)
        return [episode_id for episode_id in self.attempts if episode_id not in kept]


def load_sources(scene: SceneFolder, *, failures: bool = False) -> BundleSources:
    """Read everything; failures where the lab buys them."""
    plan = load_plan(scene)
    shards = {index: shard.shard_index for shard in plan.shards for index in shard.episode_indices}
    manifest = json.loads(scene.read_bytes(SOURCE_MANIFEST_PATH))
    renders = load_render_report(scene)
    return BundleSources(
        scene=scene,
        plan=plan,
        gates=load_gate_report(scene),
        renders=renders,
        attempts={spec.episode_id: _load_attempt(scene, shards[spec.episode_index], spec.episode_id) for spec in plan.episodes},
        kept=tuple(episode_id for _, episode_id in renders.selected()),
        certification=CertificationReport.model_validate_json(scene.read_bytes(CERTIFICATION_PATH)),
        cost=load_cost_report(scene),
        source_files={name: FileDigest.model_validate(digest) for name, digest in manifest["files"].items()},
        assets=tuple(build_assets(load_manifest(scene))),
        failures=_load_failures(scene) if failures else None,
    )


def _load_failures(scene: SceneFolder) -> SoldFailures:
    report = load_render_report(scene, "failures")
    return SoldFailures(
        index=load_failures_index(scene),
        report=report,
        certification=CertificationReport.model_validate_json(scene.read_bytes(CERTIFICATION_PATHS["failures"])),
        attempts=tuple(_load_attempt(scene, shard_index, name, "failures") for shard_index, name in report.selected()),
    )


def _load_attempt(scene: SceneFolder, shard_index: int, episode_id: str, selection: Selection = "kept") -> Attempted:
    certificate = f"{render_path(shard_index, episode_id, selection)}/certificate.json"
    return Attempted(
        shard_index=shard_index,
        record=EpisodeRecord.model_validate_json(scene.read_bytes(f"{recording_path(shard_index, episode_id)}/episode.json")),
        certificate=ReplayCertificate.model_validate_json(scene.read_bytes(certificate)) if scene.exists(certificate) else None,
    )


def build_assets(manifest: SceneManifest) -> list[AssetOrigin]:
    """Where every asset of the scene comes from, background included."""
    assets = [
        AssetOrigin(
            asset_id=item.id,
            licence=_stated(item.asset.licence),
            author=item.asset.author,
            source=item.asset.source,
            changes=item.asset.changes,
        )
        for item in manifest.objects
    ]
    if manifest.background is not None:
        licence = _stated(manifest.background.licence)
        assets.append(
            AssetOrigin(asset_id="background", licence=licence, author=None, source=manifest.background.licence_statement, changes=None)
        )
    return assets


def _stated(licence: str) -> str | None:
    return None if licence == UNKNOWN else licence
