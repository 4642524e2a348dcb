"""MuJoCo in Isaac Sim's place, at the thin layer: it opens the very stage that Isaac Sim would, and answers in Isaac Sim's conventions.

It reads the stage by the UsdPhysics schemas alone (bodies, masses, joints, limits, drives, colliders, materials, cameras), so what it
cannot find there is missing. It proves our stage, our calls and what we make of the answers. It proves nothing of Isaac Sim or PhysX.
"""

import math

import mujoco
import numpy as np
from pxr import Gf, Usd, UsdGeom, UsdPhysics, UsdShade

from blueprint_pipeline.simulation.isaac_sim.calls import ContactPoint, Placement, Readout
from blueprint_pipeline.simulation.mujoco.renderers import choose_backend, make_renderer

ROBOT, REST = (1, 2), (2, 3)
"""contype and conaffinity: the robot's links do not collide with one another (the articulation's setting)."""


class MujocoStandIn:
    """An ``IsaacApi`` on MuJoCo."""

    version = f"stand-in: MuJoCo {mujoco.__version__}, not Isaac Sim"
    origin = "stand_in"

    def __init__(self):
        self.opened = 0
        self.model = None
        self.renderer = None

    def open_stage(self, path, binding):
        assert self.model is None, "one stage at a time"
        self.opened += 1
        self.binding = binding
        self.usd = Usd.Stage.Open(str(path))
        self.model = StageReader(self.usd, binding).compile()
        self.data = mujoco.MjData(self.model)
        # Isaac Sim's order is its own (breadth first): this one is backwards, so who does not map it fails.
        self.joints = [name for name in reversed(joint_names(self.model)) if name]
        self.qpos = np.array([self.model.joint(name).qposadr[0] for name in self.joints])
        self.dofs = np.array([self.model.joint(name).dofadr[0] for name in self.joints])
        self.drives = np.array([self.model.actuator(name).id for name in self.joints])
        self.objects = [self.model.joint(f"free:{path}") for path in binding.objects]
        mujoco.mj_forward(self.model, self.data)
        return tuple(self.joints)

    def read(self):
        mujoco.mj_kinematics(self.model, self.data)
        data = self.data
        return Readout(
            dof_positions=data.qpos[self.qpos].astype(np.float32),
            dof_velocities=data.qvel[self.dofs].astype(np.float32),
            dof_efforts=data.qfrc_actuator[self.dofs].astype(np.float32),
            object_transforms=self._transforms([data.qpos[row.qposadr[0] : row.qposadr[0] + 7] for row in self.objects]),
            object_velocities=np.array([data.qvel[row.dofadr[0] : row.dofadr[0] + 6] for row in self.objects], np.float32).reshape(-1, 6),
            link_transforms=self._transforms([[*data.body(path).xpos, *data.body(path).xquat] for path in self.binding.links]),
        )

    @staticmethod
    def _transforms(poses):
        rows = np.array(poses, dtype=np.float64).reshape(-1, 7)
        return np.concatenate([rows[:, :3], rows[:, 4:], rows[:, 3:4]], axis=1).astype(np.float32)

    def place(self, placement: Placement):
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[self.qpos] = placement.dof_positions
        self.data.qvel[self.dofs] = placement.dof_velocities
        self.data.ctrl[self.drives] = placement.dof_targets
        for row, transform, velocity in zip(self.objects, placement.object_transforms, placement.object_velocities, strict=True):
            start = row.qposadr[0]
            self.data.qpos[start : start + 7] = [*transform[:3], transform[6], *transform[3:6]]
            self.data.qvel[row.dofadr[0] : row.dofadr[0] + 6] = velocity
        mujoco.mj_forward(self.model, self.data)

    def advance(self, targets):
        steps = []
        for row in targets:
            self.data.ctrl[self.drives] = row
            mujoco.mj_step(self.model, self.data)
            steps.append(tuple(self._contacts()))
        return steps

    def _contacts(self):
        wrench = np.zeros(6)
        for index in range(self.data.ncon):
            contact = self.data.contact[index]
            mujoco.mj_contactForce(self.model, self.data, index, wrench)
            actors = tuple(self._actor(int(geom)) for geom in contact.geom)
            impulse = float(wrench[0]) * self.model.opt.timestep
            yield ContactPoint(actors=actors, normal_impulse_ns=impulse, separation_m=float(contact.dist))

    def _actor(self, geom):
        """A body's path; of a collider that no body owns, its own."""
        body = int(self.model.geom_bodyid[geom])
        return self.model.body(body).name if body else self.model.geom(geom).name

    def draw(self, shot):
        camera = self.model.camera(shot.camera)
        focal = UsdGeom.Camera(self.usd.GetPrimAtPath(shot.camera)).GetFocalLengthAttr().Get()
        vertical = shot.horizontal_aperture_mm * shot.height / shot.width
        camera.fovy[0] = math.degrees(2 * math.atan(vertical / 2 / focal))
        view = mujoco.MjData(self.model)
        view.qpos[:] = self.data.qpos
        mujoco.mj_forward(self.model, view)
        renderer = self._renderer(shot.width, shot.height)
        renderer.look(view, camera.id)
        return renderer.draw().copy()

    def _renderer(self, width, height):
        """One a size; a size that is left is not drawn again."""
        if self.renderer is None or self.renderer[0] != (width, height):
            self._close_renderer()
            self.renderer = ((width, height), make_renderer(self.model, width, height, choose_backend("auto")))
        return self.renderer[1]

    def _close_renderer(self):
        if self.renderer is not None:
            self.renderer[1].close()
        self.renderer = None

    def close_stage(self):
        self._close_renderer()
        self.model = None


def joint_names(model):
    """Names of the articulation's joints."""
    return [model.joint(index).name for index in range(model.njnt) if not model.joint(index).name.startswith("free:")]


class StageReader:
    """A stage as an ``MjSpec``."""

    def __init__(self, stage, binding):
        self.stage = stage
        self.binding = binding
        self.spec = mujoco.MjSpec()
        self.spec.compiler.degree = False
        self.cache = UsdGeom.XformCache()
        self.bodies = {}

    def compile(self):
        option = self.spec.option
        scene = next(prim for prim in self.stage.Traverse() if prim.IsA(UsdPhysics.Scene))
        assert scene.GetAttribute("physxScene:timeStepsPerSecond").Get() == round(1 / self.binding.timestep_s)
        option.timestep = self.binding.timestep_s
        direction = np.array(UsdPhysics.Scene(scene).GetGravityDirectionAttr().Get())
        option.gravity = direction * UsdPhysics.Scene(scene).GetGravityMagnitudeAttr().Get()
        option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
        option.impratio = 10
        self.spec.visual.headlight.ambient = [0.4, 0.4, 0.4]
        self.spec.visual.headlight.diffuse = [0.6, 0.6, 0.6]
        joints = [UsdPhysics.Joint(prim) for prim in self.stage.Traverse() if prim.IsA(UsdPhysics.Joint)]
        for joint in joints:
            self._jointed_body(joint)
        for prim in self.stage.Traverse():
            if prim.HasAPI(UsdPhysics.RigidBodyAPI) and str(prim.GetPath()) not in self.bodies:
                self._free_body(prim)
        for prim in self.stage.Traverse():
            if prim.HasAPI(UsdPhysics.CollisionAPI):
                self._collider(prim)
            if prim.IsA(UsdGeom.Camera):
                self._camera(prim)
        return self.spec.compile()

    def _jointed_body(self, joint):
        """The child's frame in its parent's, where the joint is at zero: local frame 0 of the joint, less its local frame 1."""
        parents = joint.GetBody0Rel().GetTargets()
        parent = self.bodies[str(parents[0])] if parents else self.spec.worldbody
        path = str(joint.GetBody1Rel().GetTargets()[0])
        zero, one = (frame(joint, number) for number in (0, 1))
        matrix = one.GetInverse() * zero
        body = parent.add_body(name=path, pos=matrix.ExtractTranslation(), quat=quat_of(matrix))
        self._inertia(body, self.stage.GetPrimAtPath(path))
        self.bodies[path] = body
        prim = joint.GetPrim()
        if prim.IsA(UsdPhysics.FixedJoint):
            return
        angular = prim.IsA(UsdPhysics.RevoluteJoint)
        typed = UsdPhysics.RevoluteJoint(prim) if angular else UsdPhysics.PrismaticJoint(prim)
        assert typed.GetAxisAttr().Get() == UsdPhysics.Tokens.x
        unit = math.pi / 180 if angular else 1.0
        added = body.add_joint(
            name=prim.GetName(),
            type=mujoco.mjtJoint.mjJNT_HINGE if angular else mujoco.mjtJoint.mjJNT_SLIDE,
            axis=one.TransformDir(Gf.Vec3d(1, 0, 0)),
            pos=one.ExtractTranslation(),
            range=[typed.GetLowerLimitAttr().Get() * unit, typed.GetUpperLimitAttr().Get() * unit],
            limited=mujoco.mjtLimited.mjLIMITED_TRUE,
        )
        added.armature = prim.GetAttribute("physxJoint:armature").Get()
        self._drive(prim, "angular" if angular else "linear", unit)

    def _drive(self, prim, kind, unit):
        drive = UsdPhysics.DriveAPI(prim, kind)
        stiffness, damping = drive.GetStiffnessAttr().Get() / unit, drive.GetDampingAttr().Get() / unit
        force = drive.GetMaxForceAttr().Get()
        self.spec.add_actuator(
            name=prim.GetName(),
            target=prim.GetName(),
            trntype=mujoco.mjtTrn.mjTRN_JOINT,
            gaintype=mujoco.mjtGain.mjGAIN_FIXED,
            biastype=mujoco.mjtBias.mjBIAS_AFFINE,
            gainprm=[stiffness, *[0.0] * 9],
            biasprm=[0.0, -stiffness, -damping, *[0.0] * 7],
            forcerange=[-force, force],
            forcelimited=mujoco.mjtLimited.mjLIMITED_TRUE,
        )

    def _free_body(self, prim):
        path = str(prim.GetPath())
        matrix = self.cache.GetLocalToWorldTransform(prim)
        body = self.spec.worldbody.add_body(name=path, pos=matrix.ExtractTranslation(), quat=quat_of(matrix))
        body.add_joint(name=f"free:{path}", type=mujoco.mjtJoint.mjJNT_FREE)
        self._inertia(body, prim)
        self.bodies[path] = body

    def _inertia(self, body, prim):
        mass = UsdPhysics.MassAPI(prim)
        body.explicitinertial = True
        body.mass = mass.GetMassAttr().Get()
        body.ipos = finite(mass.GetCenterOfMassAttr().Get())
        body.inertia = mass.GetDiagonalInertiaAttr().Get()
        axes = mass.GetPrincipalAxesAttr().Get()
        quat = [axes.GetReal(), *axes.GetImaginary()]
        body.iquat = quat if any(quat) else [1, 0, 0, 0]
        body.gravcomp = float(prim.GetAttribute("physxRigidBody:disableGravity").Get())
        assert prim.GetAttribute("physxContactReport:threshold").Get() == 0.0

    def _collider(self, prim):
        owner = prim
        while owner and str(owner.GetPath()) not in self.bodies:
            owner = owner.GetParent()
        body = self.bodies[str(owner.GetPath())] if owner else self.spec.worldbody
        above = self.cache.GetLocalToWorldTransform(owner) if owner else Gf.Matrix4d(1)
        matrix = self.cache.GetLocalToWorldTransform(prim) * above.GetInverse()
        material = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial("physics")[0]
        friction = UsdPhysics.MaterialAPI(material.GetPrim()).GetDynamicFrictionAttr().Get()
        assert material.GetPrim().GetAttribute("physxMaterial:frictionCombineMode").Get() == "max"
        contype, conaffinity = ROBOT if str(prim.GetPath()).startswith("/World/robot/") else REST
        color = UsdGeom.Gprim(prim).GetDisplayColorAttr().Get()
        body.add_geom(
            name=str(prim.GetPath()),
            **self._shape(prim, matrix),
            pos=matrix.ExtractTranslation(),
            quat=quat_of(matrix.RemoveScaleShear()),
            friction=[friction, 0.01, 0.0001],
            condim=4,
            solref=[0.006, 1.0],
            contype=contype,
            conaffinity=conaffinity,
            rgba=[*(color[0] if color else (0.5, 0.5, 0.5)), 1.0],
        )

    def _shape(self, prim, matrix):
        if prim.IsA(UsdGeom.Plane):
            return {"type": mujoco.mjtGeom.mjGEOM_PLANE, "size": [0, 0, 0.05]}
        if prim.IsA(UsdGeom.Cube):
            scale = [Gf.Vec3d(*matrix.GetRow3(row)).GetLength() for row in range(3)]
            return {"type": mujoco.mjtGeom.mjGEOM_BOX, "size": np.array(scale) * UsdGeom.Cube(prim).GetSizeAttr().Get() / 2}
        assert UsdPhysics.MeshCollisionAPI(prim).GetApproximationAttr().Get() == UsdPhysics.Tokens.convexHull
        mesh = UsdGeom.Mesh(prim)
        points = np.array(mesh.GetPointsAttr().Get())
        faces = np.array(mesh.GetFaceVertexIndicesAttr().Get())
        self.spec.add_mesh(
            name=str(prim.GetPath()), uservert=points.ravel(), userface=faces, inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_CONVEX
        )
        return {"type": mujoco.mjtGeom.mjGEOM_MESH, "meshname": str(prim.GetPath())}

    def _camera(self, prim):
        owner = prim.GetParent()
        while owner and str(owner.GetPath()) not in self.bodies:
            owner = owner.GetParent()
        body = self.bodies[str(owner.GetPath())] if owner else self.spec.worldbody
        above = self.cache.GetLocalToWorldTransform(owner) if owner else Gf.Matrix4d(1)
        matrix = self.cache.GetLocalToWorldTransform(prim) * above.GetInverse()
        body.add_camera(name=str(prim.GetPath()), pos=matrix.ExtractTranslation(), quat=quat_of(matrix))


def frame(joint, number):
    """Local frame 0 or 1 of a joint as a matrix."""
    position = getattr(joint, f"GetLocalPos{number}Attr")().Get()
    rotation = getattr(joint, f"GetLocalRot{number}Attr")().Get()
    return Gf.Matrix4d(Gf.Rotation(Gf.Quatd(rotation)), Gf.Vec3d(position))


def quat_of(matrix):
    """Rotation of a matrix, wxyz."""
    quat = matrix.ExtractRotationQuat().GetNormalized()
    return [quat.GetReal(), *quat.GetImaginary()]


def finite(vector):
    """A vector, or zero where USD's "not given" stands."""
    values = np.array(vector, dtype=np.float64)
    return values if np.isfinite(values).all() else np.zeros(3)
