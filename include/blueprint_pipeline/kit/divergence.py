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


def find_diverged_body(model: mujoco.MjModel, data: mujoco.MjData) -> str | None:
    """The body of the first coordinate that MuJoCo found bad, positions first; ``None`` where it did not warn.

    Source: ``mj_checkPos``, ``mj_checkVel`` and ``mj_checkAcc`` note the index of the first bad element.
    """
    for name, warning in _WARNINGS.items():
        noted = data.warning[warning.value]
        if noted.number:
            starts = model.jnt_qposadr if name == "qpos" else model.jnt_dofadr
            joint = int(np.searchsorted(starts, noted.lastinfo, side="right")) - 1
            return str(model.body(int(model.jnt_bodyid[joint])).name)
    return None


def find_divergence(data: mujoco.MjData) -> str | None:
    """What was or is not finite, or huge, since the state was last reset by us: ``qpos``, ``qvel`` or ``qacc``; ``None`` if nothing."""
    for name, warning in _WARNINGS.items():
        if data.warning[warning.value].number or not np.isfinite(getattr(data, name)).all():
            return name
    return None
