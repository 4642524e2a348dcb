"""Gate reports on disk, as the stages that judge write them: the verdicts of each shard, and what names them."""

from itertools import groupby

from blueprint_pipeline.quality.report import GATES_PATH, RENDER_GATES_PATH, RENDER_REPORTS, GateReport
from blueprint_pipeline.quality.verdicts import JudgedShard, judge_shard, verdicts_path

_PATHS = {"verdicts": GATES_PATH, "render_verdicts": RENDER_GATES_PATH, "failure_verdicts": RENDER_REPORTS["failures"]}


def write_report(write, evidence, episodes, **head):
    """Write the report on episodes that stand in the plan's order with ``write(name, data)``, and return it."""
    shards = []
    for shard_index, members in groupby(episodes, key=lambda episode: episode.shard_index):
        shard, data = judge_shard(shard_index, tuple(members))
        write(verdicts_path(evidence, shard_index), data)
        shards.append(shard)
    report = GateReport(**{"tier": "core", "tiers_version": "1.0", **head}, evidence=evidence, shards=tuple(shards))
    write(_PATHS[evidence], report.model_dump_json().encode())
    return report


def kept_shard(shard_index, episode_ids):
    """A shard of a report whose verdicts nobody reads: every episode is kept."""
    return JudgedShard(shard_index=shard_index, sha256="0" * 64, verdicts=dict.fromkeys(episode_ids, "kept"))
