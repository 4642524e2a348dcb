"""Whether a state blew up: MuJoCo resets it to the start by itself then, and only its warnings tell.

Source: MuJoCo documentation, "Computation: Divergence" and ``mjtWarning``.
"""

import mujoco
import numpy as np

_WARNINGS = {
    "qpos": mujoco.mjtWarning.mjWARN_BADQPOS,
    "qvel": mujoco.mjtWarning.mjWARN_BADQVEL,
    "qacc": mujoco.mjtWarning.mjWARN_BADQACC,
}


def find_divergence(data: mujoco.MjData) -> str | None:
    """What was or is not finite, or huge, since the state was last reset by us: ``qpos``, ``qvel`` or ``qacc``; ``None`` if nothing."""
    for name, warning in _WARNINGS.items():
        if data.warning[warning.value].number or not np.isfinite(getattr(data, name)).all():
            return name
    return None
