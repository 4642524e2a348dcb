"""What replay certificates say, in words: the card, the report and the statement say the same, and no more than was shown."""

from collections import Counter
from collections.abc import Sequence
from typing import get_args

from blueprint_pipeline.episode.record import ReplayCertificate, ReplayRule
from blueprint_pipeline.simulation.platform_class import Platform
from blueprint_pipeline.simulation.render_profiles import RenderProfile


def count_rules(certificates: Sequence[ReplayCertificate]) -> dict[str, int]:
    """How many episodes replayed, by the rule of their certificate; rules of which there is none are left out."""
    counts = Counter(certificate.rule for certificate in certificates if certificate.replayed)
    return {rule: counts[rule] for rule in get_args(ReplayRule) if counts[rule]}


def describe_render_profile(profile: RenderProfile | None) -> str:
    """A sentence on how good the pictures are, with every setting, so that others can draw the same."""
    if profile is None:
        return "The simulator drew the pictures as it does by itself."
    light = [f"headlight {profile.headlight[0]} ambient and {profile.headlight[1]} diffuse"] if profile.headlight else []
    if profile.lamps:
        lamps = profile.lamps
        light.append(f"lamps {lamps.distance_m} m away with cones of {lamps.cutoff_deg} degrees, {lamps.diffuse} diffuse")
    settings = [
        f"{profile.samples} sample(s) a pixel",
        f"shadows from a map of {profile.shadow_map_px} px" if profile.shadow_map_px else "no shadows",
        "reflections" if profile.reflections else "no reflections",
        *(light or ["the scene's own lights"]),
    ]
    return f"Pictures were drawn with the render profile `{profile.name}`: {', '.join(settings)}."


def describe_replays(certificates: Sequence[ReplayCertificate]) -> str:
    """A sentence or two on how the episodes came out when they were executed again."""
    told = []
    counts = count_rules(certificates)
    if "bit_identical" in counts:
        told.append(f"{counts['bit_identical']} episodes were executed again from their stored states and came out bit-identical.")
    if "bounded" in counts:
        bounded = [item for item in certificates if item.replayed and item.rule == "bounded"]
        largest = max(item.max_abs_qpos_difference for item in bounded if item.max_abs_qpos_difference is not None)
        told.append(
            f"{counts['bounded']} episodes were executed again on another class of machine than they were made on, where the last bits "
            f"differ: each did its task again, with states within {largest:.2g} of the recorded ones (m, rad); the pictures show the "
            "recorded states."
        )
    if "k_of_n" in counts:
        evidence = [item.k_of_n for item in certificates if item.replayed and item.rule == "k_of_n" and item.k_of_n is not None]
        held = min(item.held for item in evidence)
        executions = min(len(item.executions) for item in evidence)
        spread_mm = 1000 * max(item.spread_m or 0.0 for item in evidence)
        told.append(
            f"{counts['k_of_n']} episodes are certified by the k-of-n rule, not bit by bit: their simulator gives no same states twice. "
            f"Each was executed again {executions} times or more, did its task in {held} or more of them, and its target ended within "
            f"{spread_mm:.1f} mm of the recording; the pictures show the recorded states."
        )
    machines = sorted({_describe_machine(item.platform) for item in certificates if item.replayed and item.platform is not None})
    told += [f"Executed on {' and on '.join(machines)}: other machines give the same bits if their class is the same."] if machines else []
    return " ".join(told) or "No episode was executed again."


def _describe_machine(platform: Platform) -> str:
    own = platform.platform_class
    features = f" with {', '.join(platform.cpu_features)}" if platform.cpu_features else ""
    return f"{own.machine}{features}, {platform.libm} (class {own.libm_sha256[:12]}), {platform.wheel}"
