"""The stages that write datasets and certify them."""

from collections.abc import Sequence

from pydantic import Json

from blueprint_pipeline.dataset.asset_licences import collect_licences
from blueprint_pipeline.dataset.certify.certification import certify_datasets
from blueprint_pipeline.dataset.certify.environment import digest_environment
from blueprint_pipeline.dataset.failures_index import write_failures_index
from blueprint_pipeline.dataset.formats import STORE, FormatName, join_titles, requested_formats, usual_formats
from blueprint_pipeline.dataset.layout import CERTIFICATION_PATHS, DATASET_PATHS
from blueprint_pipeline.dataset.write import write_datasets
from blueprint_pipeline.episode.record import RENDERS_FOLDERS, Selection
from blueprint_pipeline.errors import GateError
from blueprint_pipeline.quality.report import GATES_PATH, RENDER_REPORTS, load_kept
from blueprint_pipeline.quality.verdicts import RENDER_VERDICTS_FOLDER, VERDICTS_FOLDER
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.layout import layout_of
from blueprint_pipeline.scene.manifest import MANIFEST_PATH, load_manifest
from blueprint_pipeline.stage.contract import Stage, StageContext, StageRequest, StageResult, name_unit
from blueprint_pipeline.task.plan import PLAN_PATH, load_plan
from blueprint_pipeline.workspace.checksums import list_files

_GRADERS = "graders.agree"


class DatasetRefused(GateError):
    """A certifying check looked at the dataset and found it wrong."""

    code = "dataset.refused"
    template = "The dataset fails certifying checks: {failed:; }. {report} has the details."

    report: str
    failed: Sequence[str]


class CertifyDatasetRequest(StageRequest):
    """Of which episodes the dataset is."""

    selection: Selection = "kept"


class WriteDatasetRequest(CertifyDatasetRequest):
    """Of which episodes, and which formats are written beside those of every dataset; failures are written in the store's alone."""

    more_formats: tuple[FormatName, ...] | Json[tuple[FormatName, ...]] = ()
    """As a list, or as its JSON text."""

    @property
    def formats(self) -> tuple[FormatName, ...]:
        """All that are written, each once, in the order of their rows."""
        if self.selection == "failures":
            return (STORE,)
        return (*usual_formats(), *(name for name in requested_formats() if name in self.more_formats))


class WriteDatasetResult(StageResult):
    """How much was written."""

    selection: Selection
    episodes: int
    frames: int
    duration_s: float
    tasks: tuple[str, ...]
    cameras: tuple[str, ...]
    licence: str
    """SPDX expression."""
    size_bytes: int
    """Of all formats."""


class CertifyDatasetResult(StageResult):
    """Whether the dataset is proven, and what was not looked at."""

    selection: Selection
    certified: bool
    """Every required check ran and passed; production tiers refuse what is not."""
    passed: tuple[str, ...]
    failed: tuple[str, ...]
    not_run: tuple[str, ...]


def _run_write(request: WriteDatasetRequest, context: StageContext) -> WriteDatasetResult:
    plan = load_plan(context.scene)
    robot = load_embodiment(plan.robot.embodiment)
    manifest = load_manifest(context.scene)
    licence = collect_licences(manifest, robot)
    summary = None
    if request.selection == "kept" or load_kept(context.scene, request.selection):  # that nothing failed is no fault
        summary = write_datasets(context, request.formats, layout_of(robot), manifest, licence, selection=request.selection)
    if request.selection == "failures":
        write_failures_index(context)
    folder = context.staging / DATASET_PATHS[request.selection]
    return WriteDatasetResult(
        selection=request.selection,
        episodes=summary.episodes if summary else 0,
        frames=summary.frames if summary else 0,
        duration_s=summary.duration_s if summary else 0.0,
        tasks=summary.tasks if summary else (),
        cameras=tuple(video.key for video in summary.videos) if summary else (),
        licence=licence.expression,
        size_bytes=sum((folder / name).stat().st_size for name in list_files(folder)),
    )


def _run_certify(request: CertifyDatasetRequest, context: StageContext) -> CertifyDatasetResult:
    report, path = certify_datasets(context, request.selection), CERTIFICATION_PATHS[request.selection]
    context.output(path).write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    broken = [f"{check.check} ({check.dataset}): {check.reason}" for check in report.checks if check.status == "failed" and check.required]
    if broken and set(report.with_status("failed")) - {_GRADERS}:
        context.publish(path)
        raise DatasetRefused(str(context.scene.root / path), broken)
    return CertifyDatasetResult(
        selection=request.selection,
        certified=report.certified,
        passed=tuple(report.with_status("passed")),
        failed=tuple(report.with_status("failed")),
        not_run=tuple(report.with_status("not_run")),
    )


def _episodes(selection: Selection) -> tuple[str, ...]:
    """What a dataset is made of, and compared with."""
    judged = (RENDER_REPORTS[selection], "geniesim/recordings", RENDERS_FOLDERS[selection])
    return (PLAN_PATH, *judged, *((GATES_PATH, VERDICTS_FOLDER) if selection == "failures" else (RENDER_VERDICTS_FOLDER,)))


WRITE_DATASET = Stage(
    name="write_dataset",
    description=f"Write the kept episodes as {join_titles(usual_formats())}, and as {join_titles(requested_formats())} on request, "
    "with card, statistics and provenance.",
    request=WriteDatasetRequest,
    result=WriteDatasetResult,
    run=_run_write,
    reads=lambda request: (*_episodes(request.selection), MANIFEST_PATH),
    writes=lambda request: (DATASET_PATHS[request.selection],),
    unit=lambda request: name_unit(request.selection),
)

CERTIFY_DATASET = Stage(
    name="certify_dataset",
    description="Load the datasets with the real lerobot, compare every frame, and ask the public graders.",
    request=CertifyDatasetRequest,
    result=CertifyDatasetResult,
    run=_run_certify,
    reads=lambda request: (*_episodes(request.selection), DATASET_PATHS[request.selection]),
    writes=lambda request: (CERTIFICATION_PATHS[request.selection],),
    unit=lambda request: name_unit(request.selection),
    external_inputs=lambda _request, settings: digest_environment(settings.dataset.certify_python),
)
