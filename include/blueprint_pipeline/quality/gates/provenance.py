"""The gate on licences: everything in the episode may be sold."""

from blueprint_pipeline.origin import Origin
from blueprint_pipeline.quality.gates.case import EpisodeCase, Measurement, not_measured
from blueprint_pipeline.quality.tiers import GateRule


def measure_licences(case: EpisodeCase, _rule: GateRule) -> Measurement:
    """Assets and components whose licence is unknown or forbids selling."""
    if case.licence_blockers is None:
        return not_measured("the scene manifest states no assets")
    told = "; ".join(f"{blocker.name}: {blocker.problem} ({blocker.licence or blocker.evidence})" for blocker in case.licence_blockers[:5])
    return Measurement(float(len(case.licence_blockers)), told, Origin.AUTHORED)
