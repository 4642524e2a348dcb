"""A server with a scene and a robot in it: loaded, or found again. Robot, stage and rate are looked at before anything moves."""

from dataclasses import dataclass, field

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.robot.embodiment import Embodiment
from blueprint_pipeline.robot.layout import home_joints
from blueprint_pipeline.simulation.genie_sim.client import GenieSimClient
from blueprint_pipeline.simulation.genie_sim.errors import AnswerUnusable, OtherScene, RateDiffers, RobotDiffers
from blueprint_pipeline.simulation.genie_sim.reading import Reading, TwinView
from blueprint_pipeline.simulation.genie_sim.robots import GenieRobot, Stance
from blueprint_pipeline.simulation.genie_sim.stage import CLOCK_PATH, MARK_PATH, GenieStage, clock_steps, mark_position

_MARK_M = 2.0**-25
"""The mark's coordinates are exact in float32: half of what tells two apart."""
_LOOKS = 8
"""At the clock, to tell its rate: a server that is busy elsewhere makes some steps more between two of them, never fewer."""
_TOOL_M = 0.01
"""Between the twin's tool and the server's, in one pose of the arm."""
_PICTURE = (640, 480)


@dataclass
class Session:
    """The server with our scene in it. Calls are counted: while it keeps step, one is worked on after physics step ``next_call``."""

    client: GenieSimClient
    robot: GenieRobot
    stance: Stance
    stage: GenieStage
    view: TwinView
    joint_names: tuple[str, ...] = ()
    """All of the robot's, in the server's order."""
    rest: FloatArray = field(default_factory=lambda: np.zeros(0))
    """What the drives of joints hold that are not the arms', (len(joint_names),)."""
    next_call: int = 0
    seen: FloatArray | None = None
    """Where objects were last seen, (n, 7); ``None`` after they were put elsewhere."""

    def joints(self) -> dict[str, float]:
        """Every joint of the robot.

        Raises:
            RobotDiffers: They are others than before.
        """
        found = self.client.joint_positions()
        self.next_call += 1
        if self.joint_names and tuple(found) != self.joint_names:
            raise RobotDiffers(self.robot.prim_path, f"it has {len(found)} joints now, and had {len(self.joint_names)}")
        return found

    def objects(self) -> FloatArray:
        """Where the movable objects are, (n, 7)."""
        found = np.array([self.client.object_pose(path) for path in self.stage.object_paths.values()]).reshape(-1, 7)
        self.next_call += len(found)
        for row in range(len(found)):
            quat = found[row, 3:]
            before = quat[np.abs(quat).argmax()] if self.seen is None else quat @ self.seen[row, 3:]
            found[row, 3:] *= 1.0 if before >= 0 else -1.0  # q and -q are one rotation, and the server takes either
        self.seen = found
        return found

    def read(self) -> Reading:
        """Joints, then objects."""
        joints = self.joints()
        return self.view.reading(joints, self.objects())

    def drive(self, ctrl: FloatArray) -> None:
        """Let the arms' drives hold a control vector (nu,) of the twin, and all others what they held."""
        targets = self.rest.copy()
        commands = self.view.twin.robot.joint_commands(ctrl)
        targets[[self.joint_names.index(name) for name in self.view.joint_names]] = commands
        self.client.drive(self.joint_names, targets)
        self.next_call += 1

    def look_at_clock(self) -> int:
        """How many physics steps more than calls there were since the last look."""
        now = clock_steps(self.client.object_pose(CLOCK_PATH))
        late, self.next_call = now - self.next_call, now + 1
        return late

    def wait(self, steps: int) -> None:
        """Let simulated time pass."""
        self.look_at_clock()
        until = self.next_call + steps
        while self.next_call < until:
            self.look_at_clock()


def open_session(session: Session, embodiment: Embodiment, physics_hz: int) -> None:
    """Let the server load robot and scene, or find that it has them already.

    Raises:
        OtherScene: It has another scene, or the robot elsewhere.
        RobotDiffers: Its robot lacks joints of ours, or has its tool elsewhere.
        RateDiffers: Its physics has another rate.
        AnswerUnusable: It loaded the stage and does not show what is in it.
    """
    client, stage = session.client, session.stage
    home = dict(zip(session.view.joint_names, home_joints(embodiment).tolist(), strict=True))
    is_new = not client.has_scene()
    if is_new:
        joints_rad = {**session.stance.joints_rad, **home}
        client.init_robot(session.robot.cfg_file, str(stage.path.resolve()), session.stance.base_pose, joints_rad)
    if np.abs(client.object_pose(MARK_PATH)[:3] - mark_position(stage.sha256)).max() > _MARK_M:
        if is_new:
            raise AnswerUnusable(client.options.address, "init_robot", "success, and shows nothing of the stage: it cannot read its files")
        raise OtherScene(client.options.address)
    if is_new:
        client.reset()
        for camera in stage.cameras.values():
            client.add_camera(camera, *_PICTURE)
    _check_rate(session, physics_hz)
    joints = session.joints()
    session.view.reading(joints, np.zeros((0, 7)))  # refuses a robot without our joints
    missing = [name for name in session.stance.joints_rad if name not in joints]
    if missing:
        raise RobotDiffers(session.robot.prim_path, f"it has no joint called {', '.join(missing)}")
    session.joint_names = tuple(joints)
    session.rest = np.array([session.stance.joints_rad.get(name, position) for name, position in joints.items()])


def _check_rate(session: Session, physics_hz: int) -> None:
    steps = [clock_steps(session.client.object_pose(CLOCK_PATH)) for _ in range(_LOOKS)]
    session.next_call = steps[-1] + 1
    fewest = int(np.diff(steps).min())
    if fewest != 1:
        found_hz = physics_hz / fewest if fewest > 0 else 0.0
        raise RateDiffers(session.client.options.address, found_hz, physics_hz)


def check_tools(session: Session, tool_poses: FloatArray) -> None:
    """Compare the server's own kinematics with the twin's.

    Args:
        session: With the robot at rest.
        tool_poses: The twin's tools in the same pose, (n_arms, 7).

    Raises:
        RobotDiffers: A tool is elsewhere: the robot stands elsewhere, or is another one.
    """
    for arm, pose in zip(session.view.twin.robot.arms, tool_poses, strict=True):
        found = session.client.tool_pose(is_right=session.robot.fingers[arm.arm.name].is_right)
        session.next_call += 1
        off_m = float(np.linalg.norm(found[:3] - pose[:3]))
        if off_m > _TOOL_M:
            raise RobotDiffers(session.robot.prim_path, f"the tool of its {arm.arm.name} arm is {off_m:.3f} m from where the twin has it")


def start_positions(session: Session, values: FloatArray) -> tuple[dict[str, float], FloatArray]:
    """Positions of the server's joints for a start configuration, and how wide it has the grippers open, (n_arms,)."""
    positions: dict[str, float] = dict(session.stance.joints_rad)
    names, widths = iter(session.view.joint_names), []
    for arm in session.view.twin.robot.arms:
        positions |= {next(names): float(value) for value in values[arm.layout.start_joints]}
        widths.append(float(arm.arm.gripper.width_from_joints(values[arm.layout.start_fingers])))
    return positions, np.array(widths)
