"""Isaac Sim itself, for 5.1 and 6.x: the only module that imports ``isaacsim``, ``omni`` or ``carb``.

Physics goes through ``omni.physx`` and its tensor views, which 5.1 and 6.x have in common, and not through ``isaacsim.core.prims`` (5.1;
deprecated in 6.0) or ``isaacsim.core.experimental.prims`` (6.x). What differs is in :data:`VERSIONS`. Physics runs on the CPU, and only
when we step it: Kit's own updates, which drawing needs, must not. Never run with a real Isaac Sim yet: docs/simulators.md.

Source: Isaac Sim 5.1 and 6.x documentation (``SimulationApp``, ``SimulationManager``, Replicator annotators); Omni Physics documentation
(``IPhysxSimulation``, contact reports, tensor API); the warm-up order and the settings are those of Isaac Lab 3.0's ``PhysxManager``
(``isaaclab_physx``), which runs on 6.x: on the CPU the stage must not be attached as well, or colliders are set up twice.
"""

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np

from blueprint_pipeline.errors import MissingPartError
from blueprint_pipeline.geometry.arrays import ImageArray
from blueprint_pipeline.simulation.errors import NotLoaded
from blueprint_pipeline.simulation.isaac_sim.calls import (
    ContactPoint,
    Float32Array,
    Origin,
    Placement,
    Readout,
    Shot,
    StageBinding,
    StepContacts,
)
from blueprint_pipeline.simulation.isaac_sim.errors import StageNotUsable


class NoFrame(MissingPartError):
    """The renderer gave no picture."""

    code = "simulation.no_frame"
    template = (
        "Isaac Sim drew nothing for camera {camera} in {tries} tries. Look for VK_ERROR_DEVICE_LOST in its log; run "
        "`bpp simulator check --preflight`: a GPU without RT cores or a driver below the minimum draws nothing."
    )

    camera: str
    tries: int


class IsaacSimUnsupported(MissingPartError):
    """This version of Isaac Sim is not one whose API is known here."""

    code = "simulation.isaac_sim_unsupported"
    template = "Isaac Sim {version} is installed; the API is known for {known}. Use an image of one of these."

    version: str
    known: list[str]


class IsaacSimMissing(MissingPartError):
    """This Python is not Isaac Sim's."""

    code = "simulation.isaac_sim_missing"
    template = "Isaac Sim is not in this Python ({reason}). Run in the image isaac: docs/simulators.md."

    reason: str


@dataclass(frozen=True)
class ApiVersion:
    """What differs between versions."""

    choose_physx: bool
    """More engines than PhysX are built in, and PhysX must be chosen."""


VERSIONS: Final = {"5.1": ApiVersion(choose_physx=False), **{f"6.{minor}": ApiVersion(choose_physx=True) for minor in range(3)}}
"""By the first two numbers of the version."""

_LAUNCH: Final = {
    "headless": True,
    "multi_gpu": False,
    "disable_viewport_updates": True,
    # A fast shutdown ends the process with status 0, whatever was found.
    "fast_shutdown": False,
}
_SETTINGS: Final = {
    "/app/player/playSimulations": False,
    "/physics/cudaDevice": -1,
    "/physics/suppressReadback": False,
    "/physics/disableContactProcessing": False,
    "/physics/updateToUsd": True,
    "/physics/updateVelocitiesToUsd": False,
    "/physics/autoPopupSimulationOutputWindow": False,
}
_FABRIC: Final = "omni.physx.fabric"
"""Would keep poses from USD, from where the renderer takes them here."""
_LOAD_UPDATES: Final = 600
_DRAW_TRIES: Final = 8
_SUBFRAMES: Final = 8
"""Frames drawn for one picture: the renderer gathers over time, and a jump leaves ghosts."""


@cache
def start_isaac_sim() -> "KitApi":
    """Start Isaac Sim in this process, once; it is kept for every scene. Call it from the main thread, before anything imports ``pxr``.

    Raises:
        IsaacSimMissing: This is not Isaac Sim's Python.
        IsaacSimUnsupported: A version whose API is not known here.
    """
    try:
        simulation_app = import_module("isaacsim").SimulationApp
    except (ImportError, AttributeError) as error:
        raise IsaacSimMissing(str(error)) from error
    with _no_arguments(), _our_signals():
        app = simulation_app(dict(_LAUNCH))
    version = str(import_module("isaacsim.core.version").get_version()[0])
    known = VERSIONS.get(".".join(version.split(".")[:2]))
    if known is None:
        raise IsaacSimUnsupported(version, list(VERSIONS))
    return KitApi(app, version, known)


@contextmanager
def _no_arguments() -> Iterator[None]:
    """Hide our command line from Kit, which would read it as its own."""
    ours = sys.argv[1:]
    sys.argv[1:] = []
    try:
        yield
    finally:
        sys.argv[1:] = ours


@contextmanager
def _our_signals() -> Iterator[None]:
    """Keep the handlers of SIGTERM and SIGINT, by which a job commits before it ends, whatever Kit sets."""
    ours = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in ours.items():
            if handler is not None:
                signal.signal(number, handler)


@dataclass(frozen=True, kw_only=True)
class _Views:
    """Tensor views of an opened stage."""

    simulation: Any
    articulation: Any
    objects: Any | None
    """``None`` where nothing moves but the robot."""
    links: Any
    object_rows: list[int]
    """Row of each asked object in the view, which may have an order of its own."""
    link_rows: list[int]
    timestep_s: float


class KitApi:
    """An :class:`~blueprint_pipeline.simulation.isaac_sim.calls.IsaacApi` on a running Isaac Sim. All calls come from the main thread.

    Args:
        app: The running ``SimulationApp``.
        version: As Isaac Sim says it.
        differences: What is particular to the version.
    """

    origin: Origin = "isaac_sim"

    def __init__(self, app: Any, version: str, differences: ApiVersion) -> None:
        self.version = version
        self._app = app
        self._views: _Views | None = None
        self._products: dict[Shot, tuple[Any, Any]] = {}
        self._physx = import_module("omni.physx")
        settings = import_module("carb.settings").get_settings()
        for name, value in _SETTINGS.items():
            settings.set(name, value)
        extensions = import_module("omni.kit.app").get_app().get_extension_manager()
        if extensions.is_extension_enabled(_FABRIC):
            extensions.set_extension_enabled_immediate(_FABRIC, False)
        for name in ("omni.physics.tensors", "omni.replicator.core"):
            extensions.set_extension_enabled_immediate(name, True)
        if differences.choose_physx:
            manager = import_module("isaacsim.core.simulation_manager").SimulationManager
            if not manager.switch_physics_engine("physx"):
                raise IsaacSimMissing("its PhysX engine cannot be chosen")

    def open_stage(self, path: Path, binding: StageBinding) -> tuple[str, ...]:
        context = import_module("omni.usd").get_context()
        if not context.open_stage(str(path)):
            raise StageNotUsable(str(path), "Isaac Sim does not open it")
        self._wait_for_assets(context, path)
        self._warm_up(binding.timestep_s)
        tensors = import_module("omni.physics.tensors")
        simulation = tensors.create_simulation_view("numpy", stage_id=context.get_stage_id())
        simulation.set_subspace_roots("/")
        articulation = simulation.create_articulation_view(binding.articulation)
        if articulation.count != 1:
            raise StageNotUsable(str(path), f"PhysX finds {articulation.count} articulations at {binding.articulation}, expected 1")
        objects = simulation.create_rigid_body_view(list(binding.objects)) if binding.objects else None
        links = simulation.create_rigid_body_view(list(binding.links))
        self._views = _Views(
            simulation=simulation,
            articulation=articulation,
            objects=objects,
            links=links,
            object_rows=_rows(objects, binding.objects, path),
            link_rows=_rows(links, binding.links, path),
            timestep_s=binding.timestep_s,
        )
        return tuple(articulation.shared_metatype.dof_names)

    def _wait_for_assets(self, context: Any, path: Path) -> None:
        for _ in range(_LOAD_UPDATES):
            self._app.update()
            _, loaded, total = context.get_stage_loading_status()
            if loaded >= total:
                return
        raise StageNotUsable(str(path), f"its assets are not loaded after {_LOAD_UPDATES} updates")

    def _warm_up(self, timestep_s: float) -> None:
        """Let PhysX read the stage. It steps once on the way; the state is set after it."""
        physx = self._physx.get_physx_interface()
        physx.force_load_physics_from_usd()
        physx.start_simulation()
        physx.update_simulation(timestep_s, 0.0)
        self._physx.get_physx_simulation_interface().fetch_results()

    def read(self) -> Readout:
        views = self._opened("read")
        robot = views.articulation
        return Readout(
            dof_positions=_float32(robot.get_dof_positions())[0],
            dof_velocities=_float32(robot.get_dof_velocities())[0],
            dof_efforts=_float32(robot.get_dof_projected_joint_forces())[0],
            object_transforms=_of_rows(views.objects, "get_transforms", views.object_rows, 7),
            object_velocities=_of_rows(views.objects, "get_velocities", views.object_rows, 6),
            link_transforms=_of_rows(views.links, "get_transforms", views.link_rows, 7),
        )

    def place(self, placement: Placement) -> None:
        views = self._opened("place")
        robot, first = views.articulation, np.zeros(1, dtype=np.uint32)
        robot.set_dof_positions(placement.dof_positions[None], first)
        robot.set_dof_velocities(placement.dof_velocities[None], first)
        robot.set_dof_position_targets(placement.dof_targets[None], first)
        if views.objects is not None:
            every = np.arange(len(views.object_rows), dtype=np.uint32)
            back = np.argsort(views.object_rows)
            views.objects.set_transforms(np.ascontiguousarray(placement.object_transforms[back]), every)
            views.objects.set_velocities(np.ascontiguousarray(placement.object_velocities[back]), every)
        views.simulation.update_articulations_kinematic()

    def advance(self, targets: Float32Array) -> Sequence[StepContacts]:
        views = self._opened("advance")
        simulation, first = self._physx.get_physx_simulation_interface(), np.zeros(1, dtype=np.uint32)
        to_path = import_module("pxr.PhysicsSchemaTools").intToSdfPath
        steps: list[StepContacts] = []
        for row in targets:
            views.articulation.set_dof_position_targets(np.ascontiguousarray(row[None]), first)
            simulation.simulate(views.timestep_s, 0.0)
            simulation.fetch_results()
            headers, points = simulation.get_contact_report()[:2]
            steps.append(tuple(_contact_points(headers, points, to_path)))
        return steps

    def draw(self, shot: Shot) -> ImageArray:
        self._opened("draw")
        self._physx.get_physx_interface().update_transformations(False, True, False)
        camera = import_module("omni.usd").get_context().get_stage().GetPrimAtPath(shot.camera)
        camera.GetAttribute("horizontalAperture").Set(shot.horizontal_aperture_mm)
        replicator = import_module("omni.replicator.core")
        _, annotator = self._product(replicator, shot)
        for _ in range(_DRAW_TRIES):
            replicator.orchestrator.step(rt_subframes=_SUBFRAMES, delta_time=0.0, pause_timeline=False)
            image = np.asarray(annotator.get_data())
            if image.shape[:2] == (shot.height, shot.width):
                return np.ascontiguousarray(image[..., :3], dtype=np.uint8)
        raise NoFrame(shot.camera, _DRAW_TRIES)

    def _product(self, replicator: Any, shot: Shot) -> tuple[Any, Any]:
        """The render product of a picture of this camera and size, with its annotator; made when first asked for."""
        if shot not in self._products:
            product = replicator.create.render_product(shot.camera, (shot.width, shot.height))
            annotator = replicator.AnnotatorRegistry.get_annotator("rgb")
            annotator.attach([product])
            self._products[shot] = (product, annotator)
        return self._products[shot]

    def close_stage(self) -> None:
        for product, annotator in self._products.values():
            annotator.detach()
            product.destroy()
        self._products.clear()
        if self._views is not None:
            self._views.simulation.invalidate()
            self._views = None
        self._physx.get_physx_interface().reset_simulation()
        import_module("omni.usd").get_context().new_stage()
        self._app.update()

    def _opened(self, call: str) -> _Views:
        if self._views is None:
            raise NotLoaded(call)
        return self._views


def _rows(view: Any | None, paths: Sequence[str], stage: Path) -> list[int]:
    """Row of each path in a view."""
    found = [] if view is None else [str(path) for path in view.prim_paths]
    missing = [path for path in paths if path not in found]
    if missing:
        raise StageNotUsable(str(stage), f"PhysX finds no rigid body at {', '.join(missing)}")
    return [found.index(path) for path in paths]


def _of_rows(view: Any | None, call: str, rows: list[int], width: int) -> Float32Array:
    return np.zeros((0, width), dtype=np.float32) if view is None else _float32(getattr(view, call)())[rows]


def _float32(values: Any) -> Float32Array:
    """A copy: views hand out their own memory, which the next step overwrites."""
    return np.array(values, dtype=np.float32)


def _contact_points(headers: Any, points: Any, to_path: Any) -> Iterator[ContactPoint]:
    for header in headers:
        actors = (str(to_path(header.actor0)), str(to_path(header.actor1)))
        start = header.contact_data_offset
        for point in points[start : start + header.num_contact_data]:
            impulse = np.array([point.impulse.x, point.impulse.y, point.impulse.z])
            normal = np.array([point.normal.x, point.normal.y, point.normal.z])
            yield ContactPoint(actors=actors, normal_impulse_ns=abs(float(impulse @ normal)), separation_m=float(point.separation))
