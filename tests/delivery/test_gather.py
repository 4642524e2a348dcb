"""What the report page is told of the checks."""

from blueprint_pipeline.dataset.certify.report import CheckResult, not_run
from blueprint_pipeline.delivery.gather import check_rows
from blueprint_pipeline.origin import Origin


def passed(name):
    return CheckResult(
        check=name, dataset="v3.0", status="passed", required=True, reason="fine", origin=Origin.MEASURED, tool="rdq", tool_version="1.0"
    )


def absent(name, reason):
    return not_run(name, "v2.1", required=True, reason=reason, tool="lerobot")


def test_checks_that_did_not_run_for_one_reason_share_a_row():
    """Nothing is left out: the row names each; a check with a reason of its own keeps its row."""
    checks = [absent("a.x", "not installed"), passed("b.y"), absent("a.z", "not installed"), absent("c.w", "too few ran")]
    assert [(row.name, row.status, row.detail) for row in check_rows(checks)] == [
        ("b.y (v3.0)", "passed", "rdq 1.0: fine"),
        ("c.w (v2.1)", "not_run", "lerobot: too few ran"),
        ("2 checks", "not_run", "not installed: a.x (v2.1), a.z (v2.1)"),
    ]
