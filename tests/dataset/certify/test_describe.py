"""One way to say what is certified and what is not."""

from blueprint_pipeline.dataset.certify.describe import describe_certification


def test_all_checks_passed():
    assert describe_certification(certified=True, passed=["a", "b"], failed=[], not_run=[]) == "certified: all 2 checks passed"


def test_what_failed_and_what_did_not_run_are_named():
    words = describe_certification(certified=False, passed=["a"], failed=["rdq"], not_run=["lerobot", "kalanos"])
    assert words == "not certified: 1 check failed (rdq); 2 checks did not run (lerobot, kalanos); 1 check passed"


def test_many_names_are_counted():
    words = describe_certification(certified=False, passed=[], failed=[], not_run=list("abcdef"))
    assert words == "not certified: 6 checks did not run (a, b, c, d and 2 more); 0 checks passed"
