"""One way to say what is certified and what is not."""

from blueprint_pipeline.dataset.certify.describe import describe_certification


def test_all_checks_passed():
    assert describe_certification(certified=True, passed=["a", "b"], failed=[], not_run=[]) == "certified: all 2 checks passed"


def test_failed_checks_are_named_and_checks_that_did_not_run_by_program():
    words = describe_certification(
        certified=False, passed=["a"], failed=["grader.rdq"], not_run=["lerobot.loads", "lerobot.items", "twin.x"]
    )
    assert words == "not certified: of 5 checks 1 failed (grader.rdq), 3 did not run (lerobot, readers of v2.1), 1 passed"


def test_certified_with_optional_checks_left_out_says_so():
    words = describe_certification(certified=True, passed=["a"], failed=[], not_run=["grader.rdq"])
    assert words == "certified: of 2 checks 1 did not run (public graders), 1 passed"
