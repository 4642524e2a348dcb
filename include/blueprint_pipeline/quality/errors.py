"""What can be wrong when episodes are judged."""

from blueprint_pipeline.errors import GateError


class NothingKept(GateError):
    """Every episode was judged, and none is good enough."""

    code = "quality.nothing_kept"

    def __init__(self, scene_id: str, stage: str, *, tier: str, attempted: int, borderline: int, reasons: list[str]) -> None:
        waiting = f" {borderline} are borderline and need a person's approval first." if borderline else ""
        super().__init__(
            f"{stage} kept none of {attempted} episodes of scene {scene_id} (tier {tier}).{waiting} "
            f"Top reasons: {'; '.join(reasons) or 'none given'}. "
            "Look at geniesim/quality/ for every episode's gates, mend the scene, the task or the robot's place, and plan again.",
            scene_id=scene_id,
            stage=stage,
            tier=tier,
            attempted=attempted,
            borderline=borderline,
            reasons=reasons,
        )
