"""Due scenes: what is most urgent first, no lab starves, no scene runs twice at once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from blueprint_pipeline.registry.errors import RecordMissing
from blueprint_pipeline.registry.records import SceneSource


def source(scene_id, **changes):
    return SceneSource(**{"scene_id": scene_id, "source_url": f"gs://scenes/{scene_id}", "lab": "acme", **changes})


def due(registry, clock, limit=100, **changes):
    return [scene.source.scene_id for scene in registry.scenes.due_scenes(clock(), limit, **changes)]


def test_priority_first_then_labs_in_turn(registry, clock):
    """Higher priority goes first; within it each lab has one turn after another, however many scenes it has."""
    acme = [source(f"a{index}") for index in range(4)]
    other = [source(f"b{index}", lab="other") for index in range(2)]
    registry.scenes.sync([*acme, *other, source("urgent", priority=9)], clock())
    assert due(registry, clock) == ["urgent", "a0", "b0", "a1", "b1", "a2", "a3"]
    assert due(registry, clock, limit=3) == ["urgent", "a0", "b0"]


def test_what_a_lab_has_running_counts_as_its_turns(registry, clock):
    """A lab with two running scenes waits until the other has had two."""
    registry.scenes.sync([*(source(f"a{index}") for index in range(4)), *(source(f"b{index}", lab="other") for index in range(3))], clock())
    assert registry.scenes.mark_started("a0", "run-1")
    assert registry.scenes.mark_started("a1", "run-2")
    assert due(registry, clock) == ["b0", "b1", "a2", "b2", "a3"]


def test_the_longest_due_goes_first_within_a_lab(registry, clock):
    """Between equals the scene that waits longest comes first."""
    registry.scenes.sync([source("late")], clock() - timedelta(hours=1))
    registry.scenes.sync([source("early"), source("late")], clock())
    assert due(registry, clock) == ["late", "early"]


def test_a_scene_is_started_by_one_run(registry, clock):
    """The run that has a scene may ask again; another run does not get it; a running scene is not due."""
    registry.scenes.sync([source("a")], clock())
    assert registry.scenes.mark_started("a", "run-1")
    assert registry.scenes.mark_started("a", "run-1")
    assert not registry.scenes.mark_started("a", "run-2")
    assert due(registry, clock) == []
    assert registry.scenes.count_running() == 1


def test_a_scene_that_was_done_once_comes_back_with_an_interval(registry, clock):
    """Who gives a finished scene an interval wants it again; without one it stays done."""
    registry.scenes.sync([source("once"), source("daily")], clock())
    for scene_id in ("once", "daily"):
        registry.scenes.mark_started(scene_id, "run-1")
        registry.scenes.mark_finished(scene_id, "run-1", "succeeded")
    registry.scenes.sync([source("once"), source("daily", interval_s=86400)], clock())
    assert due(registry, clock) == ["daily"]
    registry.scenes.mark_started("daily", "run-2")
    next_due = registry.scenes.mark_finished("daily", "run-2", "succeeded").due_at
    registry.scenes.sync([source("once"), source("daily", interval_s=86400)], clock())
    assert registry.scenes.find("daily").due_at == next_due


def test_success_is_due_again_after_the_interval_or_never(registry, clock):
    """A scene with an interval comes back, one without does not; a repeated call and a foreign run change nothing."""
    registry.scenes.sync([source("once"), source("daily", interval_s=86400)], clock())
    for scene_id in ("once", "daily"):
        registry.scenes.mark_started(scene_id, "run-1")
        registry.scenes.mark_finished(scene_id, "run-0", "failed")
        record = registry.scenes.mark_finished(scene_id, "run-1", "succeeded")
        assert registry.scenes.mark_finished(scene_id, "run-1", "failed") == record
        assert (record.last_status, record.last_run_id, record.failures) == ("succeeded", "run-1", 0)
        assert not registry.scenes.mark_started(scene_id, "run-1"), "the same run has done it already"
    assert due(registry, clock) == []
    clock.advance(days=1)
    assert due(registry, clock) == ["daily"]


def test_failures_wait_longer_each_time(registry, clock):
    """One hour after the first failure, two after the second; a success clears the count."""
    registry.scenes.sync([source("a", interval_s=60)], clock())
    for hours in (1, 2, 4):
        registry.scenes.mark_started("a", f"run-{hours}")
        record = registry.scenes.mark_finished("a", f"run-{hours}", "failed")
        assert record.due_at == clock() + timedelta(hours=hours)
        clock.advance(hours=hours)
    assert registry.scenes.mark_started("a", "run-4"), "a failed run may be tried again"
    assert registry.scenes.mark_finished("a", "run-4", "succeeded").failures == 0


def test_lost_runs_are_due_at_once(registry, clock):
    """A run whose machine is gone does not block its scene forever."""
    registry.scenes.sync([source("a"), source("b")], clock())
    registry.scenes.mark_started("a", "run-1")
    clock.advance(hours=5)
    registry.scenes.mark_started("b", "run-2")
    (lost,) = registry.scenes.mark_lost(started_before=clock() - timedelta(hours=4))
    assert (lost.source.scene_id, lost.last_status, lost.failures) == ("a", "lost", 1)
    assert due(registry, clock) == ["a"]
    assert registry.scenes.count_running() == 1


def test_configuration_is_taken_over_and_state_is_kept(registry, clock):
    """A changed row keeps its history, a removed one is disabled and comes back as it was."""
    registry.scenes.sync([source("a"), source("b")], clock())
    registry.scenes.mark_started("a", "run-1")
    registry.scenes.sync([source("a", priority=7)], clock() + timedelta(days=1))
    record = registry.scenes.find("a")
    assert (record.source.priority, record.running_run_id, record.due_at) == (7, "run-1", clock())
    assert registry.scenes.find("b").source.enabled is False
    assert due(registry, clock) == []
    registry.scenes.sync([source("a"), source("b")], clock())
    assert due(registry, clock) == ["b"]


def test_back_pressure_by_pool_and_lab(registry, clock):
    """What runs is counted for all, for a pool, and for a lab."""
    registry.scenes.sync([source("a", pool="gpu"), source("b"), source("c", lab="other")], clock())
    for scene_id in "abc":
        registry.scenes.mark_started(scene_id, "run-1")
    assert registry.scenes.count_running() == 3
    assert registry.scenes.count_running(pool="gpu") == 1
    assert registry.scenes.count_running(lab="acme") == 2


def test_a_full_pool_holds_back_its_own_scenes_alone(registry, clock):
    """Each pool gives its best by priority, and in turn between labs; what has no room takes no lab's turn and no place of the limit."""
    of_gpu = [source(f"g{index}", pool="gpu", priority=5) for index in range(3)]
    urgent = source("urgent", pool="gpu", priority=9, lab="other")
    plain = [source("p0"), source("p1"), source("q0", lab="other")]
    registry.scenes.sync([*of_gpu, urgent, *plain], clock())
    assert due(registry, clock, room={"gpu": 2}) == ["urgent", "g0", "p0", "q0", "p1"]
    assert due(registry, clock, room={"gpu": 0}, limit=2) == ["p0", "q0"]
    assert due(registry, clock, room={"gpu": 9, "default_pool": 1}) == ["urgent", "g0", "g1", "g2", "p0"]


def test_a_pool_is_shared_between_labs(registry, clock):
    """A lab with many due scenes of a pool leaves room for the other; scenes that wait for room cost a lab no turn elsewhere."""
    many = [source(f"a{index}", pool="gpu") for index in range(6)]
    registry.scenes.sync([*many, source("b0", pool="gpu", lab="other"), source("b1", lab="other"), source("z")], clock())
    assert due(registry, clock, room={"gpu": 2}) == ["a0", "b0", "b1", "z"]


def test_an_unknown_scene_is_an_error(registry):
    """A wrong id is said, not ignored."""
    with pytest.raises(RecordMissing):
        registry.scenes.mark_started("nowhere", "run-1")
    assert registry.scenes.find("nowhere") is None


def test_eight_schedulers_start_each_scene_once(registry, clock):
    """Schedulers that race for the same due scenes share them out without a double start."""
    registry.scenes.sync([source(f"s{index:02}") for index in range(20)], clock())

    def work(run_id):
        return [scene_id for scene_id in due(registry, clock) if registry.scenes.mark_started(scene_id, run_id)]

    with ThreadPoolExecutor(8) as pool:
        started = [scene_id for found in pool.map(work, [f"run-{index}" for index in range(8)]) for scene_id in found]
    assert sorted(started) == [f"s{index:02}" for index in range(20)]
