"""From what the stages wrote to what the report page shows."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import median

from blueprint_pipeline.dataset.certify.describe import describe_report
from blueprint_pipeline.dataset.certify.report import CheckResult
from blueprint_pipeline.dataset.formats import FORMATS
from blueprint_pipeline.dataset.variation_words import describe_variation
from blueprint_pipeline.delivery.lab import LabProfile
from blueprint_pipeline.delivery.report_facts import (
    CertificateRow,
    CostFacts,
    CostRow,
    FailureFacts,
    GateDot,
    KeptRow,
    LeftOutRow,
    MetricRow,
    ReportFacts,
    StartDot,
)
from blueprint_pipeline.delivery.sources import Attempted, BundleSources
from blueprint_pipeline.episode.certificates import describe_replays
from blueprint_pipeline.episode.record import ReplayCertificate
from blueprint_pipeline.licence.bundle import BundleLicence
from blueprint_pipeline.quality.explain import Reason, tally_reasons
from blueprint_pipeline.quality.fates import judge_batch
from blueprint_pipeline.quality.verdicts import VERDICTS, EpisodeVerdict
from blueprint_pipeline.simulators import SIMULATORS
from blueprint_pipeline.task.coverage_facts import CombinationFacts, sum_combinations
from blueprint_pipeline.task.outcome import describe_tightest, share_of_limit
from blueprint_pipeline.task.skills import describe_skills
from blueprint_pipeline.task.variation import VARIATIONS

_SHARED = 2
"""From so many checks on that did not run for one reason, one row of the certificate tells of all."""
_MAX_GATE_ROWS = 24


def build_facts(
    sources: BundleSources, lab: LabProfile, licence: BundleLicence, *, dataset_size_bytes: int, keyid: str, code_version: str
) -> ReportFacts:
    """Gather all facts of the page."""
    plan, first = sources.plan, sources.kept_attempts()[0].record
    return ReportFacts(
        lab_name=lab.name,
        scene_id=plan.scene_id,
        job_id=plan.job_id,
        robot=plan.robot.embodiment,
        skills=describe_skills({attempt.record.spec.task.task_type for attempt in sources.kept_attempts()}),
        simulator=f"{SIMULATORS[first.simulator.name].title} {first.simulator.version}",
        replays=describe_replays(sources.kept_certificates()),
        replayed=sum(certificate.replayed for certificate in sources.kept_certificates()),
        certification=describe_report(sources.certification),
        tier=sources.renders.tier,
        cameras=plan.cameras,
        resolution=f"{plan.width} x {plan.height}",
        fps=plan.fps,
        variation=describe_variation(VARIATIONS[plan.variation]),
        formats=tuple(FORMATS[name] for name in lab.formats),
        attempted=len(plan.episodes),
        rendered=sources.renders.judged,
        kept=tuple(_kept_row(attempt) for attempt in sources.kept_attempts()),
        reasons=tuple(build_reasons(sources)),
        left_out=tuple(
            LeftOutRow(object_id=name, skill=skill, reason=reason)
            for skill, reasons in plan.left_out.items()
            for name, reason in reasons.items()
        ),
        set_aside=plan.set_aside,
        coverage=tuple(build_coverage(sources)),
        gate_dots=tuple(_gate_dots(sources)),
        metrics=tuple(_metric_rows(sources)),
        starts=tuple(_start_dots(sources)),
        cost=_cost_facts(sources),
        failures=_failure_facts(sources),
        certificate=tuple(_certificate_rows(sources)),
        licence=licence,
        dataset_size_bytes=dataset_size_bytes,
        signing_keyid=keyid,
        code_version=code_version,
    )


def build_reasons(sources: BundleSources) -> list[Reason]:
    """Why attempts are not delivered: rejected after simulation or after rendering, or left undecided by people."""
    kept = set(sources.kept)
    rendered = {episode_id for shard in sources.renders.shards for episode_id in shard.verdicts}
    gated = tally_reasons(episode for episode in sources.gated() if episode.episode_id not in rendered)
    drawn = tally_reasons(episode for episode in sources.rendered() if episode.episode_id not in kept)
    reasons = [reason for tally in (gated, drawn) for verdict in VERDICTS for reason in tally.reasons(verdict)]
    return sorted(reasons, key=lambda reason: (-reason.count, reason.gate, reason.cause))


def build_coverage(sources: BundleSources) -> list[CombinationFacts]:
    """Which of the declared cells the delivered episodes fill, and what became of the others; none where the plan declares no cells."""
    plan = sources.plan
    if plan.coverage is None:
        return []
    return sum_combinations([judge_batch(sources.scene, plan, plan.coverage, sources.gates, sources.renders)])


def _kept_row(attempt: Attempted) -> KeptRow:
    record, certificate = attempt.record, attempt.proof()
    task = record.spec.task
    return KeptRow(
        episode_id=record.episode_id,
        instruction=task.instruction,
        target=task.target_object,
        duration_s=record.duration_s,
        frames=record.frames,
        seed=record.spec.seed,
        tightest=describe_tightest(record.outcome.predicate),
        replay=certificate.rule,
        replay_evidence=_describe_evidence(certificate),
    )


def _describe_evidence(certificate: ReplayCertificate) -> str:
    evidence = certificate.k_of_n
    if evidence is None or evidence.spread_m is None:
        return ""
    return f"{evidence.held} of {len(evidence.executions)} executions, within {1000 * evidence.spread_m:.1f} mm"


def _verdicts(sources: BundleSources) -> Iterable[EpisodeVerdict]:
    yield from sources.gated()
    yield from sources.rendered()


def _gate_dots(sources: BundleSources) -> list[GateDot]:
    kept = set(sources.kept)
    dots = [
        GateDot(gate=gate.gate, share_of_limit=share, kept=episode.episode_id in kept)
        for episode in _verdicts(sources)
        for gate in episode.gates
        if gate.value is not None and (share := share_of_limit(gate.value, gate.limit, gate.direction)) is not None
    ]
    shown = list(dict.fromkeys(dot.gate for dot in dots))[:_MAX_GATE_ROWS]
    return sorted((dot for dot in dots if dot.gate in shown), key=lambda dot: shown.index(dot.gate))


def _metric_rows(sources: BundleSources) -> list[MetricRow]:
    kept = set(sources.kept)
    values: dict[str, dict[str, float]] = {}
    for episode in _verdicts(sources):
        if episode.episode_id in kept:
            for name, value in episode.metrics.items():
                if value is not None:
                    values.setdefault(name, {})[episode.episode_id] = value
    return [
        MetricRow(name=name, median=median(found.values()), low=min(found.values()), high=max(found.values()), measured=len(found))
        for name, found in sorted(values.items())
    ]


def _start_dots(sources: BundleSources) -> list[StartDot]:
    kept = set(sources.kept)
    dots = []
    for spec in sources.plan.episodes:
        start = spec.object_poses.get(spec.task.target_object)
        if start is not None:
            dots.append(
                StartDot(
                    target=spec.task.target_object,
                    start_m=start.position_m[:2],
                    goal_m=spec.task.goal_xy_m,
                    kept=spec.episode_id in kept,
                )
            )
    return dots


def _cost_facts(sources: BundleSources) -> CostFacts:
    cost = sources.cost
    return CostFacts(
        stages=tuple(
            CostRow(
                stage=stage.stage,
                measured_usd=float(stage.total.measured_usd),
                estimated_usd=float(stage.total.estimated_usd),
                unknown_entries=stage.total.unknown_entries,
            )
            for stage in cost.stages
        ),
        usd_per_kept_episode=None if cost.usd_per_kept_episode is None else float(cost.usd_per_kept_episode),
        cpu_s_per_kept_episode=cost.cpu_s_per_kept_episode,
        price_table=", ".join(cost.price_tables) or "none",
    )


def _failure_facts(sources: BundleSources) -> FailureFacts | None:
    if sources.failures is None:
        return None
    index, cost = sources.failures.index, sources.cost.failures
    return FailureFacts(
        honest=index.honest,
        written=index.written,
        kinds=index.kinds,
        certification=describe_report(sources.failures.certification) if index.written else "",
        usd_per_failure=None if cost is None or cost.usd_per_failure is None else float(cost.usd_per_failure),
    )


def _certificate_rows(sources: BundleSources) -> list[CertificateRow]:
    certificates = sources.kept_certificates()
    every = all(certificate.replayed for certificate in certificates)
    replay = CertificateRow(name="replay", status="passed" if every else "failed", detail=describe_replays(certificates))
    return [replay, *check_rows(sources.certification.checks)]


def check_rows(checks: Sequence[CheckResult]) -> list[CertificateRow]:
    """A row a check; those that did not run for one and the same reason share one, at the end."""
    names: defaultdict[str, list[str]] = defaultdict(list)
    for check in checks:
        if check.status == "not_run":
            names[check.reason].append(f"{check.check} ({check.dataset})")
    rows = []
    for check in checks:
        if check.status != "not_run" or len(names[check.reason]) < _SHARED:
            verdict = f"{check.tool}{' ' + check.tool_version if check.tool_version else ''}: {check.reason}"
            rows.append(CertificateRow(name=f"{check.check} ({check.dataset})", status=check.status, detail=verdict))
    shared = {reason: named for reason, named in names.items() if len(named) >= _SHARED}
    return rows + [
        CertificateRow(name=f"{len(named)} checks", status="not_run", detail=f"{reason}: {', '.join(named)}")
        for reason, named in shared.items()
    ]
