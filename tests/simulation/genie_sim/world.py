"""What stands behind the test's server: the stage that it was told to load, with our G2 in place of the maker's, in MuJoCo.

It reads the stage by the UsdPhysics schemas alone, and speaks of the robot as Genie Sim does: 46 joints in its order, fingers as angles.
"""

import mujoco
import numpy as np
from pxr import Usd, UsdGeom, UsdPhysics

from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.names import ROBOT_PREFIX
from blueprint_pipeline.simulation.isaac_sim.calls import StageBinding
from blueprint_pipeline.simulation.mujoco.renderers import choose_backend, make_renderer
from tests.simulation.isaac_sim.stand_in import StageReader, quat_of

G2 = load_embodiment("agibot_g2")
OPEN_RAD = 0.7853981633974483
STROKE_M = 0.05
"""Of one finger of our model."""
HAND_M_S = 0.15
ARMS = [joint.name for arm in G2.arms for joint in arm.joints]
DRIVERS = {
    "left": ("idx41_gripper_l_outer_joint1", "idx31_gripper_l_inner_joint1"),
    "right": ("idx81_gripper_r_outer_joint1", "idx71_gripper_r_inner_joint1"),
}
SLIDES = {"left": ("gripper_l_outer_slide", "gripper_l_inner_slide"), "right": ("gripper_r_outer_slide", "gripper_r_inner_slide")}
DOFS = [
    "idx01_body_joint1",
    "idx02_body_joint2",
    "idx111_chassis_lwheel_front_joint1",
    "idx121_chassis_lwheel_rear_joint1",
    "idx131_chassis_rwheel_front_joint1",
    "idx141_chassis_rwheel_rear_joint1",
    "idx03_body_joint3",
    "idx112_chassis_lwheel_front_joint2",
    "idx122_chassis_lwheel_rear_joint2",
    "idx132_chassis_rwheel_front_joint2",
    "idx142_chassis_rwheel_rear_joint2",
    "idx04_body_joint4",
    "idx05_body_joint5",
    "idx11_head_joint1",
    "idx12_head_joint2",
    "idx21_arm_l_joint1",
    "idx61_arm_r_joint1",
    "idx13_head_joint3",
    "idx22_arm_l_joint2",
    "idx62_arm_r_joint2",
    "idx23_arm_l_joint3",
    "idx63_arm_r_joint3",
    "idx24_arm_l_joint4",
    "idx64_arm_r_joint4",
    "idx25_arm_l_joint5",
    "idx65_arm_r_joint5",
    "idx26_arm_l_joint6",
    "idx66_arm_r_joint6",
    "idx27_arm_l_joint7",
    "idx67_arm_r_joint7",
    "idx31_gripper_l_inner_joint1",
    "idx41_gripper_l_outer_joint1",
    "idx71_gripper_r_inner_joint1",
    "idx81_gripper_r_outer_joint1",
    "idx32_gripper_l_inner_joint3",
    "idx42_gripper_l_outer_joint3",
    "idx72_gripper_r_inner_joint3",
    "idx82_gripper_r_outer_joint3",
    "idx33_gripper_l_inner_joint4",
    "idx43_gripper_l_outer_joint4",
    "idx73_gripper_r_inner_joint4",
    "idx83_gripper_r_outer_joint4",
    "idx39_gripper_l_inner_joint0",
    "idx49_gripper_l_outer_joint0",
    "idx79_gripper_r_inner_joint0",
    "idx89_gripper_r_outer_joint0",
]
"""``dof_order`` of the maker's ``robot_joint_names.json``."""
SHIN_M, THIGH_M, LEAN_RAD = 0.36, 0.38, 0.261


class World:
    """A loaded scene."""

    def __init__(self, path, base_pose, joints, physics_hz):
        self.usd = Usd.Stage.Open(str(path))
        self.idle = dict.fromkeys(DOFS, 0.0) | {name: value for name, value in joints.items() if name not in ARMS}
        spec = self._read(physics_hz)
        self._mount(spec, base_pose)
        self.model = spec.compile()
        self.model.stat.extent = 2.0  # the clock is far away, and lenses see nothing nearer than a hundredth of the extent
        self.data = mujoco.MjData(self.model)
        for prim in self._bodies():
            velocity = UsdPhysics.RigidBodyAPI(prim).GetVelocityAttr().Get()
            address = self.model.joint(f"free:{prim.GetPath()}").dofadr[0]
            self.data.qvel[address : address + 3] = velocity
        self.hands = {"left": "open", "right": "open"}
        self.targets = dict.fromkeys(DOFS, 0.0) | joints
        self.teleport(joints)
        for side in SLIDES:
            self._fingers(side, STROKE_M)
        mujoco.mj_forward(self.model, self.data)
        self.steps = 0
        self.renderer = None

    def _bodies(self):
        return [prim for prim in self.usd.Traverse() if prim.HasAPI(UsdPhysics.RigidBodyAPI)]

    def _read(self, physics_hz):
        binding = StageBinding(articulation="", objects=(), links=(), timestep_s=1.0 / physics_hz)
        reader = SceneReader(self.usd, binding)
        reader.read()
        return reader.spec

    def _mount(self, spec, base_pose):
        """Our record of the robot is mounted at its hip: where the legs of the maker's robot carry it."""
        position, quat = np.array(base_pose[:3]), np.array(base_pose[3:])
        ankle, thigh = self.idle["idx01_body_joint1"], self.idle["idx01_body_joint1"] + self.idle["idx02_body_joint2"]
        assert abs(thigh + self.idle["idx03_body_joint3"] - LEAN_RAD) < 1e-6, "the trunk leans otherwise than our model's"
        hip = np.array(
            [0.102 + SHIN_M * np.sin(ankle) + THIGH_M * np.sin(thigh), 0.0, 0.144 + SHIN_M * np.cos(ankle) + THIGH_M * np.cos(thigh)]
        )
        turned = np.zeros(3)
        mujoco.mju_rotVecQuat(turned, hip, quat)
        robot = mujoco.MjSpec.from_file(str(G2.mjcf_path))
        robot.option.integrator, robot.option.cone, robot.option.impratio = spec.option.integrator, spec.option.cone, spec.option.impratio
        for camera in G2.wrist_cameras:
            robot.body(camera.body).add_camera(name=camera.name)
        frame = spec.worldbody.add_frame(pos=position + turned + [0.0, 0.0, 0.022006], quat=quat)
        spec.attach(robot, prefix=ROBOT_PREFIX, frame=frame)

    def step(self):
        """One physics step, drives holding their targets and hands moving at their speed."""
        data = self.data
        for name in ARMS:
            data.ctrl[self.model.actuator(ROBOT_PREFIX + name).id] = self.targets[name]
        for side, letter in (("left", "l"), ("right", "r")):
            actuator = self.model.actuator(f"{ROBOT_PREFIX}gripper_{letter}").id
            wanted, most = (0.1 if self.hands[side] == "open" else 0.0), HAND_M_S * self.model.opt.timestep
            data.ctrl[actuator] += np.clip(wanted - data.ctrl[actuator], -most, most)
        mujoco.mj_step(self.model, data)
        self.steps += 1

    @property
    def time_s(self):
        return self.steps * self.model.opt.timestep

    def _slide(self, name):
        return self.model.joint(ROBOT_PREFIX + name)

    def _fingers(self, side, position_m):
        for name in SLIDES[side]:
            self.data.qpos[self._slide(name).qposadr[0]] = position_m
        letter = side[0]
        self.data.ctrl[self.model.actuator(f"{ROBOT_PREFIX}gripper_{letter}").id] = 2 * position_m

    def teleport(self, joints):
        for name, value in joints.items():
            if name in ARMS:
                row = self._slide(name)
                self.data.qpos[row.qposadr[0]] = np.clip(value, *row.range)
            else:
                self.idle[name] = value
        for side, (outer, _inner) in DRIVERS.items():
            if outer in joints:
                self._fingers(side, STROKE_M * joints[outer] / OPEN_RAD)

    def joints(self):
        """Position, velocity and effort of every joint, in the server's order."""
        found = {name: (self.idle[name], 0.0, 0.0) for name in DOFS}
        for name in ARMS:
            row = self._slide(name)
            dof = row.dofadr[0]
            found[name] = (self.data.qpos[row.qposadr[0]], self.data.qvel[dof], self.data.qfrc_actuator[dof])
        for side, names in DRIVERS.items():
            for name, slide, sign in zip(names, SLIDES[side], (1, -1), strict=True):
                row, scale = self._slide(slide), sign * OPEN_RAD / STROKE_M
                dof = row.dofadr[0]
                found[name] = (
                    scale * self.data.qpos[row.qposadr[0]],
                    scale * self.data.qvel[dof],
                    sign * self.data.qfrc_actuator[dof] * 0.03,
                )
        return {name: tuple(map(float, values)) for name, values in found.items()}

    def pose(self, path):
        """Of a rigid body its own, of any other prim the stage's; of none the origin's: Isaac Sim makes a prim where there is none."""
        if f"free:{path}" in {self.model.joint(index).name for index in range(self.model.njnt)}:
            start = self.model.joint(f"free:{path}").qposadr[0]
            return np.array(self.data.qpos[start : start + 7], dtype=np.float32).astype(float)
        prim = self.usd.GetPrimAtPath(path)
        if not prim:
            return np.array([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
        matrix = UsdGeom.XformCache().GetLocalToWorldTransform(prim)
        return np.array([*matrix.ExtractTranslation(), *quat_of(matrix)], dtype=np.float32).astype(float)

    def put(self, path, pose):
        """A rigid body keeps its velocity where it is put."""
        start = self.model.joint(f"free:{path}").qposadr[0]
        self.data.qpos[start : start + 7] = pose

    def tool(self, side):
        mujoco.mj_kinematics(self.model, self.data)
        site = self.model.site(f"{ROBOT_PREFIX}tcp_{side[0]}").id
        quat = np.zeros(4)
        mujoco.mju_mat2Quat(quat, self.data.site_xmat[site])
        return np.concatenate([self.data.site_xpos[site], quat])

    def draw(self, path, spec):
        """A picture of a camera that was added, (height, width, 3)."""
        size = (spec["width"], spec["height"])
        camera = self.model.camera(f"{ROBOT_PREFIX}wrist" if spec["is_local"] else path)
        camera.pos[:], camera.quat[:] = spec["pose"][:3], spec["pose"][3:]
        camera.fovy[0] = np.degrees(2 * np.arctan(spec["vertical_aperture"] / 2 / spec["focus_length"]))
        if self.renderer is None or self.renderer[0] != size:
            if self.renderer is not None:
                self.renderer[1].close()
            self.renderer = (size, make_renderer(self.model, *size, choose_backend("auto")))
        view = mujoco.MjData(self.model)
        view.qpos[:] = self.data.qpos
        mujoco.mj_forward(self.model, view)
        self.renderer[1].look(view, camera.id)
        return self.renderer[1].draw().copy()


class SceneReader(StageReader):
    """A stage without a physics scene of its own and without a robot: the server has both."""

    def read(self):
        option = self.spec.option
        option.timestep = self.binding.timestep_s
        option.gravity = [0.0, 0.0, -9.81]
        option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
        option.impratio = 10
        self.spec.visual.headlight.ambient = [0.4, 0.4, 0.4]
        self.spec.visual.headlight.diffuse = [0.6, 0.6, 0.6]
        assert not [prim for prim in self.stage.Traverse() if prim.IsA(UsdPhysics.Scene)], "two physics scenes"
        for prim in self.stage.Traverse():
            if prim.HasAPI(UsdPhysics.RigidBodyAPI):
                self._free_body(prim)
        for prim in self.stage.Traverse():
            if prim.HasAPI(UsdPhysics.CollisionAPI):
                self._collider(prim)
            if prim.IsA(UsdGeom.Camera):
                self._camera(prim)
