"""What can be wrong when episodes are judged."""

from blueprint_pipeline.config_file import ConfigFileInvalid
from blueprint_pipeline.errors import GateError, InputError


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


class InvalidQualityConfig(ConfigFileInvalid):
    """A file of limits or licences cannot be used."""

    code = "quality.invalid_config"
    advice = "Correct the file; every gate needs a limit for every tier."


class UnknownDecision(InputError):
    """A person decided on an episode that waits for no decision."""

    code = "quality.unknown_decision"

    def __init__(self, episode_id: str, verdict: str | None, waiting: list[str]) -> None:
        found = "is not in gates.json" if verdict is None else f"is '{verdict}', not 'borderline'"
        super().__init__(
            f"The decision on episode {episode_id} cannot be recorded: it {found}. Waiting for a decision: {', '.join(waiting) or 'none'}.",
            episode_id=episode_id,
            verdict=verdict,
            waiting=waiting,
        )
