"""Stage ``certify_dataset``: everything that looks at a dataset from outside, and one report of it."""

import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version as package_version
from pathlib import Path

from blueprint_pipeline.dataset.certify.camera_mounts import load_camera_mounts, offset_mounts
from blueprint_pipeline.dataset.certify.environment import CertifyEnvironment
from blueprint_pipeline.dataset.certify.graders import GRADERS, Grader, graders_of, run_grader
from blueprint_pipeline.dataset.certify.report import CertificationReport, CheckResult, GraderFinding, Status, is_certified, not_run
from blueprint_pipeline.dataset.certify.request import CertifyRequest, ExpectedEpisode, load_answers
from blueprint_pipeline.dataset.croissant_check import check_croissant
from blueprint_pipeline.dataset.formats import FORMATS, STORE, Certifier, FormatName, FormatRow
from blueprint_pipeline.dataset.layout import DATASET_PATHS
from blueprint_pipeline.dataset.read import load_reader
from blueprint_pipeline.episode.record import EpisodeRecord, Selection, recording_path, render_path
from blueprint_pipeline.errors import IntegrityError, InternalError
from blueprint_pipeline.origin import Origin
from blueprint_pipeline.quality.report import load_kept
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.stage.contract import StageContext
from blueprint_pipeline.task.plan import JobPlan, load_plan
from blueprint_pipeline.workspace.checksums import FileDigest, digest_files, list_files

REQUIRED_GRADERS = 3
"""So many of the public graders must have run, and found no defect."""
_INSTALL = "not installed where this was made (`make certify-env` installs them)"
_NOT_INSTALLED, _OLDEST_NOT_INSTALLED = f"lerobot and the graders are {_INSTALL}", f"the oldest readers are {_INSTALL}"


class DatasetChanged(IntegrityError):
    """A grader changed the dataset that it was to look at."""

    code = "dataset.changed"
    template = "{grader} changed {paths} while it graded. Write the dataset again and run without this grader."

    grader: str
    paths: list[str]


class CertifierBroken(InternalError):
    """A certifying script ended without its report."""

    code = "dataset.certifier_broken"
    template = (
        "{script} ended with exit code {exit_status} and no report; its last output: {last_lines}. Rebuild the environment with "
        "`make certify-env`."
    )

    script: str
    exit_status: int
    last_lines: str


def certify_datasets(context: StageContext, selection: Selection = "kept") -> CertificationReport:
    """Look at the dataset of a scene, in every format, with everything there is.

    Public graders judge how well one may learn from a dataset, so nobody asks them about failures. Where nothing failed there is no
    dataset, and nothing is certified.

    Raises:
        CertifierBroken: A certifying program ended without an answer.
        DatasetChanged: A grader wrote into the dataset.
    """
    plan = load_plan(context.scene)
    episodes = expected_episodes(context, plan.robot.embodiment, plan.cameras, selection)
    root = context.input(DATASET_PATHS[selection]).absolute()
    rows = written_rows(root, selection) if episodes else []
    with tempfile.TemporaryDirectory(prefix="blueprint-pipeline-certify-") as folder:
        environment = CertifyEnvironment(context.settings.dataset.certify_python, Path(folder))
        versions = environment.versions if environment.exists else {}
        before = _digests(root)
        checks = _look_all(context, environment, plan, episodes, (root, rows, selection))
        after = _digests(root)
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    if changed:
        raise DatasetChanged(", ".join(grader.package for grader in GRADERS), changed)
    checks += [_graders_check(checks, row.name) for row in rows if row.graded and selection == "kept"]
    return CertificationReport(
        scene_id=plan.scene_id,
        job_id=plan.job_id,
        certified=is_certified(tuple(checks)),
        environment=versions,
        episodes=len(episodes),
        frames=sum(episode.frames for episode in episodes),
        checks=tuple(checks),
    )


def written_rows(root: Path, selection: Selection = "kept") -> list[FormatRow]:
    """The formats of a dataset: those of every one, whether they are there or not, and those that were asked for; of failures the store."""
    if selection == "failures":
        return [FORMATS[STORE]]
    return [row for row in FORMATS.values() if not row.on_request or (root / row.name).is_dir()]


def expected_episodes(
    context: StageContext, robot: str, cameras: tuple[str, ...], selection: Selection = "kept"
) -> tuple[ExpectedEpisode, ...]:
    """The kept episodes as they were simulated and rendered, in the order of the dataset.

    Args:
        context: Where to read.
        robot: Name of the embodiment.
        cameras: Whose videos are expected.
        selection: Which episodes; no failure is a success.
    """
    mounts = load_camera_mounts(load_embodiment(robot))
    found = []
    for shard_index, episode_id in load_kept(context.scene, selection):
        recording, render = recording_path(shard_index, episode_id), render_path(shard_index, episode_id, selection)
        record = EpisodeRecord.model_validate_json(context.scene.read_bytes(f"{recording}/episode.json"))
        videos = {camera: context.input(f"{render}/{camera}.mp4") for camera in cameras}
        found.append(
            ExpectedEpisode(
                episode_id=episode_id,
                states=context.input(f"{recording}/states.parquet").absolute(),
                frames=record.frames,
                instruction=record.spec.task.instruction,
                success=record.outcome.success and selection == "kept",
                target_index=record.object_ids.index(record.spec.task.target_object),
                arm_joints=tuple(len(arm.joints) for arm in load_embodiment(robot).arms),
                camera_mounts=offset_mounts(mounts, record.spec.variation.mounts),
                videos={camera: path.absolute() for camera, path in videos.items()},
            )
        )
    return tuple(found)


def _structure_check(folder: Path, name: FormatName) -> list[CheckResult]:
    """Our own check of the files, which needs no other environment."""
    findings = load_reader(name).check(folder)
    result = CheckResult(
        check="blueprint_pipeline.structure",
        dataset=name,
        status="failed" if findings else "passed",
        required=True,
        reason=f"{len(findings)} finding(s) in totals, rows, times, statistics and videos",
        origin=Origin.MEASURED,
        tool="blueprint_pipeline",
        tool_version=None,
        findings=tuple(GraderFinding(severity="defect", code=found.code, message=f"{found.path}: {found.message}") for found in findings),
    )
    return [result]


def _croissant_check(folder: Path, name: FormatName) -> list[CheckResult]:
    """MLCommons' own validator reads ``croissant.json``."""
    problems = check_croissant(folder / "croissant.json")
    result = CheckResult(
        check="mlcroissant.valid",
        dataset=name,
        status="failed" if problems else "passed",
        required=True,
        reason="; ".join(problems) or "valid Croissant 1.1",
        origin=Origin.MEASURED,
        tool="mlcroissant",
        tool_version=package_version("mlcroissant"),
    )
    return [result]


def run_certifier(environment: CertifyEnvironment, certifier: Certifier, request: CertifyRequest, name: FormatName) -> list[CheckResult]:
    """Run one certifying program; where there is no environment every one of its checks says so."""
    if (reason := _find_missing(environment, certifier)) is not None:
        return [not_run(check, name, required=True, reason=reason, tool=certifier.reader) for check in certifier.checks]
    request.work.mkdir()
    program = certifier.module.rsplit(".", 1)[-1]
    request_path, answers_path = environment.home / f"{program}.request.json", environment.home / f"{program}.answers.json"
    request_path.write_text(request.model_dump_json(), encoding="utf-8")
    run = environment.run_module(certifier.module, str(request_path), str(answers_path), oldest=certifier.oldest)
    if run.exit_code != 0 or not answers_path.is_file():
        raise CertifierBroken(program, run.exit_code if run.exit_code is not None else -1, run.last_output)
    answers = {answer.check: answer for answer in load_answers(answers_path)}
    versions = environment.oldest_versions if certifier.oldest else environment.versions
    return [
        CheckResult(
            check=check,
            dataset=name,
            status="passed" if answers[check].passed else "failed",
            required=True,
            reason=answers[check].reason,
            origin=Origin.MEASURED,
            tool=certifier.reader,
            tool_version=versions.get(certifier.reader),
        )
        if check in answers
        else not_run(check, name, required=True, reason="a check before it failed", tool=certifier.reader)
        for check in certifier.checks
    ]


def _find_missing(environment: CertifyEnvironment, certifier: Certifier) -> str | None:
    """What a certifying program lacks on this machine, in words."""
    if not environment.exists:
        return _NOT_INSTALLED
    if certifier.oldest:
        return None if environment.oldest.is_dir() else _OLDEST_NOT_INSTALLED
    versions = environment.versions  # none at all: the environment is broken, and running the program says how
    return f"{certifier.reader} is {_INSTALL}" if versions and certifier.reader not in versions else None


def _look_all(
    context: StageContext,
    environment: CertifyEnvironment,
    plan: JobPlan,
    episodes: tuple[ExpectedEpisode, ...],
    written: tuple[Path, Sequence[FormatRow], Selection],
) -> list[CheckResult]:
    """Everything that looks at the datasets, as much at a time as the machine has cores for."""
    root, rows, selection = written

    def certify(name: FormatName, number: int, certifier: Certifier) -> list[CheckResult]:
        request = CertifyRequest(
            dataset=root / name,
            fps=plan.fps,
            robot_type=plan.robot.embodiment,
            episodes=episodes,
            work=environment.home / f"work-{name}-{number}",
        )
        return run_certifier(environment, certifier, request, name)

    tasks: list[Callable[[], list[CheckResult]]] = [
        partial(look, root / row.name, row.name) for look in (_structure_check, _croissant_check) for row in rows
    ]
    tasks += [partial(certify, row.name, number, certifier) for row in rows for number, certifier in enumerate(row.certifiers)]
    if selection == "kept":
        tasks += [partial(_grade, environment, grader, root / row.name, row.name) for row in rows for grader in graders_of(row)]
    found: list[CheckResult] = []
    with ThreadPoolExecutor(max_workers=context.settings.compute.workers) as pool:
        for done, results in enumerate(pool.map(lambda task: _unless_stopping(context, task), tasks)):
            found += results
            context.progress(done + 1, len(tasks))
    return found


def _unless_stopping(context: StageContext, task: Callable[[], list[CheckResult]]) -> list[CheckResult]:
    context.stop_if_asked()
    return task()


def _grade(environment: CertifyEnvironment, grader: Grader, dataset: Path, name: FormatName) -> list[CheckResult]:
    """Let a grader look; where there is no environment it says so."""
    if environment.exists:
        return [run_grader(grader, environment, dataset, name)]
    return [not_run(f"grader.{grader.package}", name, required=False, reason=_NOT_INSTALLED, tool=grader.package)]


def _digests(dataset: Path) -> dict[str, FileDigest]:
    return digest_files(dataset, list_files(dataset))


def _graders_check(checks: list[CheckResult], name: FormatName) -> CheckResult:
    """Enough graders looked at a format, and none found a defect."""
    graders = [check for check in checks if check.check.startswith("grader.") and check.dataset == name]
    failed = [check.tool for check in graders if check.status == "failed"]
    ran = [check.tool for check in graders if check.status != "not_run"]
    status: Status = "passed" if len(ran) >= REQUIRED_GRADERS else "not_run"
    if failed:
        status = "failed"
    return CheckResult(
        check="graders.agree",
        dataset=name,
        status=status,
        required=True,
        reason=f"{len(ran)} of {len(graders)} public graders ran ({REQUIRED_GRADERS} must); defects by: {', '.join(failed) or 'none'}",
        origin=Origin.MEASURED if ran else Origin.ABSENT,
        tool="blueprint_pipeline",
        tool_version=None,
    )
