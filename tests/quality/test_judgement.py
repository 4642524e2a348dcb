"""A job is judged shard by shard, and what is held of an episode does not depend on how many gates there are."""

import tracemalloc

from blueprint_pipeline.origin import Origin
from blueprint_pipeline.quality.judgement import VerdictBook
from blueprint_pipeline.quality.report import load_verdicts
from blueprint_pipeline.quality.tiers import load_tiers
from blueprint_pipeline.quality.verdicts import EpisodeVerdict, GateResult
from tests.quality import synthetic, synthetic_scene

GATES, SHARD, SHARDS = 40, 50, 20
HELD_BYTES = 600
"""Of an episode: id, verdict, and where they stand in two tables. All that the gates said of it takes about 50 times as much."""


def verdict(index):
    gates = tuple(
        GateResult(
            gate=f"gate_{number}", tier="core", passed=True, value=index / (number + 1), limit=1e6, unit="m",
            origin=Origin.SIMULATED, message=f"can|table in frame {index} of gate {number}",
        )
        for number in range(GATES)
    )  # fmt: skip
    return EpisodeVerdict(episode_id=f"ep_{index:06d}", shard_index=index // SHARD, verdict="kept", gates=gates, metrics={"sparc": -2.0})


def test_of_a_judged_episode_little_is_held(scene_root):
    context = synthetic_scene.context_at(scene_root)
    book = VerdictBook(context, "verdicts")
    book.enter(0, [verdict(index) for index in range(SHARD)])
    tracemalloc.start()
    for shard_index in range(1, SHARDS):
        book.enter(shard_index, [verdict(shard_index * SHARD + index) for index in range(SHARD)])
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < HELD_BYTES * SHARD * (SHARDS - 1)
    report = book.close(synthetic.build_plan([synthetic.build_spec(0)]), load_tiers(), "core", {}).report
    synthetic_scene.promote(context)
    assert (report.judged, report.count("kept")) == (SHARD * SHARDS, SHARD * SHARDS)
    found = load_verdicts(context.scene, report)
    assert [episode.episode_id for episode in found] == [f"ep_{index:06d}" for index in range(SHARD * SHARDS)]
