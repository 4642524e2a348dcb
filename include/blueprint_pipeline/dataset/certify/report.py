"""``geniesim/certification/report.json``: what looked at a dataset, and what it said."""

from typing import Literal

from blueprint_pipeline.dataset.formats import FormatName
from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.origin import Origin
from blueprint_pipeline.workspace.storage import Id

Status = Literal["passed", "failed", "not_run"]
Severity = Literal["defect", "advice"]


class GraderFinding(FrozenModel):
    """One thing that a check says.

    A ``defect`` is something wrong with the data; ``advice`` speaks of how well one may learn from them, or of what is
    unusual, and never fails a check.
    """

    severity: Severity
    code: str
    message: str


class CheckResult(FrozenModel):
    """One check of one dataset."""

    check: str
    """``lerobot.frames_match_states``, ``grader.rdq``, …"""
    dataset: FormatName
    status: Status
    required: bool
    """Whether a dataset without it is not certified."""
    reason: str
    """For people: what was looked at and found, or why it did not run."""
    origin: Origin
    """``measured`` where the check ran, ``absent`` where not."""
    tool: str
    tool_version: str | None
    verdict: str | None = None
    """In the tool's own words."""
    findings: tuple[GraderFinding, ...] = ()


class CertificationReport(FrozenModel):
    """All checks of a scene's datasets."""

    schema_version: Literal["1.0"] = "1.0"
    scene_id: Id
    job_id: Id
    certified: bool
    """Every required check ran and passed."""
    environment: dict[str, str]
    """Versions of what certified; empty where there is no such environment."""
    episodes: int
    frames: int
    checks: tuple[CheckResult, ...]

    def with_status(self, status: Status) -> list[str]:
        """Names of the checks that ended so."""
        return [check.check for check in self.checks if check.status == status]


def not_run(check: str, dataset: FormatName, *, required: bool, reason: str, tool: str) -> CheckResult:
    """A check that nobody made: never passed, and never left out."""
    return CheckResult(
        check=check, dataset=dataset, status="not_run", required=required, reason=reason, origin=Origin.ABSENT, tool=tool, tool_version=None
    )


def is_certified(checks: tuple[CheckResult, ...]) -> bool:
    """Whether every required check ran and passed."""
    required = [check for check in checks if check.required]
    return bool(required) and all(check.status == "passed" for check in required)
