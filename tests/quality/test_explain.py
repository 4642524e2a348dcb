"""Reasons for people: grouped, counted, with what was measured and what was allowed."""

from blueprint_pipeline.origin import Origin
from blueprint_pipeline.quality.explain import primary_reason, tally_reasons
from blueprint_pipeline.quality.verdicts import EpisodeVerdict, GateResult


def gate(name, value, *, limit=1.0, passed=False, borderline=False, message=""):
    return GateResult(
        gate=name,
        tier="core",
        passed=passed,
        borderline=borderline,
        value=value,
        limit=limit,
        unit="m",
        origin=Origin.MEASURED,
        message=message,
    )


def verdict(index, outcome, *gates):
    return EpisodeVerdict(episode_id=f"ep_{index}", shard_index=0, verdict=outcome, gates=gates, metrics={})


EPISODES = [
    verdict(0, "kept", gate("speed", 0.1, passed=True)),
    verdict(1, "rejected", gate("speed", 2.0, message="can in frame 3"), gate("depth", 9.0)),
    verdict(2, "rejected", gate("speed", 3.0, message="can in frame 9")),
    verdict(3, "rejected", gate("outcome", 1.0, message="plan_pick: motion.no_grasp: 0 of 64: none")),
    verdict(4, "borderline", gate("speed", 1.05, borderline=True)),
    verdict(5, "rejected", gate("depth", None, message="not measured: nothing moved")),
]


def test_the_first_failing_gate_is_the_reason():
    assert primary_reason(EPISODES[0]) is None
    assert primary_reason(EPISODES[1]).gate == "speed"
    assert primary_reason(EPISODES[4]).gate == "speed"
    near_and_failed = verdict(6, "rejected", gate("speed", 1.05, borderline=True), gate("depth", 9.0))
    assert primary_reason(near_and_failed).gate == "depth"


def test_reasons_are_grouped_and_say_value_and_limit():
    tally = tally_reasons(EPISODES)
    first, *others = tally.reasons()
    assert first.episode_ids == ("ep_1", "ep_2")
    assert first.sentence() == "2x speed: 2 to 3 m, at most 1 allowed (can in frame 3)"
    assert [reason.sentence() for reason in others] == [
        "1x depth: not measured (not measured: nothing moved)",
        "1x outcome (plan_pick: motion.no_grasp): 1 m, at most 1 allowed (0 of 64: none)",
    ]
    assert tally.top(most=2) == [first.sentence(), others[0].sentence()]
    assert tally.reasons("borderline")[0].count == 1
    assert tally.reasons("kept") == []
