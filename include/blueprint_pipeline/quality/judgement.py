"""Judging a job shard by shard: what was said of a shard is written at once, and of each episode only its verdict is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from blueprint_pipeline.quality.explain import ReasonTally
from blueprint_pipeline.quality.gates.registry import judge_set
from blueprint_pipeline.quality.report import GateReport
from blueprint_pipeline.quality.tiers import TierConfig
from blueprint_pipeline.quality.verdicts import EpisodeVerdict, Evidence, JudgedShard, Tier, judge_shard, verdicts_path
from blueprint_pipeline.stage.contract import StageContext
from blueprint_pipeline.task.plan import JobPlan


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A job that was judged."""

    report: GateReport
    reasons: ReasonTally
    """Why episodes were not kept."""


class VerdictBook:
    """The verdicts of a job, entered shard by shard in the plan's order."""

    def __init__(self, context: StageContext, evidence: Evidence) -> None:
        self._context, self._evidence = context, evidence
        self._shards: list[JudgedShard] = []
        self._reasons = ReasonTally()

    def enter(self, shard_index: int, verdicts: Sequence[EpisodeVerdict]) -> None:
        """Write what was said of a shard."""
        shard, data = judge_shard(shard_index, verdicts)
        self._context.output(verdicts_path(self._evidence, shard_index)).write_bytes(data)
        self._shards.append(shard)
        for verdict in verdicts:
            self._reasons.add(verdict)

    def close(self, plan: JobPlan, config: TierConfig, tier: Tier, set_metrics: Mapping[str, float | None]) -> Judgement:
        """The report, with the gates on the kept episodes together."""
        report = GateReport(
            scene_id=plan.scene_id,
            job_id=plan.job_id,
            tier=tier,
            tiers_version=config.version,
            evidence=self._evidence,
            shards=tuple(self._shards),
            set_metrics=dict(set_metrics),
            set_gates=judge_set(set_metrics, config, tier),
        )
        return Judgement(report=report, reasons=self._reasons)
