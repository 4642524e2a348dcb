"""The modules of Isaac Sim that ``api.py`` imports, with the signatures that NVIDIA documents, on the stand-in.

They show that ``api.py`` is sound Python and calls them in an order that makes sense. That the real ones are as they are here is what
only a GPU pod can show.
"""

import signal
import sys
from types import ModuleType, SimpleNamespace

import mujoco
import numpy as np
from pxr import Usd, UsdPhysics

from blueprint_pipeline.simulation.isaac_sim.calls import Shot, StageBinding
from tests.simulation.isaac_sim.stand_in import MujocoStandIn


class FakeKit:
    """A running Isaac Sim."""

    def __init__(self, version="5.1.0", engine_answers=True):
        self.version = version
        self.engine_answers = engine_answers
        self.settings = {}
        self.enabled = {"omni.physx.fabric"}
        self.engine = None
        self.started = []
        self.argv_when_started = None
        self.stand_in = None
        self.stage = None
        self.warmed_up = False
        self.reports = []
        self.empty_frames = 2
        self.fresh = False

    def install(self, monkeypatch):
        """Put the modules where imports find them."""
        modules = {
            "isaacsim": SimpleNamespace(SimulationApp=self.start),
            "isaacsim.core.version": SimpleNamespace(get_version=lambda: (self.version, "rc.19", "5", "1", "0", "", "", "")),
            "isaacsim.core.simulation_manager": SimpleNamespace(SimulationManager=SimpleNamespace(switch_physics_engine=self.switch)),
            "carb.settings": SimpleNamespace(get_settings=lambda: SimpleNamespace(set=self.settings.__setitem__)),
            "omni.kit.app": SimpleNamespace(get_app=lambda: SimpleNamespace(get_extension_manager=lambda: self)),
            "omni.usd": SimpleNamespace(get_context=lambda: self),
            "omni.physx": SimpleNamespace(get_physx_interface=lambda: self, get_physx_simulation_interface=lambda: self),
            "omni.physics.tensors": SimpleNamespace(create_simulation_view=self.create_simulation_view),
            "omni.replicator.core": self.replicator(),
            "pxr.PhysicsSchemaTools": SimpleNamespace(intToSdfPath=lambda number: self.paths[number]),
        }
        for name, content in modules.items():
            module = ModuleType(name)
            module.__dict__.update(vars(content))
            monkeypatch.setitem(sys.modules, name, module)
        for name in ("isaacsim.core", "omni", "omni.kit", "omni.physics", "omni.replicator", "carb"):
            monkeypatch.setitem(sys.modules, name, ModuleType(name))

    # SimulationApp, the application, extensions
    def start(self, config):
        self.started.append(config)
        self.argv_when_started = list(sys.argv[1:])
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        return SimpleNamespace(update=lambda: None)

    def switch(self, name):
        self.engine = name
        return self.engine_answers

    def is_extension_enabled(self, name):
        return name in self.enabled

    def set_extension_enabled_immediate(self, name, enabled):
        (self.enabled.add if enabled else self.enabled.discard)(name)

    # omni.usd's context
    def open_stage(self, path):
        self.stage = Usd.Stage.Open(path)
        self.path = path
        return self.stage is not None

    def get_stage_loading_status(self):
        return "", 0, 0

    def get_stage_id(self):
        return 9

    def get_stage(self):
        return self.stage

    def new_stage(self):
        self.stage = None

    # omni.physx
    def force_load_physics_from_usd(self):
        robot = next(str(prim.GetPath()) for prim in self.stage.Traverse() if prim.HasAPI(UsdPhysics.ArticulationRootAPI))
        bodies = [str(prim.GetPath()) for prim in self.stage.Traverse() if prim.HasAPI(UsdPhysics.RigidBodyAPI)]
        objects = tuple(path for path in bodies if not path.startswith(f"{robot}/"))
        self.robot_path = robot
        self.stand_in = MujocoStandIn()
        self.joints = self.stand_in.open_stage(self.path, StageBinding(articulation=robot, objects=objects, links=(), timestep_s=1 / 480))
        self.paths = {}

    def start_simulation(self):
        pass

    def update_simulation(self, elapsed, current_time):
        assert current_time == 0.0
        self.simulate(elapsed, current_time)
        self.warmed_up = True

    def simulate(self, elapsed, current_time):
        model, data = self.stand_in.model, self.stand_in.data
        assert (elapsed, current_time) == (model.opt.timestep, 0.0)
        mujoco.mj_step(model, data)
        headers, points = [], []
        for contact in self.stand_in._contacts():
            actors = [self._number(actor) for actor in contact.actors]
            headers.append(SimpleNamespace(actor0=actors[0], actor1=actors[1], contact_data_offset=len(points), num_contact_data=1))
            impulse = SimpleNamespace(x=0.0, y=0.0, z=-contact.normal_impulse_ns)
            points.append(SimpleNamespace(impulse=impulse, normal=SimpleNamespace(x=0.0, y=0.0, z=-1.0), separation=contact.separation_m))
        self.reports = [headers, points]

    def _number(self, path):
        number = hash(path)
        self.paths[number] = path
        return number

    def fetch_results(self):
        pass

    def get_contact_report(self):
        return tuple(self.reports)

    def update_transformations(self, update_to_fast_cache, update_to_usd, update_velocities_to_usd):
        assert (update_to_fast_cache, update_to_usd, update_velocities_to_usd) == (False, True, False)
        self.fresh = True

    def reset_simulation(self):
        self.stand_in.close_stage()

    # omni.physics.tensors
    def create_simulation_view(self, frontend, *, stage_id):
        assert (frontend, stage_id, self.warmed_up) == ("numpy", 9, True)
        return FakeSimulationView(self)

    # omni.replicator.core
    def replicator(self):
        def create_render_product(camera, resolution):
            return SimpleNamespace(camera=camera, resolution=resolution, destroy=lambda: None)

        def get_annotator(name):
            assert name == "rgb"
            return FakeAnnotator(self)

        def step(*, rt_subframes, delta_time, pause_timeline):
            assert (rt_subframes > 0, delta_time, pause_timeline) == (True, 0.0, False)

        return SimpleNamespace(
            create=SimpleNamespace(render_product=create_render_product),
            AnnotatorRegistry=SimpleNamespace(get_annotator=get_annotator),
            orchestrator=SimpleNamespace(step=step),
        )


class FakeAnnotator:
    """Gives nothing for the first frames, as a renderer that warms up."""

    def __init__(self, kit):
        self.kit = kit
        self.asked = 0

    def attach(self, products):
        (self.product,) = products

    def detach(self):
        pass

    def get_data(self):
        self.asked += 1
        if self.asked <= self.kit.empty_frames:
            return np.array([])
        assert self.kit.fresh, "poses were not written to USD before drawing"
        width, height = self.product.resolution
        aperture = self.kit.stage.GetPrimAtPath(self.product.camera).GetAttribute("horizontalAperture").Get()
        shot = Shot(camera=self.product.camera, width=width, height=height, horizontal_aperture_mm=aperture)
        image = self.kit.stand_in.draw(shot)
        return np.concatenate([image, np.full((height, width, 1), 255, np.uint8)], axis=2)


class FakeSimulationView:
    """``omni.physics.tensors.SimulationView``."""

    def __init__(self, kit):
        self.kit = kit

    def set_subspace_roots(self, pattern):
        assert pattern == "/"

    def create_articulation_view(self, pattern):
        return FakeArticulationView(self.kit, pattern)

    def create_rigid_body_view(self, pattern):
        return FakeBodyView(self.kit, pattern)

    def update_articulations_kinematic(self):
        mujoco.mj_forward(self.kit.stand_in.model, self.kit.stand_in.data)

    def invalidate(self):
        pass


class FakeArticulationView:
    """``ArticulationView`` of one robot: arrays have a leading axis of one."""

    def __init__(self, kit, pattern):
        self.kit = kit
        self.count = int(pattern == kit.robot_path)
        self.shared_metatype = SimpleNamespace(dof_names=list(kit.joints))

    def _data(self):
        return self.kit.stand_in, self.kit.stand_in.data

    def get_dof_positions(self):
        engine, data = self._data()
        return data.qpos[engine.qpos].astype(np.float32)[None]

    def get_dof_velocities(self):
        engine, data = self._data()
        return data.qvel[engine.dofs].astype(np.float32)[None]

    def get_dof_projected_joint_forces(self):
        engine, data = self._data()
        return data.qfrc_actuator[engine.dofs].astype(np.float32)[None]

    def set_dof_positions(self, values, indices):
        engine, data = self._data()
        data.qpos[engine.qpos] = one_row(values, indices)

    def set_dof_velocities(self, values, indices):
        engine, data = self._data()
        data.qvel[engine.dofs] = one_row(values, indices)

    def set_dof_position_targets(self, values, indices):
        engine, data = self._data()
        data.ctrl[engine.drives] = one_row(values, indices)


def one_row(values, indices):
    """What PhysX takes: float32, one row for the one articulation."""
    assert (values.dtype, values.shape[0], list(indices), indices.dtype) == (np.float32, 1, [0], np.uint32)
    return values[0]


class FakeBodyView:
    """``RigidBodyView``: its rows are in an order of its own, here backwards."""

    def __init__(self, kit, patterns):
        self.kit = kit
        known = {kit.stand_in.model.body(index).name for index in range(kit.stand_in.model.nbody)}
        self.prim_paths = [path for path in reversed(patterns) if path in known]

    def get_transforms(self):
        data = self.kit.stand_in.data
        mujoco.mj_kinematics(self.kit.stand_in.model, data)
        return self.kit.stand_in._transforms([[*data.body(path).xpos, *data.body(path).xquat] for path in self.prim_paths])

    def get_velocities(self):
        return np.array([self._velocity(path)[...] for path in self.prim_paths], dtype=np.float32).reshape(-1, 6)

    def _velocity(self, path):
        start = self.kit.stand_in.model.joint(f"free:{path}").dofadr[0]
        return self.kit.stand_in.data.qvel[start : start + 6]

    def set_transforms(self, values, indices):
        assert (values.dtype, list(indices)) == (np.float32, list(range(len(self.prim_paths))))
        for path, row in zip(self.prim_paths, values, strict=True):
            start = self.kit.stand_in.model.joint(f"free:{path}").qposadr[0]
            self.kit.stand_in.data.qpos[start : start + 7] = [*row[:3], row[6], *row[3:6]]

    def set_velocities(self, values, indices):
        assert (values.dtype, list(indices)) == (np.float32, list(range(len(self.prim_paths))))
        for path, row in zip(self.prim_paths, values, strict=True):
            self._velocity(path)[:] = row
