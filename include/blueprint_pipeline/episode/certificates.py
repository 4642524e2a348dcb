"""What replay certificates say, in words: the card, the report and the statement say the same, and no more than was shown."""

from collections import Counter
from collections.abc import Sequence
from typing import get_args

from blueprint_pipeline.episode.record import ReplayCertificate, ReplayRule


def count_rules(certificates: Sequence[ReplayCertificate]) -> dict[str, int]:
    """How many episodes replayed, by the rule of their certificate; rules of which there is none are left out."""
    counts = Counter(certificate.rule for certificate in certificates if certificate.replayed)
    return {rule: counts[rule] for rule in get_args(ReplayRule) if counts[rule]}


def describe_replays(certificates: Sequence[ReplayCertificate]) -> str:
    """A sentence or two on how the episodes came out when they were executed again."""
    told = []
    counts = count_rules(certificates)
    if "bit_identical" in counts:
        told.append(f"{counts['bit_identical']} episodes were executed again from their stored states and came out bit-identical.")
    if "k_of_n" in counts:
        evidence = [item.k_of_n for item in certificates if item.replayed and item.k_of_n is not None]
        held = min(item.held for item in evidence)
        executions = min(len(item.executions) for item in evidence)
        spread_mm = 1000 * max(item.spread_m or 0.0 for item in evidence)
        told.append(
            f"{counts['k_of_n']} episodes are certified by the k-of-n rule, not bit by bit: their simulator gives no same states twice. "
            f"Each was executed again {executions} times or more, did its task in {held} or more of them, and its target ended within "
            f"{spread_mm:.1f} mm of the recording; the pictures show the recorded states."
        )
    return " ".join(told) or "No episode was executed again."
