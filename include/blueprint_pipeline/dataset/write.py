"""Stage ``write_dataset``: the kept episodes of a scene in every format that is wanted."""

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path

from blueprint_pipeline.dataset.asset_licences import DatasetLicence
from blueprint_pipeline.dataset.cameras import build_cameras
from blueprint_pipeline.dataset.card import CardFacts, build_card, describe_recoveries
from blueprint_pipeline.dataset.contract import DatasetSpec
from blueprint_pipeline.dataset.croissant import build_croissant
from blueprint_pipeline.dataset.errors import EpisodeUnusable, ProfilesMixed, RenderersMixed
from blueprint_pipeline.dataset.features import build_vector_features, video_key
from blueprint_pipeline.dataset.formats import FORMATS, FormatName, FormatRow
from blueprint_pipeline.dataset.frames import PixelKind, SideVideos, load_frames
from blueprint_pipeline.dataset.layout import CARD, DATASET_PATHS, write_json, write_text
from blueprint_pipeline.dataset.objects import OBJECTS, build_objects
from blueprint_pipeline.dataset.provenance import build_provenance, load_integration_state
from blueprint_pipeline.dataset.video import EpisodeVideo, load_episode_video
from blueprint_pipeline.dataset.writer import DatasetSummary, DatasetWriter
from blueprint_pipeline.episode.certificates import describe_render_profile, describe_replays
from blueprint_pipeline.episode.record import LABELS_NAME, EpisodeRecord, ReplayCertificate, Selection, recording_path, render_path
from blueprint_pipeline.errors import GateError
from blueprint_pipeline.quality.failures import Failure, count_kinds, describe_failure, load_failures
from blueprint_pipeline.quality.report import (
    RENDER_REPORTS,
    GateReport,
    load_gate_report,
    load_render_report,
    load_verdicts,
    validate_spread,
)
from blueprint_pipeline.robot.layout import ArmLayout
from blueprint_pipeline.scene.manifest import SceneManifest
from blueprint_pipeline.stage.contract import StageContext
from blueprint_pipeline.task.coverage import KEPT
from blueprint_pipeline.task.coverage_facts import CombinationFacts, sum_combinations
from blueprint_pipeline.task.plan import JobPlan, load_plan
from blueprint_pipeline.task.skills import describe_skills
from blueprint_pipeline.twin.robot_cameras import load_robot_cameras
from blueprint_pipeline.workspace.checksums import FileDigest, digest_file, digest_files, list_files
from blueprint_pipeline.workspace.storage import SceneFolder


class NothingToWrite(GateError):
    """No episode passed its gates: an empty dataset is a failure."""

    code = "dataset.nothing_kept"
    template = "{path} keeps no episode, so there is nothing to write. `bpp episode show` says why each was rejected."

    path: str


def write_datasets(
    context: StageContext,
    formats: Sequence[FormatName],
    arms: Sequence[ArmLayout],
    manifest: SceneManifest,
    licence: DatasetLicence,
    *,
    selection: Selection = "kept",
) -> DatasetSummary:
    """Write the dataset of a scene in these formats to the stage's staging folder.

    Args:
        context: Where to read and write.
        formats: Which; the store among them.
        arms: The layout of every arm of the robot.
        manifest: Of the scene.
        licence: Of everything that is seen.
        selection: Of which episodes; failures say what went wrong in each, and none of them is a success.

    Raises:
        NothingToWrite: No episode passed.
        TooAlike: The kept episodes did not pass the gates on all of them together.
        ProfilesMixed: The episodes were drawn with different render profiles.
        RenderersMixed: They were drawn by different renderers, as on nodes of different kinds.
        EpisodeUnusable: A kept episode does not fit its record, or does not replay.
        VideoMismatch: A video cannot be joined to others.
    """
    report = load_render_report(context.scene, selection)
    kept = report.selected()
    if not kept:
        raise NothingToWrite(str(context.scene.root / RENDER_REPORTS[selection]))
    plan = load_plan(context.scene)
    validate_spread(report, "write_dataset")
    verdicts = (episode for episode in load_verdicts(context.scene, report) if episode.verdict == "kept")
    labels = _Labels(context.scene, selection)
    drawn_first = _load_certificate(context, selection, *kept[0])
    first, cameras = _load_record(context, *kept[0]), load_robot_cameras(plan.robot)
    vectors = build_vector_features(arms, first.object_ids, first.joint_columns, tuple(cameras.fovy_deg))
    spec = DatasetSpec(fps=plan.fps, robot_type=plan.robot.embodiment, vectors=vectors, render_profile=drawn_first.render_profile)
    folder = context.staging / DATASET_PATHS[selection]
    if folder.exists():
        shutil.rmtree(folder)
    writer = DatasetWriter(folder, spec, formats)
    certificates, records = [], []
    for done, ((shard_index, episode_id), verdict) in enumerate(zip(kept, verdicts, strict=True)):
        context.stop_if_asked()
        states = context.input(f"{recording_path(shard_index, episode_id)}/states.parquet")
        record, certificate = _load_records(context, selection, shard_index, episode_id, states)
        _validate_pictures(certificate, drawn_first)
        certificates.append(certificate)
        records.append(record)
        _validate_objects(record, first)
        cameras = load_robot_cameras(record.robot)
        renders = context.input(render_path(shard_index, episode_id, selection))
        frames = replace(load_frames(states, record, arms, cameras), side_videos=_load_side_videos(renders, certificate))
        videos = _load_videos(renders, certificate, plan)
        moving = cameras.fovys_deg(record.spec.variation.mounts)
        seen_by = build_cameras(record.view, manifest.camera, moving, {key: video.feature for key, video in videos.items()})
        provenance = build_provenance(record, certificate, load_integration_state(states, episode_id), verdict, seen_by)
        writer.add(replace(frames, success=frames.success and selection == "kept"), videos, {**provenance, **labels.add(record, states)})
        context.progress(done + 1, len(kept))
    summary = writer.close()
    facts = _card_facts(plan, records, certificates, report, licence=licence, formats=formats, failures=labels.kinds())
    objects = build_objects(manifest, first.object_ids)
    for name in formats:
        write_json(folder / name / OBJECTS, [item.model_dump(mode="json") for item in objects])
        _describe(folder / name, FORMATS[name], facts, spec, summary)
    return summary


class _Labels:
    """What the lines of failures say beside what every episode's line says; those of kept episodes nothing."""

    def __init__(self, scene: SceneFolder, selection: Selection) -> None:
        self._verdicts = (
            None if selection == "kept" else {found.episode_id: found for found in load_failures(scene, load_gate_report(scene))}
        )
        self._found: list[Failure] = []

    def add(self, record: EpisodeRecord, states: Path) -> dict[str, object]:
        """What to say of an episode: what went wrong, and all that the gates said after simulation."""
        if self._verdicts is None:
            return {}
        verdict = self._verdicts[record.episode_id]
        self._found.append(describe_failure(verdict, record, states))
        gates = [gate.model_dump(mode="json") for gate in verdict.gates]
        return {"success": False, "failure": self._found[-1].model_dump(mode="json"), "gates_after_simulation": gates}

    def kinds(self) -> dict[str, int] | None:
        """How many failures there are of each kind; ``None``: these are no failures."""
        return None if self._verdicts is None else count_kinds(failure.kind for failure in self._found)


def _load_record(context: StageContext, shard_index: int, episode_id: str) -> EpisodeRecord:
    return EpisodeRecord.model_validate_json(context.scene.read_bytes(f"{recording_path(shard_index, episode_id)}/episode.json"))


def _load_certificate(context: StageContext, selection: Selection, shard_index: int, episode_id: str) -> ReplayCertificate:
    folder = render_path(shard_index, episode_id, selection)
    return ReplayCertificate.model_validate_json(context.scene.read_bytes(f"{folder}/certificate.json"))


def _validate_pictures(certificate: ReplayCertificate, first: ReplayCertificate) -> None:
    """Refuse an episode whose pictures are of another kind than the first one's."""
    found, expected = certificate.render_profile, first.render_profile
    if found != expected:
        raise ProfilesMixed(certificate.episode_id, found.name if found else None, expected.name if expected else None)
    if certificate.renderer != first.renderer:
        raise RenderersMixed(certificate.episode_id, certificate.renderer, first.renderer)


def _validate_objects(record: EpisodeRecord, first: EpisodeRecord) -> None:
    """Refuse an episode whose columns would be those of other objects."""
    for field in ("object_ids", "joint_columns"):
        found, wanted = getattr(record, field), getattr(first, field)
        if found != wanted:
            raise EpisodeUnusable(
                record.episode_id, "episode.json", field, ", ".join(found), f"{', '.join(wanted)}, as in {first.episode_id}"
            )


def _load_records(
    context: StageContext, selection: Selection, shard_index: int, episode_id: str, states: Path
) -> tuple[EpisodeRecord, ReplayCertificate]:
    record = _load_record(context, shard_index, episode_id)
    certificate = _load_certificate(context, selection, shard_index, episode_id)
    if not certificate.replayed:
        raise EpisodeUnusable(episode_id, "certificate.json", "replayed", False, True)
    digest = digest_file(states)
    if record.states != digest or certificate.states_sha256 != digest.sha256:
        raise EpisodeUnusable(episode_id, str(states), "sha256", digest.sha256, "the one in episode.json and certificate.json")
    return record, certificate


def _load_videos(folder: Path, certificate: ReplayCertificate, plan: JobPlan) -> dict[str, EpisodeVideo]:
    videos = {}
    for camera in plan.cameras:
        known = certificate.videos.get(camera)
        path = folder / f"{camera}.mp4"
        if known is None or not path.is_file() or digest_file(path) != known.digest:
            raise EpisodeUnusable(certificate.episode_id, str(path), "sha256", "another, or none", "the one in certificate.json")
        videos[video_key(camera)] = load_episode_video(path, video_key(camera), frames=certificate.frames, fps=plan.fps)
    return videos


def _load_side_videos(folder: Path, certificate: ReplayCertificate) -> SideVideos:
    """Depth and segmentation, where they were drawn, as the certificate has them."""
    drawn: dict[tuple[PixelKind, str], FileDigest] = {("depth", camera): digest for camera, digest in certificate.depth.items()} | {
        ("segmentation", camera): digest for camera, digest in certificate.segmentation.items()
    }
    files = {(kind, camera): folder / f"{camera}.{kind}.mkv" for kind, camera in drawn}
    for key, path in files.items():
        if not path.is_file() or digest_file(path) != drawn[key]:
            raise EpisodeUnusable(certificate.episode_id, str(path), "sha256", "another, or none", "the one in certificate.json")
    labels = json.loads((folder / LABELS_NAME).read_bytes()) if certificate.segmentation else {}
    return SideVideos(files=files, labels=tuple(labels[str(value)] for value in range(len(labels))))


def _card_facts(
    plan: JobPlan,
    records: Sequence[EpisodeRecord],
    certificates: Sequence[ReplayCertificate],
    report: GateReport,
    *,
    licence: DatasetLicence,
    formats: Sequence[FormatName],
    failures: Mapping[str, int] | None,
) -> CardFacts:
    kept, record = set(report.with_verdict("kept")), records[0]
    return CardFacts(
        scene_id=plan.scene_id,
        job_id=plan.job_id,
        seed=plan.seed,
        tier=report.tier,
        simulator=f"{record.simulator.name} {record.simulator.version}",
        replays=describe_replays(certificates),
        pictures=describe_render_profile(certificates[0].render_profile),
        controller=record.controller,
        skills=describe_skills({spec.task.task_type for spec in plan.episodes if spec.episode_id in kept}),
        attempted=len(plan.episodes),
        variation=plan.variation,
        set_aside=plan.set_aside,
        left_out=plan.left_out,
        recoveries=describe_recoveries(records, plan.recoveries),
        licence=licence,
        coverage=_coverage(plan, kept) if failures is None else [],
        spread=report.set_metrics,
        formats=tuple(formats),
        failures=failures,
        derived=Counter(spec.derived_from.episode_id for spec in plan.episodes if spec.derived_from and spec.episode_id in kept),
    )


def _coverage(plan: JobPlan, kept: AbstractSet[str]) -> list[CombinationFacts]:
    """Which of the declared cells the dataset has; what became of the other episodes is another report's."""
    if plan.coverage is None:
        return []
    fates = [KEPT if spec.episode_id in kept else None for spec in plan.episodes]
    return sum_combinations([plan.coverage.sum_up(plan.seed, fates, [True] * len(fates))])


def _describe(root: Path, row: FormatRow, facts: CardFacts, spec: DatasetSpec, summary: DatasetSummary) -> None:
    """Card and Croissant of one dataset; Croissant last, it has the sums of all files of data. A bundle's copy of the card says more."""
    files = digest_files(root, list_files(root))
    write_text(root / CARD, build_card(row, facts, spec, summary))
    write_json(root / "croissant.json", build_croissant(row, facts, spec.vectors, summary, files))
