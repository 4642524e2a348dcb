"""What can be wrong when episodes are judged."""

from collections.abc import Sequence
from dataclasses import field

from blueprint_pipeline.errors import GateError


class NothingKept(GateError):
    """Every episode was judged, and none is good enough."""

    code = "quality.nothing_kept"
    template = (
        "{stage} kept none of {attempted} episodes of scene {scene_id} (tier {tier}).{waiting} Top reasons: {reasons:; }. "
        "geniesim/quality/ has every episode's gates; correct the scene, the task or the robot's place, and plan again."
    )

    scene_id: str
    stage: str
    tier: str = field(kw_only=True)
    attempted: int = field(kw_only=True)
    borderline: int = field(kw_only=True)
    reasons: Sequence[str] = field(kw_only=True)

    @property
    def waiting(self) -> str:
        """A sentence about the episodes that a person may still approve."""
        return f" {self.borderline} are borderline and need a person's approval first." if self.borderline else ""


class TooAlike(GateError):
    """The kept episodes are too much like each other to teach more than one of them."""

    code = "quality.too_alike"
    template = (
        "The {kept} episodes that {stage} kept of scene {scene_id} do not spread over what the scene allows: {failed:; }. "
        "geniesim/quality/ has the figures. Make room on the surface, so that objects can start elsewhere, or plan more episodes."
    )

    scene_id: str
    stage: str
    failed: Sequence[str]
    kept: int = field(kw_only=True)
