"""What batches cover, in the registry: each batch once, whatever is told how often, and by whom."""

from concurrent.futures import ThreadPoolExecutor

from blueprint_pipeline.registry.coverage import CoverageEvidence, CoverageRecord

PLANNED = CoverageEvidence(plan_sha256="1" * 64)


def record(batch="a", robot="franka_panda", kept=0, evidence=PLANNED):
    return CoverageRecord(
        scene_id="kitchen", batch=batch, robot=robot, job_id="job-1", scene_sha256="2" * 64, evidence=evidence, document={"kept": kept}
    )


def test_the_same_batch_again_replaces_its_counts(registry, clock):
    """And another one, of another robot, stands beside it; another scene has none of them."""
    registry.coverage.record(record(kept=3))
    clock.advance(minutes=1)
    registry.coverage.record(record(kept=4))
    registry.coverage.record(record("b", "ur10e_robotiq_2f85", kept=9))
    found = registry.coverage.of_scene("kitchen")
    assert [(item.batch, item.robot, item.document["kept"]) for item in found] == [
        ("a", "franka_panda", 4),
        ("b", "ur10e_robotiq_2f85", 9),
    ]
    assert found[0].recorded_at == clock()
    assert registry.coverage.of_scene("cellar") == []


def test_evidence_says_whether_more_is_known_already(registry):
    """A plan is not counted anew where the gates spoke of that very plan; of another plan they said nothing."""
    gated = CoverageEvidence(plan_sha256="1" * 64, gates_sha256="3" * 64)
    assert registry.coverage.evidence("kitchen", "a") is None
    registry.coverage.record(record(evidence=gated))
    found = registry.coverage.evidence("kitchen", "a")
    assert found == gated
    assert PLANNED.tells_no_more_than(found)
    assert gated.tells_no_more_than(found)
    assert not CoverageEvidence(plan_sha256="4" * 64).tells_no_more_than(found)
    assert not CoverageEvidence(plan_sha256="1" * 64, gates_sha256="5" * 64).tells_no_more_than(found)
    assert not gated.model_copy(update={"renders_sha256": "6" * 64}).tells_no_more_than(found)


def test_writers_at_the_same_time_lose_nothing(registry):
    """Eight write twelve batches, each several times: twelve rows, each as one of them wrote it."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: registry.coverage.record(record(f"{number % 12:02}", kept=number)), range(48)))
    found = registry.coverage.of_scene("kitchen")
    assert [item.batch for item in found] == [f"{number:02}" for number in range(12)]
    assert all(item.document["kept"] % 12 == int(item.batch) for item in found)
