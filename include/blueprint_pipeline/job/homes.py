"""Where the robot starts in an episode."""

import numpy as np

from blueprint_pipeline.job.site import Site
from blueprint_pipeline.robot.layout import home_joints, open_widths, start_qpos
from blueprint_pipeline.skill.contract import StartState

ARM_JITTER_RAD = 0.08
"""How far each joint starts from its default at most: the tool starts anywhere in a space of some 20 cm."""
_TRIES = 20


def draw_home(site: Site, start: StartState, target: str, rng: np.random.Generator) -> tuple[float, ...]:
    """Where the robot starts: near its default pose, touching and hiding nothing; the default itself where so many draws do."""
    embodiment = site.place.embodiment
    home, widths_m = home_joints(embodiment), open_widths(embodiment)
    for _ in range(_TRIES):
        drawn = start_qpos(embodiment, home + rng.uniform(-ARM_JITTER_RAD, ARM_JITTER_RAD, len(home)), widths_m)
        if site.is_good_home(start, target, drawn):
            return drawn
    return start_qpos(embodiment, home, widths_m)
