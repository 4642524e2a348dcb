"""Baselines gain revisions and never change."""


def test_a_baseline_gains_a_revision_when_it_differs(registry, clock):
    """The same metrics from the same source add nothing; others add a revision; old ones stay."""
    first = registry.baselines.put("golden", {"success_rate": 0.9}, "job-1")
    clock.advance(hours=1)
    assert registry.baselines.put("golden", {"success_rate": 0.9}, "job-1") == first
    second = registry.baselines.put("golden", {"success_rate": 0.95}, "job-2")
    assert (first.revision, second.revision) == (1, 2)
    assert registry.baselines.history("golden") == [first, second]
    assert registry.baselines.latest("golden") == second
    assert registry.baselines.latest("nothing") is None
