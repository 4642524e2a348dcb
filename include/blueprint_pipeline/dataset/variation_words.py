"""How scenes differ from episode to episode, in words."""

import math

from blueprint_pipeline.task.variation import VariationRanges


def describe_variation(ranges: VariationRanges) -> str:
    """From episode to episode, what differs in the scene and how far, in a paragraph."""
    if ranges.is_plain:
        return "The scene looks and weighs the same in every episode."
    (dark, bright), (smooth, rough), (light, heavy) = ranges.light_level, ranges.friction, ranges.mass
    return (
        f"Variation `{ranges.name}`. From episode to episode the scene's camera stands up to {ranges.camera_m * 100:g} cm from its place, "
        f"is turned by up to {math.degrees(ranges.camera_rad):.2f}° about each axis and sees up to {ranges.zoom:.0%} wider; lights are "
        f"{dark:g} to {bright:g} times as bright, with up to {ranges.warmth:.0%} less of blue or of red, and turned by up to "
        f"{math.degrees(ranges.light_turn_rad):.0f}°; the room and its furniture are up to {ranges.tint:.0%} darker in each of red, green "
        f"and blue; all contacts slide with {smooth:g} to {rough:g} times their friction, and movable objects have {light:g} to "
        f"{heavy:g} times their mass. "
        f"{_describe_mounts(ranges)}{_describe_taken_away(ranges)}"
        f"{_describe_pictures(ranges)}"
        "Light and camera come nearer to those of the scene where words for colours would not hold, a wall would hide the light, or the "
        "target would not be seen, and pictures and backdrop where what the sentence names would not stand out. What acted stands for each "
        "episode in `episodes.jsonl`, under `spec.variation`."
    )


def _describe_mounts(ranges: VariationRanges) -> str:
    """How cameras sit on the robot, in a sentence."""
    if ranges.mount_m == ranges.mount_rad == ranges.mount_zoom == 0.0:
        return ""
    return (
        f"Cameras on the robot sit up to {ranges.mount_m * 1000:g} mm from their place to each side, up, down and ahead, "
        f"are turned by up to {math.degrees(ranges.mount_rad):.2f}° about each axis, "
        f"and see up to {ranges.mount_zoom:.0%} wider or narrower. "
    )


def _describe_taken_away(ranges: VariationRanges) -> str:
    """Which objects are away, in a sentence."""
    if ranges.taken_away == 0.0:
        return ""
    return (
        f"Of the objects that the sentence does not name and that bear nothing, {ranges.taken_away:.0%} are away: they lie on the floor "
        "out of sight, and `spec.taken_away` names them. "
    )


def _describe_pictures(ranges: VariationRanges) -> str:
    """What is on surfaces and beyond them, in a sentence."""
    if ranges.textured == ranges.backdrop == 0.0:
        return ""
    return (
        f"Of the surfaces that stand still and have a picture that is laid out by length, {ranges.textured:.0%} show wood, stone, tiles, "
        "cloth or plaster instead, made from a seed, in colours up to "
        f"{ranges.texture_colour:.0%} of the way from the surface's own to usual ones; "
        f"the backdrop goes up to {ranges.backdrop:.0%} of the way to that of another place. "
    )
