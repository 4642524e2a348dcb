"""The stages that write datasets and certify them."""

from collections.abc import Sequence

from pydantic import Json

from blueprint_pipeline.dataset.asset_licences import collect_licences
from blueprint_pipeline.dataset.certify.certification import certify_datasets
from blueprint_pipeline.dataset.certify.environment import digest_environment
from blueprint_pipeline.dataset.formats import FormatName, join_titles, requested_formats, usual_formats
from blueprint_pipeline.dataset.layout import CERTIFICATION_PATH, DATASET_PATH
from blueprint_pipeline.dataset.write import write_datasets
from blueprint_pipeline.errors import GateError
from blueprint_pipeline.quality.report import RENDER_GATES_PATH
from blueprint_pipeline.quality.verdicts import RENDER_VERDICTS_FOLDER
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.layout import layout_of
from blueprint_pipeline.scene.manifest import MANIFEST_PATH, load_manifest
from blueprint_pipeline.stage.contract import Stage, StageContext, StageRequest, StageResult
from blueprint_pipeline.task.plan import PLAN_PATH, load_plan
from blueprint_pipeline.workspace.checksums import list_files

_EPISODES = (PLAN_PATH, RENDER_GATES_PATH, RENDER_VERDICTS_FOLDER, "geniesim/recordings", "geniesim/renders")
_GRADERS = "graders.agree"


class DatasetRefused(GateError):
    """A certifying check looked at the dataset and found it wrong."""

    code = "dataset.refused"
    template = "The dataset fails certifying checks: {failed:; }. {report} has the details."

    report: str
    failed: Sequence[str]


class WriteDatasetRequest(StageRequest):
    """Which formats are written beside those of every dataset."""

    more_formats: tuple[FormatName, ...] | Json[tuple[FormatName, ...]] = ()
    """As a list, or as its JSON text."""

    @property
    def formats(self) -> tuple[FormatName, ...]:
        """All that are written, each once, in the order of their rows."""
        return (*usual_formats(), *(name for name in requested_formats() if name in self.more_formats))


class WriteDatasetResult(StageResult):
    """How much was written."""

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
    summary = write_datasets(context, request.formats, layout_of(robot), manifest, licence)
    folder = context.staging / DATASET_PATH
    return WriteDatasetResult(
        episodes=summary.episodes,
        frames=summary.frames,
        duration_s=summary.duration_s,
        tasks=summary.tasks,
        cameras=tuple(video.key for video in summary.videos),
        licence=licence.expression,
        size_bytes=sum((folder / name).stat().st_size for name in list_files(folder)),
    )


def _run_certify(_request: StageRequest, context: StageContext) -> CertifyDatasetResult:
    report = certify_datasets(context)
    context.output(CERTIFICATION_PATH).write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    broken = [f"{check.check} ({check.dataset}): {check.reason}" for check in report.checks if check.status == "failed" and check.required]
    if broken and set(report.with_status("failed")) - {_GRADERS}:
        context.publish(CERTIFICATION_PATH)
        raise DatasetRefused(str(context.scene.root / CERTIFICATION_PATH), broken)
    return CertifyDatasetResult(
        certified=report.certified,
        passed=tuple(report.with_status("passed")),
        failed=tuple(report.with_status("failed")),
        not_run=tuple(report.with_status("not_run")),
    )


WRITE_DATASET = Stage(
    name="write_dataset",
    description=f"Write the kept episodes as {join_titles(usual_formats())}, and as {join_titles(requested_formats())} on request, "
    "with card, statistics and provenance.",
    request=WriteDatasetRequest,
    result=WriteDatasetResult,
    run=_run_write,
    reads=lambda _: (*_EPISODES, MANIFEST_PATH),
    writes=lambda _: (DATASET_PATH,),
)

CERTIFY_DATASET = Stage(
    name="certify_dataset",
    description="Load the datasets with the real lerobot, compare every frame, and ask the public graders.",
    request=StageRequest,
    result=CertifyDatasetResult,
    run=_run_certify,
    reads=lambda _: (*_EPISODES, DATASET_PATH),
    writes=lambda _: (CERTIFICATION_PATH,),
    external_inputs=lambda _request, settings: digest_environment(settings.dataset.certify_python),
)
