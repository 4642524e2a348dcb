"""Varies a compiled scene for one episode: its lights, the colours of what stands still, its camera, friction and masses.

What its surfaces show, and its backdrop, is varied by :mod:`.pictures`: only what draws needs it.

A variation is data, as ``episode.json`` has it under ``spec.variation``. Each is applied to the scene as it was compiled, not to the one
before: the order of episodes changes nothing, and a scene whose variation names nothing is bit by bit the compiled one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from .pictures import find_wrong_picture

SCENE_CAMERA = "scene"
_PHYSICS = (
    "actuator_acc0",
    "body_inertia",
    "body_invweight0",
    "body_mass",
    "body_subtreemass",
    "dof_M0",
    "dof_invweight0",
    "geom_friction",
    "tendon_invweight0",
)
"""What masses and friction are, and what MuJoCo derives from them."""
_PLACES = ("cam_mat0", "cam_pos0", "cam_poscom0", "light_dir0", "light_pos0", "light_poscom0")
"""What it derives anew at the same time, and what has nothing to do with them: this stays."""
_FIELDS = frozenset({"view", "light_level", "light_tint", "light_turn_rad", "tints", "friction", "masses"})
"""What every variation has; ``textures``, ``backdrop`` and ``mounts`` stand only where they differ."""
_WIDEST_DEG = 180.0
_LOOKS = ("cam_fovy", "cam_pos", "cam_quat", "geom_rgba", "light_ambient", "light_diffuse", "light_dir", "light_pos", "mat_rgba")
_MEASURES = ("center", "extent", "meaninertia", "meanmass", "meansize")
"""Of the scene: scales for solvers and for drawing, which MuJoCo derives anew with masses. They stay."""


def check_variation(variation: Any) -> str | None:
    """What is wrong with data that should be a variation, in words; ``None``: nothing."""
    if not isinstance(variation, Mapping):
        return "it is no object"
    if missing := sorted(_FIELDS - variation.keys()):
        return f"it lacks {', '.join(missing)}"
    view = variation["view"] or {"position_m": (0.0, 0.0, 0.0), "quat_wxyz": (1.0, 0.0, 0.0, 0.0), "fovy_deg": 45.0}
    try:
        factors = [variation["light_level"], variation["friction"], *variation["light_tint"], *variation["masses"].values()]
        factors += [value for tint in variation["tints"].values() for value in tint]
        numbers = np.array([variation["light_turn_rad"], *view["position_m"], *view["quat_wxyz"], view["fovy_deg"], *factors], dtype=float)
        wrong_mount = _find_wrong_mount(variation.get("mounts", {}))
        wrong_picture = find_wrong_picture(variation.get("textures", {}), variation.get("backdrop"))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return f"it is of another form ({error!r})"
    if not np.isfinite(numbers).all() or min(factors) <= 0.0:
        return "factors are positive, and all numbers finite"
    if not 0.0 < float(view["fovy_deg"]) < _WIDEST_DEG or not np.linalg.norm(view["quat_wxyz"]) > 0.0:
        return "its view has no lens or no direction"
    return wrong_picture or wrong_mount


def _find_wrong_mount(mounts: Mapping[str, Any]) -> str | None:
    widened = np.array([mount["widening"] for mount in mounts.values()], dtype=float)
    mounted = np.array([[*mount["shift_m"], *mount["turn_quat_wxyz"]] for mount in mounts.values()], dtype=float).reshape(len(widened), 7)
    if np.isfinite(mounted).all() and (widened > 0.0).all() and (np.linalg.norm(mounted[:, 3:], axis=1) > 0.0).all():
        return None
    return "a camera on the robot has no lens, no place or no direction"


class VariedPhysics:
    """Friction and masses of a scene.

    Args:
        model: Compiled; it is changed in place. As it is now, it is the scene without variation.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model, self._plain, self._places = model, _copies(model, _PHYSICS), _copies(model, _PLACES)
        self._measures = {name: np.array(getattr(model.stat, name)) for name in _MEASURES}
        self._varied = False
        self._data: mujoco.MjData | None = None

    def apply(self, variation: Mapping[str, Any]) -> None:
        """Vary the scene from its compiled self; states are then to be set or restored anew.

        Raises:
            KeyError: A mass is of an object that the scene does not have.
        """
        model, friction = self._model, float(variation["friction"])
        masses = {name: float(factor) for name, factor in variation["masses"].items() if factor != 1.0}
        if self._varied:
            self.put_back()
        self._varied = friction != 1.0 or bool(masses)
        model.geom_friction[:, 0] *= friction  # all: a contact has the friction of one of its two
        if masses:
            self._weigh(masses)

    def put_back(self) -> None:
        """Make it the compiled scene again."""
        _put_back(self._model, self._plain)
        self._varied = False

    def _weigh(self, masses: Mapping[str, float]) -> None:
        model = self._model
        for name, factor in masses.items():
            body = model.body(name).id
            model.body_mass[body] *= factor
            model.body_inertia[body] *= factor
        if self._data is None:
            self._data = mujoco.MjData(model)
        mujoco.mj_setConst(model, self._data)
        _put_back(model, self._places)
        for name, value in self._measures.items():
            setattr(model.stat, name, value)


class VariedLooks:
    """Lights, colours and the camera of a scene.

    Args:
        model: Compiled, with the lights of its render profile; it is changed in place. As it is now, it is the scene without variation.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model, self._plain = model, _copies(model, _LOOKS)
        self._headlight = {name: np.array(getattr(model.vis.headlight, name)) for name in ("ambient", "diffuse")}

    def apply(self, variation: Mapping[str, Any]) -> None:
        """Vary the scene from its compiled self. Make data of the model afterwards: MuJoCo looks once at lights that stand still.

        Raises:
            KeyError: A tint is of a body that the scene does not have, or the scene has no camera of its own, or no such camera on the
                robot, where one is turned.
        """
        self.put_back()
        model, light = self._model, float(variation["light_level"]) * np.array(variation["light_tint"])
        for name, value in self._headlight.items():
            getattr(model.vis.headlight, name)[:] = np.minimum(value * light, 1.0)
        model.light_ambient[:] = np.minimum(model.light_ambient * light, 1.0)
        model.light_diffuse[:] = np.minimum(model.light_diffuse * light, 1.0)
        self._turn_lights(float(variation["light_turn_rad"]))
        for name, tint in variation["tints"].items():
            self._tint(model.body(name).id, tint)
        if (view := variation["view"]) is not None:
            camera = model.camera(SCENE_CAMERA).id
            model.cam_pos[camera], model.cam_quat[camera], model.cam_fovy[camera] = view["position_m"], view["quat_wxyz"], view["fovy_deg"]
        for name, mount in variation.get("mounts", {}).items():
            self._mount(cameras_on_robot(model)[name], mount)

    def _mount(self, camera: int, mount: Mapping[str, Any]) -> None:
        """Shift a camera in its own frame, turn it, and widen its view."""
        model, axes, quat = self._model, np.zeros(9), np.zeros(4)
        mujoco.mju_quat2Mat(axes, model.cam_quat[camera])
        model.cam_pos[camera] += axes.reshape(3, 3) @ np.array(mount["shift_m"], dtype=float)
        mujoco.mju_mulQuat(quat, model.cam_quat[camera], np.array(mount["turn_quat_wxyz"], dtype=float))
        model.cam_quat[camera] = quat
        model.cam_fovy[camera] *= mount["widening"]

    def put_back(self) -> None:
        """Make it the compiled scene again."""
        _put_back(self._model, self._plain)
        for name, value in self._headlight.items():
            getattr(self._model.vis.headlight, name)[:] = value

    def _turn_lights(self, turn_rad: float) -> None:
        if turn_rad == 0.0:
            return
        model, (cosine, sine) = self._model, (np.cos(turn_rad), np.sin(turn_rad))
        turn = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
        middle = model.stat.center * [1.0, 1.0, 0.0]
        model.light_dir[:] = model.light_dir @ turn.T
        model.light_pos[:] = (model.light_pos - middle) @ turn.T + middle

    def _tint(self, body: int, tint: Sequence[float]) -> None:
        """Colours of a body; not those of a material that another body has, too."""
        model = self._model
        own = model.geom_bodyid == body
        materials = set(model.geom_matid[own]) - set(model.geom_matid[~own]) - {-1}
        for material in materials:
            model.mat_rgba[material, :3] = np.minimum(model.mat_rgba[material, :3] * tint, 1.0)
        bare = own & (model.geom_matid < 0)
        model.geom_rgba[bare, :3] = np.minimum(model.geom_rgba[bare, :3] * tint, 1.0)


def cameras_on_robot(model: mujoco.MjModel) -> dict[str, int]:
    """Ids of the cameras that a robot carries, by their names without the robot's prefix."""
    names = [model.camera(camera).name.rpartition("/") for camera in range(model.ncam)]
    return {own: camera for camera, (prefix, _, own) in enumerate(names) if prefix}


def _copies(model: mujoco.MjModel, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    return {name: getattr(model, name).copy() for name in names}


def _put_back(model: mujoco.MjModel, plain: Mapping[str, NDArray[Any]]) -> None:
    for name, values in plain.items():
        getattr(model, name)[:] = values
