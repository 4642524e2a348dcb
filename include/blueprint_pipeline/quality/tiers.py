"""The limits of the gates by tier, from ``include/config/tiers.yaml``."""

from functools import cache
from typing import Literal

from pydantic import Field, model_validator

from blueprint_pipeline.config_file import ConfigFileInvalid, load_config
from blueprint_pipeline.config_folder import CONFIG_FOLDER
from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.quality.config_files import TIERS_FILE
from blueprint_pipeline.quality.verdicts import Tier, WhenFailed


class InvalidQualityConfig(ConfigFileInvalid):
    """A file of limits or licences cannot be used."""

    code = "quality.invalid_config"
    advice = "Correct the file; every gate needs a limit for every tier."


class TierRule(FrozenModel):
    """What a tier promises."""

    min_score: float = Field(ge=0, le=1)
    """Least score where a gate's value is a score."""
    commercial: bool
    """Whether the tier is sold: every licence must allow it."""


class Rule(FrozenModel):
    """How a value is compared with a limit, and why."""

    unit: str
    direction: Literal["at_most", "at_least"]
    borderline_fraction: float = Field(default=0.0, ge=0, lt=1)
    """A value within this share of the limit, on either side, is for a person; 0: the limit alone decides."""
    why: str = Field(min_length=20)


class SetRule(Rule):
    """Limits of a measure of all kept episodes together, named like the measure."""

    limits: dict[Tier, float]
    fewest_episodes: int = Field(ge=2)
    """Of fewer the measure says little, and is reported only."""
    of: Literal["episodes", "object_episodes", "part_episodes"] = "episodes"
    """Which episodes these are: all, those that move an object, or those that move a part of one."""

    @model_validator(mode="after")
    def _is_whole(self) -> "SetRule":
        if set(self.limits) != {"core", "plus", "full"}:
            raise ValueError("limits must name core, plus and full")
        if self.borderline_fraction:
            raise ValueError("nobody is asked about a set of episodes: borderline_fraction must be 0")
        return self


class GateRule(Rule):
    """One gate's limits and their reason."""

    stage: Literal["episodes", "renders"]
    when_failed: WhenFailed
    limits: dict[Tier, float] | Literal["min_score"]
    parameters: dict[str, float] = {}
    """Further numbers of this gate, each with its unit in its name."""

    @model_validator(mode="after")
    def _is_whole(self) -> "GateRule":
        if isinstance(self.limits, dict) and set(self.limits) != {"core", "plus", "full"}:
            raise ValueError("limits must name core, plus and full")
        if self.stage == "renders" and self.borderline_fraction:
            raise ValueError("nobody is asked after rendering: borderline_fraction must be 0")
        return self


class TierConfig(FrozenModel):
    """``tiers.yaml``."""

    schema_version: Literal["1.0"]
    version: str
    tiers: dict[Tier, TierRule]
    gates: dict[str, GateRule]
    set_gates: dict[str, SetRule]

    @model_validator(mode="after")
    def _is_whole(self) -> "TierConfig":
        if set(self.tiers) != {"core", "plus", "full"}:
            raise ValueError("tiers must be core, plus and full")
        return self

    def limit(self, gate: str, tier: Tier) -> float:
        """The number that decides."""
        limits = self.gates[gate].limits
        return self.tiers[tier].min_score if limits == "min_score" else limits[tier]


@cache
def load_tiers() -> TierConfig:
    """Read the limits that ship with the package.

    Raises:
        InvalidQualityConfig: The file is missing or not in its format.
    """
    return load_config(CONFIG_FOLDER / TIERS_FILE, TierConfig, InvalidQualityConfig)
