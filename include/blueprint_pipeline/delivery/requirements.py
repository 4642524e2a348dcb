"""Whether a dataset is what a lab agreed to take."""

from collections.abc import Sequence

from blueprint_pipeline.dataset.certify.report import CertificationReport
from blueprint_pipeline.dataset.formats import FORMATS
from blueprint_pipeline.delivery.lab import LabProfile, LabThresholds
from blueprint_pipeline.delivery.sources import BundleSources
from blueprint_pipeline.errors import GateError

_TIERS = ("core", "plus", "full")


class LabRequirementUnmet(GateError):
    """The dataset is sound, but not what the lab agreed to take."""

    code = "delivery.lab_requirement_unmet"
    template = "Lab {lab} does not take this dataset: {requirements:; }. The thresholds stand in include/config/labs/{lab}.yaml."

    lab: str
    requirements: Sequence[str]


def check_requirements(lab: LabProfile, sources: BundleSources) -> list[str]:
    """What the dataset falls short of; empty: the lab takes it."""
    kept, attempted = len(sources.kept), len(sources.plan.episodes)
    limits = lab.thresholds
    found = []
    if kept < limits.min_episodes:
        found.append(f"{kept} kept episodes, at least {limits.min_episodes} wanted")
    if attempted and kept / attempted < limits.min_kept_ratio:
        found.append(f"{kept / attempted:.2f} of the attempts kept, at least {limits.min_kept_ratio:.2f} wanted")
    if _TIERS.index(sources.renders.tier) < _TIERS.index(lab.tier):
        found.append(f"judged by tier {sources.renders.tier}, tier {lab.tier} wanted")
    unreplayed = [item.record.episode_id for item in sources.kept_attempts() if item.certificate is None or not item.certificate.replayed]
    if unreplayed:
        found.append(f"no replay certificate for {', '.join(unreplayed)}")
    written = {check.dataset for check in sources.certification.checks}
    if unwritten := [name for name in lab.formats if FORMATS[name].on_request and name not in written]:
        found.append(f"not written as {', '.join(unwritten)}: the run must ask for it (`more_formats`)")
    found += _check_certification(sources.certification, limits, "")
    if sources.failures is not None:
        unproven = [
            item.record.episode_id for item in sources.failures.attempts if item.certificate is None or not item.certificate.replayed
        ]
        found += [f"no replay certificate for failed {', '.join(unproven)}"] if unproven else []
        found += _check_certification(sources.failures.certification, limits, "of failures: ")
    return found


def _check_certification(report: CertificationReport, limits: LabThresholds, what: str) -> list[str]:
    found = []
    failed = sorted({check.check for check in report.checks if check.required and check.status == "failed"})
    if failed:
        found.append(f"{what}certification failed: {', '.join(failed)}")
    missing = sorted({check.check for check in report.checks if check.required and check.status == "not_run"})
    if missing and limits.uncertified == "refuse":
        found.append(
            f"{what}not certified, since these checks did not run: {', '.join(missing)} (`make certify-env` makes their environment)"
        )
    return found


def validate_requirements(lab: LabProfile, sources: BundleSources) -> None:
    """Refuse a dataset that the lab did not agree to take.

    Raises:
        LabRequirementUnmet: It falls short of a threshold, or a certifying check failed.
    """
    found = check_requirements(lab, sources)
    if found:
        raise LabRequirementUnmet(lab.id, found)
