"""What goes into a bundle, file by file.

::

    data/index.html                        the report page
    data/dataset_card.json                 the delivery in short, as readers of the predecessor know it
    data/dataset/{v3.0,v2.1}/...           the datasets, each with its card (README.md) and croissant.json
    data/reports/{quality,gates,render_gates,certification,cost}.json, {verdicts,render_verdicts}/*.json
    data/replay/...                        everything to execute the episodes again; a script that does, where they are bit-identical
    data/failures/...                      failed episodes as a dataset of their own, if the lab buys them
    data/verify_bundle.py                  verifies the bundle without this package; labs take their copy from where the key is published
    data/legal/...                         licence, attribution, provenance of assets, licence texts
"""

import json
from collections.abc import Sequence
from pathlib import Path

from blueprint_pipeline.cost.report import COST_REPORT_PATH, describe_failures_cost
from blueprint_pipeline.dataset.certify.describe import describe_report
from blueprint_pipeline.dataset.certify.report import CertificationReport
from blueprint_pipeline.dataset.formats import STORE, FormatName
from blueprint_pipeline.dataset.layout import CARD, CERTIFICATION_PATH, CERTIFICATION_PATHS, DATASET_PATHS, FAILURES_INDEX
from blueprint_pipeline.delivery import verify_script
from blueprint_pipeline.delivery.bag import PayloadFile
from blueprint_pipeline.delivery.gather import build_coverage
from blueprint_pipeline.delivery.kit_starts import dump_starts
from blueprint_pipeline.delivery.lab import LabProfile
from blueprint_pipeline.delivery.legal import list_legal_files
from blueprint_pipeline.delivery.replay_kit import KIT_FOLDER, OtherStage, describe_job, list_kit_files
from blueprint_pipeline.delivery.sources import Attempted, BundleSources, SoldFailures
from blueprint_pipeline.episode.certificates import count_rules
from blueprint_pipeline.episode.record import EpisodeRecord, Selection, recording_path, render_path
from blueprint_pipeline.kit.replay import FAILED
from blueprint_pipeline.kit.starts import STARTS
from blueprint_pipeline.licence.bundle import BundleLicence
from blueprint_pipeline.quality.report import GATES_PATH, QUALITY_GATE_REPORT_PATH, RENDER_GATES_PATH, RENDER_REPORTS
from blueprint_pipeline.quality.verdicts import QUALITY_FOLDER
from blueprint_pipeline.simulators import SIMULATORS, TWIN_FOLDER, TWIN_PATH
from blueprint_pipeline.stage.contract import StageContext
from blueprint_pipeline.task.coverage_facts import CombinationFacts
from blueprint_pipeline.task.variation import VARIATIONS
from blueprint_pipeline.twin.model import build_scene_model
from blueprint_pipeline.workspace.checksums import list_files

_REPORTS = {
    "quality.json": QUALITY_GATE_REPORT_PATH,
    "gates.json": GATES_PATH,
    "render_gates.json": RENDER_GATES_PATH,
    "certification.json": CERTIFICATION_PATH,
    "cost.json": COST_REPORT_PATH,
}

_DATASETS: dict[Selection, str] = {"kept": "dataset", "failures": "failures"}
_KIT_PARTS: dict[Selection, str] = {"kept": KIT_FOLDER, "failures": f"{KIT_FOLDER}/{FAILED}"}


def list_payload(
    context: StageContext, sources: BundleSources, lab: LabProfile, licence: BundleLicence, code_version: str
) -> list[PayloadFile]:
    """All files but the report page."""
    files = [file for version in lab.formats for file in list_dataset(context, "kept", version, sources.certification)]
    files += [PayloadFile(f"reports/{name}", context.input(path)) for name, path in _REPORTS.items()]
    files += [PayloadFile(f"reports/{name.removeprefix(QUALITY_FOLDER)[1:]}", context.input(name)) for name in sources.verdict_files()]
    plan, profile = sources.plan, sources.kept_certificates()[0].render_profile
    job = describe_job(plan, [attempt.record for attempt in sources.sold_attempts()], profile)
    twin = context.input(TWIN_FOLDER)
    files += list_kit_files(twin, plan.robot, job, other_stage(context, sources))
    if sources.acted_in_twin():
        model = build_scene_model(twin.parent / TWIN_PATH, plan.robot, plan.fps)
        files.append(
            PayloadFile(f"{KIT_FOLDER}/{STARTS}", dump_starts(_list_states(context, sources.kept_attempts()), plan.held_out, model))
        )
    files += list_episodes(context, "kept", sources.kept_attempts())
    if sources.failures is not None:
        files += _failures(context, sources, sources.failures)
    files += list_legal_files(licence, sources, code_version)
    files.append(PayloadFile("verify_bundle.py", Path(verify_script.__file__)))
    files.append(PayloadFile("dataset_card.json", _json(build_dataset_card(sources, lab, licence, code_version))))
    return files


def list_episodes(context: StageContext, selection: Selection, attempts: Sequence[Attempted]) -> list[PayloadFile]:
    """What a replay of these needs of each: states, record, certificate."""
    files = []
    for attempt in attempts:
        episode_id, target = attempt.record.episode_id, f"{_KIT_PARTS[selection]}/episodes/{attempt.record.episode_id}"
        recording, render = recording_path(attempt.shard_index, episode_id), render_path(attempt.shard_index, episode_id, selection)
        files += [PayloadFile(f"{target}/{name}", context.input(f"{recording}/{name}")) for name in ("states.parquet", "episode.json")]
        files.append(PayloadFile(f"{target}/certificate.json", context.input(f"{render}/certificate.json")))
    return files


def _failures(context: StageContext, sources: BundleSources, failures: SoldFailures) -> list[PayloadFile]:
    """The dataset of failed episodes, what was said of them, and what executes them again; where nothing failed, a file that says so."""
    files = [
        PayloadFile("failures/failures.json", context.input(FAILURES_INDEX)),
        PayloadFile("reports/failure_gates.json", context.input(RENDER_REPORTS["failures"])),
        PayloadFile("reports/failure_certification.json", context.input(CERTIFICATION_PATHS["failures"])),
    ]
    if not failures.attempts:
        return files
    files += list_dataset(context, "failures", STORE, failures.certification)
    files += list_episodes(context, "failures", failures.attempts)
    if sources.acted_in_twin():
        model = build_scene_model(context.input(TWIN_FOLDER).parent / TWIN_PATH, sources.plan.robot, sources.plan.fps)
        starts = dump_starts(_list_states(context, failures.attempts), (), model)
        files.append(PayloadFile(f"{_KIT_PARTS['failures']}/{STARTS}", starts))
    return files


def _list_states(context: StageContext, attempts: Sequence[Attempted]) -> list[tuple[EpisodeRecord, Path]]:
    """Record and states of episodes that are delivered."""
    return [
        (attempt.record, context.input(f"{recording_path(attempt.shard_index, attempt.record.episode_id)}/states.parquet"))
        for attempt in attempts
    ]


def other_stage(context: StageContext, sources: BundleSources) -> OtherStage | None:
    """What another simulator than MuJoCo acted on; ``None`` where the twin itself acted."""
    simulator = sources.kept_attempts()[0].record.simulator
    if sources.acted_in_twin():
        return None
    folder = SIMULATORS[simulator.name].folder
    return OtherStage(simulator=simulator, folder=context.input(folder) if folder else None)


def build_dataset_card(sources: BundleSources, lab: LabProfile, licence: BundleLicence, code_version: str) -> dict[str, object]:
    """``dataset_card.json``; ``generated_at`` is ``null``, the date stands in the receipt."""
    plan, cost, profile = sources.plan, sources.cost, sources.kept_certificates()[0].render_profile
    return {
        "schema_version": "1.0",
        "scene_id": plan.scene_id,
        "job_id": plan.job_id,
        "lab": lab.id,
        "generated_at": None,
        "provenance": {
            "pipeline": "blueprint_pipeline",
            "version": code_version,
            "statement": "statement.dsse.json",
            "robot": plan.robot.embodiment,
            "simulator": sources.kept_attempts()[0].record.simulator.model_dump(mode="json"),
            "render_profile": None if profile is None else profile.model_dump(mode="json"),
        },
        "quality": {
            "tier": sources.renders.tier,
            "certified": sources.certification.certified,
            "replay_certificates": count_rules(sources.kept_certificates()),
        },
        "variation": VARIATIONS[plan.variation].as_record(),
        "episodes": {"attempted": len(plan.episodes), "kept": len(sources.kept), "rejected": len(sources.rejected_ids())},
        "failures": None if sources.failures is None else sources.failures.index.model_dump(mode="json"),
        "coverage": [_coverage(facts) for facts in build_coverage(sources)],
        "licence": {"id": licence.licence, "expression": licence.expression, "commercial_ok": licence.commercial_ok},
        "cost": {
            "usd_per_kept_episode": None if cost.usd_per_kept_episode is None else float(cost.usd_per_kept_episode),
            "certainty": cost.usd_per_kept_episode_certainty.value,
            "failures": describe_failures_cost(cost.failures),
        },
        "package": {"format": "bagit", "datasets": {version: f"data/dataset/{version}" for version in lab.formats}},
    }


def _coverage(facts: CombinationFacts) -> dict[str, object]:
    """An axis, or a pair of axes: how many cells there are, and which of them no delivered episode has."""
    empty = [{"values": cell.values, "why": cell.empty_because} for cell in facts.empty()]
    return {"skill": facts.skill, "axes": facts.axes, "declared": facts.declared, "filled": facts.filled, "empty": empty}


def list_dataset(context: StageContext, selection: Selection, version: FormatName, certification: CertificationReport) -> list[PayloadFile]:
    """A dataset; its card says, in the bundle, what looked at it, for it was written before anything did."""
    folder, target = context.input(f"{DATASET_PATHS[selection]}/{version}"), f"{_DATASETS[selection]}/{version}"
    card = (folder / CARD).read_text(encoding="utf-8").rstrip() + "\n\n" + describe_checks(certification, version)
    return [PayloadFile(f"{target}/{CARD}", card.encode()), *(file for file in _folder(folder, target) if file.name != f"{target}/{CARD}")]


def describe_checks(certification: CertificationReport, version: FormatName) -> str:
    """The card's section on certification: the verdict over all formats, and each check of this one."""
    checks = [check for check in certification.checks if check.dataset == version]
    rows = "\n".join(f"| `{check.check}` | {check.status.replace('_', ' ')} | {_cell(check.reason)} |" for check in checks)
    verdict = f"`certified: {str(certification.certified).lower()}` ({describe_report(certification)})"
    return f"## Certification\n\n{verdict}.\n\n| check | | |\n|---|---|---|\n{rows}\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _folder(source: Path, target: str) -> list[PayloadFile]:
    return [PayloadFile(f"{target}/{name}", source / name) for name in list_files(source)]


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"
