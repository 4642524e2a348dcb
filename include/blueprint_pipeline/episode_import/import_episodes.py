"""Take a job's recordings in: every planned episode is there, whole and in its format, and the accounts say so.

The work of stage ``import_episodes``. A planned episode that is missing or damaged fails the stage
(``episode.episodes_lost``); ``job.json`` and ``import_manifest.json`` then stay behind as evidence, with status ``failed`` and
the loss ledger. An attempt that failed is no loss: it has a record that says why.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import blueprint_pipeline
from blueprint_pipeline.episode.errors import RecordingUnreadable
from blueprint_pipeline.episode.reader import check_states, load_audited_plan, load_record, planned_episodes
from blueprint_pipeline.episode.record import EpisodeRecord, recording_path
from blueprint_pipeline.episode_import.manifest import (
    CHECKSUMS_PATH,
    IMPORT_MANIFEST_PATH,
    JOB_PATH,
    Artifacts,
    Checksums,
    ChecksumVerification,
    EpisodeCounts,
    EpisodeResult,
    EpisodeValidation,
    GenerationParams,
    Idempotency,
    ImportedJob,
    ImportManifest,
    ImportProvenance,
    JobMetrics,
    JobStatus,
    Loss,
    LossKind,
)
from blueprint_pipeline.errors import GateError
from blueprint_pipeline.stage.contract import Stage, StageContext, StageRequest, StageResult
from blueprint_pipeline.task.plan import ASSET_INDEX_PATH, EXPORT_MANIFEST_PATH, PLAN_PATH, SCENE_GRAPH_PATH, TASK_CONFIG_PATH, JobPlan
from blueprint_pipeline.task.spec import EpisodeSpec
from blueprint_pipeline.workspace.canonical import key_of
from blueprint_pipeline.workspace.checksums import FileDigest, digest_file
from blueprint_pipeline.workspace.storage import SceneFolder

_ROOT = "geniesim"
_JOB_FILES = (PLAN_PATH, TASK_CONFIG_PATH, SCENE_GRAPH_PATH, ASSET_INDEX_PATH, EXPORT_MANIFEST_PATH)


class EpisodesLost(GateError):
    """Planned episodes are missing or damaged: an attempt may fail, but it may not vanish."""

    code = "episode.episodes_lost"
    template = (
        "{lost} episodes of scene {scene_id} are missing, damaged or unplanned ({planned} were planned): {shown}. "
        "geniesim/import_manifest.json lists all of them. Remove the damaged folders and run their shards again."
    )

    scene_id: str
    planned: int
    losses: Sequence[str]

    @property
    def lost(self) -> int:
        """How many losses there are."""
        return len(self.losses)

    @property
    def shown(self) -> str:
        """The first five losses."""
        more = self.lost - len(self.losses[:5])
        return "; ".join(self.losses[:5]) + (f"; and {more} more" if more else "")


class ImportRequest(StageRequest):
    """Nothing to choose."""


class ImportResult(StageResult):
    """How many episodes came in."""

    job_id: str
    planned: int
    recorded: int
    succeeded: int
    failed_attempts: int


@dataclass(frozen=True)
class _Found:
    """One planned episode as found on disk."""

    spec: EpisodeSpec
    shard_index: int
    record: EpisodeRecord | None
    loss: Loss | None


def import_episodes(_request: ImportRequest, context: StageContext) -> ImportResult:
    """Validate every recording of the plan and write the job's accounts.

    Raises:
        NothingAudited: The plan has no episode.
        EpisodesLost: A planned episode is missing or damaged, or a folder holds one that was never planned.
    """
    scene = context.scene
    plan = load_audited_plan(scene, "import_episodes")
    planned = planned_episodes(plan)
    found = []
    for done, (shard_index, spec) in enumerate(planned, start=1):
        context.stop_if_asked()
        found.append(_find(scene, plan, shard_index, spec))
        context.progress(done, len(planned))
    losses = [item.loss for item in found if item.loss] + _unplanned_folders(scene, planned)
    job = _build_job(scene, plan, found, losses)
    inventory = _inventory(scene)
    manifest = _build_manifest(plan, found, losses, job, inventory)
    for path, document in ((JOB_PATH, job), (IMPORT_MANIFEST_PATH, manifest)):
        context.output(path).write_text(document.model_dump_json(indent=1) + "\n", encoding="utf-8")
    if losses:
        raise EpisodesLost(scene.scene_id, len(planned), [f"{loss.episode_id}: {loss.message}" for loss in losses])
    _write_checksums(context, inventory)
    return ImportResult(
        job_id=plan.job_id,
        planned=len(planned),
        recorded=job.job_metrics.episodes_collected,
        succeeded=job.job_metrics.episodes_passed,
        failed_attempts=job.job_metrics.episodes_collected - job.job_metrics.episodes_passed,
    )


def _find(scene: SceneFolder, plan: JobPlan, shard_index: int, spec: EpisodeSpec) -> _Found:
    """Read one planned episode, and say what is wrong with it."""
    name = recording_path(shard_index, spec.episode_id)

    def found(record: EpisodeRecord | None, error: LossKind | None = None, message: str = "") -> _Found:
        loss = Loss(episode_id=spec.episode_id, shard_index=shard_index, error=error, message=message) if error else None
        return _Found(spec, shard_index, record, loss)

    if not scene.exists(f"{name}/episode.json"):
        return found(None, "missing", f"{name}/episode.json is missing")
    folder = scene.local(name)
    try:
        record = load_record(folder)
    except RecordingUnreadable as error:
        return found(None, "unreadable", error.message)
    stated = {"episode_id": record.episode_id, "job_id": record.job_id, "scene_id": record.scene_id, "shard_index": record.shard_index}
    wanted = {"episode_id": spec.episode_id, "job_id": plan.job_id, "scene_id": plan.scene_id, "shard_index": shard_index}
    if stated != wanted:
        return found(record, "not_planned", f"episode.json is of {stated}, expected {wanted}")
    if record.spec != spec:
        return found(record, "not_planned", "episode.json answers another spec than the plan's")
    problem = _check_states_file(folder / "states.parquet", record)
    return found(record, *problem) if problem else found(record)


def _check_states_file(path: Path, record: EpisodeRecord) -> tuple[LossKind, str] | None:
    if record.states is None:
        return ("invalid_schema", f"{record.frames} frames, but no states are recorded") if record.frames else None
    if not path.is_file():
        return "missing", "states.parquet is missing"
    digest = digest_file(path)
    if digest.size_bytes != record.states.size_bytes:
        return "size_mismatch", f"states.parquet has {digest.size_bytes} bytes, recorded {record.states.size_bytes}"
    if digest != record.states:
        return "digest_mismatch", f"states.parquet has sha256 {digest.sha256}, recorded {record.states.sha256}"
    _, findings = check_states(path, record)
    return ("invalid_schema", "; ".join(findings)) if findings else None


def _unplanned_folders(scene: SceneFolder, planned: list[tuple[int, EpisodeSpec]]) -> list[Loss]:
    """Recordings that no plan asked for: they must not slip into a dataset."""
    expected = {recording_path(shard_index, spec.episode_id) for shard_index, spec in planned}
    folders = {name.rsplit("/", 1)[0] for name in scene.files_under(recording_path(0).rsplit("/", 1)[0])}
    return [
        Loss(episode_id=folder.rsplit("/", 1)[-1], shard_index=-1, error="not_planned", message=f"{folder} is not in the plan")
        for folder in sorted(folders - expected)
    ]


def _build_job(scene: SceneFolder, plan: JobPlan, found: list[_Found], losses: list[Loss]) -> ImportedJob:
    records = [item.record for item in found if item.record and not item.loss]
    passed = sum(record.outcome.success for record in records)
    status: JobStatus = "failed" if losses else "completed"
    reason = f"{len(losses)} episodes lost" if losses else None
    tasks = {(spec.task.target_object, spec.task.support_object) for spec in plan.episodes}
    hashes = {path.removeprefix(f"{_ROOT}/"): digest.sha256 for path, digest in scene.digests(_JOB_FILES).items()}
    return ImportedJob(
        job_id=plan.job_id,
        scene_id=plan.scene_id,
        status=status,
        message=f"{len(records)} of {len(found)} episodes recorded, {passed} with success",
        idempotency=Idempotency(
            key=key_of({"scene_id": plan.scene_id, **hashes}),
            task_config_hash=hashes["task_config.json"],
            export_manifest_hash=hashes["export_manifest.json"],
        ),
        bundle={name.removesuffix(".json"): name for name in hashes},
        generation_params=GenerationParams(
            robot_type=plan.robot.embodiment,
            episodes_per_task=len(found) // len(tasks),
            num_variations=len(found),
            seed=plan.seed,
            fps=plan.fps,
        ),
        job_metrics=JobMetrics(
            job_id=plan.job_id,
            status=status,
            duration_seconds=round(sum(record.frames / record.fps for record in records), 6),
            total_episodes=len(found),
            episodes_collected=len(records),
            episodes_passed=passed,
            quality_pass_rate=passed / len(records) if records else None,
            failure_reason=reason,
            failure_details=tuple(losses),
        ),
        artifacts=Artifacts(episodes_prefix=f"{_ROOT}/recordings", lerobot_prefix=f"{_ROOT}/lerobot"),
        failure_reason=reason,
        failure_details=tuple(losses),
    )


def _inventory(scene: SceneFolder) -> dict[str, FileDigest]:
    """Digests of the job's files, by name relative to ``geniesim/``."""
    paths = [*_JOB_FILES, *scene.files_under(f"{_ROOT}/recordings")]
    return {path.removeprefix(f"{_ROOT}/"): digest for path, digest in scene.digests(sorted(paths)).items()}


def _build_manifest(
    plan: JobPlan, found: list[_Found], losses: list[Loss], job: ImportedJob, inventory: dict[str, FileDigest]
) -> ImportManifest:
    records = [item.record for item in found if item.record and not item.loss]
    failed = tuple(item.spec.episode_id for item in found if item.loss)
    filtered = tuple(record.episode_id for record in records if not record.outcome.success)
    return ImportManifest(
        scene_id=plan.scene_id,
        job_id=plan.job_id,
        job_idempotency=job.idempotency,
        episodes=EpisodeCounts(
            downloaded=len(records), passed_validation=len(records) - len(filtered), filtered=len(filtered), download_errors=len(losses)
        ),
        quality={"average_score": None, "min_score": None, "max_score": None, "threshold": None, "validation_enabled": True},
        validation={
            "episodes": EpisodeValidation(
                total=len(found),
                passed_count=len(found) - len(failed),
                failed_count=len(failed),
                episode_results=tuple(_episode_result(item) for item in found),
                failed_episode_ids=failed,
                filtered_episode_ids=filtered,
            )
        },
        verification={"checksums": _build_verification(losses)},
        loss_ledger=tuple(losses),
        provenance=ImportProvenance(
            source=", ".join(sorted({f"{record.simulator.name} {record.simulator.version}" for record in records})),
            job_id=plan.job_id,
            scene_id=plan.scene_id,
            pipeline_version=blueprint_pipeline.__version__,
            controllers=tuple(sorted({record.controller for record in records})),
            model_sha256=tuple(sorted({record.model_sha256 for record in records})),
        ),
        file_inventory=tuple({"path": name, "size_bytes": digest.size_bytes} for name, digest in inventory.items()),
    )


def _episode_result(item: _Found) -> EpisodeResult:
    return EpisodeResult(
        episode_id=item.spec.episode_id,
        shard_index=item.shard_index,
        valid=item.loss is None,
        success=item.record.outcome.success if item.record else None,
        frames=item.record.frames if item.record else None,
        error=item.loss.message if item.loss else None,
    )


def _build_verification(losses: list[Loss]) -> ChecksumVerification:
    return ChecksumVerification(
        success=not losses,
        errors=tuple(loss.message for loss in losses if loss.error in {"unreadable", "invalid_schema", "not_planned"}),
        missing_files=tuple(loss.episode_id for loss in losses if loss.error == "missing"),
        checksum_mismatches=tuple(loss.episode_id for loss in losses if loss.error == "digest_mismatch"),
        size_mismatches=tuple(loss.episode_id for loss in losses if loss.error == "size_mismatch"),
    )


def _write_checksums(context: StageContext, inventory: dict[str, FileDigest]) -> None:
    own = {path.removeprefix(f"{_ROOT}/"): digest_file(context.output(path)) for path in (JOB_PATH, IMPORT_MANIFEST_PATH)}
    checksums = Checksums(files=dict(sorted({**inventory, **own}.items())))
    context.output(CHECKSUMS_PATH).write_text(checksums.model_dump_json(indent=1) + "\n", encoding="utf-8")


IMPORT_EPISODES = Stage(
    name="import_episodes",
    description="Take the recordings in: every planned episode present, whole and in its format; job, manifest and checksums.",
    request=ImportRequest,
    result=ImportResult,
    run=import_episodes,
    reads=lambda _: [*_JOB_FILES, f"{_ROOT}/recordings"],
    writes=lambda _: [JOB_PATH, IMPORT_MANIFEST_PATH, CHECKSUMS_PATH],
)
