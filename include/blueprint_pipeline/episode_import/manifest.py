"""``job.json``, ``import_manifest.json`` (v1.2) and ``checksums.json``: the accounts of a job in the predecessor's formats.

They are the same bytes whenever they are made again, so nothing in them is a measured time: ``submitted_at``,
``created_at``, ``completed_at``, ``generated_at`` and ``first_submitted_at`` are ``null``, and when a stage ran stands in its commit
record. ``duration_seconds`` is the simulated time of all episodes. What a later stage makes (the package, the LeRobot
datasets, quality scores) is ``null`` here: a manifest is never rewritten after its checksum was taken.
"""

from typing import Literal

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.workspace.checksums import FileDigest

JOB_PATH = "geniesim/job.json"
IMPORT_MANIFEST_PATH = "geniesim/import_manifest.json"
CHECKSUMS_PATH = "geniesim/checksums.json"


LossKind = Literal["missing", "unreadable", "size_mismatch", "digest_mismatch", "invalid_schema", "not_planned"]
JobStatus = Literal["completed", "failed"]


class Loss(FrozenModel):
    """One planned episode that is missing as recorded."""

    episode_id: str
    shard_index: int
    error: LossKind
    message: str


class Idempotency(FrozenModel):
    """What makes two jobs the same: never a time."""

    key: str
    task_config_hash: str
    export_manifest_hash: str
    first_submitted_at: None = None


class JobMetrics(FrozenModel):
    """Counts over the attempts of a job."""

    job_id: str
    status: JobStatus
    created_at: None = None
    completed_at: None = None
    duration_seconds: float
    """Simulated time of all episodes [s]."""
    total_episodes: int
    """Planned."""
    episodes_collected: int
    """Recorded, with success or without."""
    episodes_passed: int
    """Whose task predicate held, as the simulator judged; the gates decide later."""
    quality_pass_rate: float | None
    """Passed over collected; ``None`` where nothing was collected."""
    failure_reason: str | None
    failure_details: tuple[Loss, ...]


class GenerationParams(FrozenModel):
    """What the job was asked for."""

    robot_type: str
    episodes_per_task: int
    """Attempts over different tasks, rounded down; every episode has its own start, so a task is a target and its goal's support."""
    num_variations: int
    """Attempts with an own variation of the scene."""
    min_quality_score: None = None
    """Tiers are chosen when episodes are gated."""
    seed: int
    fps: int


class Artifacts(FrozenModel):
    """Where things lie, relative to the scene's folder."""

    episodes_prefix: str
    lerobot_prefix: str


class ImportedJob(FrozenModel):
    """``job.json``."""

    job_id: str
    scene_id: str
    status: JobStatus
    submitted_at: None = None
    message: str
    idempotency: Idempotency
    bundle: dict[str, str]
    generation_params: GenerationParams
    job_metrics: JobMetrics
    artifacts: Artifacts
    failure_reason: str | None
    failure_details: tuple[Loss, ...]


class EpisodeCounts(FrozenModel):
    """How many recordings came in."""

    downloaded: int
    passed_validation: int
    filtered: int
    """Recorded attempts that ended with a failure: kept, labelled, not trained on."""
    download_errors: int


class EpisodeResult(FrozenModel):
    """One planned episode as it came in."""

    episode_id: str
    shard_index: int
    valid: bool
    success: bool | None
    """``None`` where it could not be read."""
    frames: int | None
    error: str | None


class EpisodeValidation(FrozenModel):
    """All planned episodes as they came in."""

    total: int
    passed_count: int
    failed_count: int
    episode_results: tuple[EpisodeResult, ...]
    failed_episode_ids: tuple[str, ...]
    filtered_episode_ids: tuple[str, ...]
    fail_on_partial_error: bool = True


class ChecksumVerification(FrozenModel):
    """What was found when the recorded digests were compared with the files."""

    success: bool
    errors: tuple[str, ...]
    missing_files: tuple[str, ...]
    checksum_mismatches: tuple[str, ...]
    size_mismatches: tuple[str, ...]


class ImportProvenance(FrozenModel):
    """Where the episodes come from."""

    source: str
    """Name and version of the simulator."""
    job_id: str
    scene_id: str
    imported_by: Literal["import_episodes"] = "import_episodes"
    pipeline_version: str
    controllers: tuple[str, ...]
    model_sha256: tuple[str, ...]


class ImportManifest(FrozenModel):
    """``import_manifest.json``."""

    schema_version: Literal["1.2"] = "1.2"
    generated_at: None = None
    scene_id: str
    job_id: str
    output_dir: Literal["geniesim"] = "geniesim"
    job_idempotency: Idempotency
    checksums_path: str = "checksums.json"
    package: None = None
    episodes: EpisodeCounts
    quality: dict[str, float | bool | None]
    lerobot: None = None
    validation: dict[str, EpisodeValidation]
    verification: dict[str, ChecksumVerification]
    loss_ledger: tuple[Loss, ...]
    provenance: ImportProvenance
    file_inventory: tuple[dict[str, str | int], ...]


class Checksums(FrozenModel):
    """``checksums.json``: every file of the job under ``root``, but itself."""

    generated_at: None = None
    root: Literal["."] = "."
    algorithm: Literal["sha256"] = "sha256"
    files: dict[str, FileDigest]
