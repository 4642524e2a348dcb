"""How episodes of a simulator that promises no bit-identical replay are trusted: the k-of-n rule, from the tiers' limits.

An episode is drawn if any tier would take it; each tier's own limits then decide in the gates ``replay_agreement`` and ``replay_spread``.
"""

from math import ceil

from blueprint_pipeline.episode.record import KOfN
from blueprint_pipeline.quality.tiers import load_tiers

AGREEMENT, SPREAD = "replay_agreement", "replay_spread"
"""Gates whose limits make the rule."""
_SLACK = 1e-9


def load_replay_rule() -> KOfN:
    """The rule by which episodes are certified.

    Raises:
        InvalidQualityConfig: The tiers cannot be read.
    """
    config = load_tiers()
    attempts = int(config.gates[AGREEMENT].parameters["executions"])
    share = min(config.limit(AGREEMENT, tier) for tier in config.tiers)
    spread_m = max(config.limit(SPREAD, tier) for tier in config.tiers)
    return KOfN(needed=max(1, ceil(share * attempts - _SLACK)), attempts=attempts, spread_m=spread_m)
