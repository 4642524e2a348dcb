"""An episode on disk.

``geniesim/recordings/shard_0000/{episode_id}/`` holds

- ``states.parquet``: one row a control frame, T + 1 rows (the last is the state after the last frame, its ``ctrl``
  repeats the row before), float64, columns in :data:`STATE_COLUMNS`;
- ``episode.json``: an :class:`EpisodeRecord`, written last: an episode without it does not exist.

``geniesim/renders/shard_0000/{episode_id}/`` holds, for kept episodes, ``{camera}.mp4`` with T frames (frame t shows
state row t), ``{camera}.preview.mp4`` with small ones of them, and ``certificate.json``: a :class:`ReplayCertificate`, written last.
``geniesim/failure_renders/`` holds the same of honest failures, where somebody buys them.

Control: row t's ``ctrl`` is the setpoint that is commanded at the *end* of frame t; within the frame the
applied control goes linearly from row t-1's to row t's setpoint (row 0 starts from the robot's initial
configuration). The physics makes ``round(1 / (fps * timestep))`` steps a frame, so in a deterministic simulator states and
setpoints at ``fps`` replay the episode bit by bit from ``integration_state``; in another one the k-of-n rule says how well.
"""

from typing import Literal

import pyarrow as pa
from pydantic import Field

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.origin import Origin
from blueprint_pipeline.robot.placement import RobotPlacement, View
from blueprint_pipeline.simulation.platform_class import Platform, PlatformClass
from blueprint_pipeline.simulation.protocol import Capabilities, SimulatorInfo
from blueprint_pipeline.simulation.render_profiles import RenderProfile
from blueprint_pipeline.task.mishap import Provoked
from blueprint_pipeline.task.outcome import Outcome, Phase, Recovery
from blueprint_pipeline.task.plan import shard_name
from blueprint_pipeline.task.spec import EpisodeSpec
from blueprint_pipeline.workspace.checksums import FileDigest
from blueprint_pipeline.workspace.commits import UnitUsage
from blueprint_pipeline.workspace.storage import Id

STATE_COLUMNS: dict[str, pa.DataType] = {
    "frame_index": pa.int64(),
    "time_s": pa.float64(),
    "phase": pa.string(),
    "qpos": pa.list_(pa.float64()),
    "qvel": pa.list_(pa.float64()),
    "ctrl": pa.list_(pa.float64()),
    "actuator_force": pa.list_(pa.float64()),
    "robot_qpos": pa.list_(pa.float64()),
    "robot_qvel": pa.list_(pa.float64()),
    "robot_torque": pa.list_(pa.float64()),
    "robot_command": pa.list_(pa.float64()),
    "gripper_width_m": pa.list_(pa.float64()),
    "gripper_command_m": pa.list_(pa.float64()),
    "ee_pose": pa.list_(pa.float64()),
    "object_poses": pa.list_(pa.float64()),
    "joint_positions": pa.list_(pa.float64()),
    "integration_state": pa.list_(pa.float64()),
    "contact_bodies": pa.list_(pa.string()),
    "contact_depth_m": pa.list_(pa.float64()),
    "contact_force_n": pa.list_(pa.float64()),
}
"""Columns of ``states.parquet``. Lists have one length in all rows but ``contact_*`` and ``integration_state``.

``robot_qpos robot_qvel robot_torque`` (n_joints,): the joints of all arms, in the embodiment's order [rad, rad/s, N m];
``robot_command`` (n_joints,) the positions and ``gripper_command_m`` (n_arms,) the openings that ``ctrl`` asks for.
``gripper_width_m`` (n_arms,): measured openings. ``ee_pose`` (7 * n_arms,): tool centre points in the world, xyz [m] + quat wxyz each.
``object_poses`` (7 * n_objects,): what moves, in the order of ``EpisodeRecord.object_ids``, xyz + quat wxyz each.
``joint_positions`` (n_parts,): how far drawers and doors are open [m, rad], in the order of ``EpisodeRecord.joint_columns``.
``integration_state``: the simulator's ``save_state`` (MuJoCo's ``mjSTATE_INTEGRATION``), in row 0 only, null after it.
``contact_*``: one entry a pair
of bodies that touched during the frame (sampled at every physics step; the largest depth >= 0 and normal force):
``"bodyA|bodyB"`` with bodyA < bodyB by name; bodies of the robot stand with their own names prefixed ``robot/``.
"""


class EpisodeRecord(FrozenModel):
    """``episode.json``."""

    schema_version: Literal["1.0"] = "1.0"
    scene_id: Id
    job_id: Id
    shard_index: int
    episode_id: Id
    spec: EpisodeSpec
    robot: RobotPlacement
    fps: int
    frames: int = Field(ge=0)
    """T: frames of motion (rows of ``states.parquet`` less one); 0 where planning failed and nothing moved."""
    duration_s: float
    object_ids: tuple[str, ...]
    """What moves: objects, then parts of articulated ones (``cabinet/door``)."""
    joint_columns: tuple[str, ...] = ()
    """Joints of these parts, each with its unit: ``cabinet/door_hinge.pos_rad``."""
    phases: tuple[Phase, ...]
    recoveries: tuple[Recovery, ...] = ()
    """Tries that were seen to fail, and where the robot tried again; none where the first was not seen to fail."""
    provoked: Provoked | None = None
    """What went wrong on purpose; ``None``: nothing, though the job may have wanted something (``spec.mishap``)."""
    outcome: Outcome
    simulator: SimulatorInfo
    capabilities: Capabilities
    """Of the simulator: they decide which kind of replay certificate the episode can have."""
    controller: str
    platform: PlatformClass | None = None
    """On which class of machines the states come out the same, bit by bit; ``None``: the simulator acted in another process."""
    model_sha256: str
    """Over what the simulator loaded (MuJoCo: canonical MJCF and asset bytes; Isaac Sim: the stage): replay refuses another model."""
    states: FileDigest | None
    """``None`` where nothing moved."""
    origins: dict[str, Origin]

    @property
    def unmeasured_columns(self) -> frozenset[str]:
        """Columns of ``states.parquet`` that its simulator measured nothing of: they hold nothing that is a number."""
        efforts = () if self.capabilities.efforts else ("actuator_force", "robot_torque")
        return frozenset(efforts if self.capabilities.contacts else (*efforts, "contact_force_n"))

    @property
    def tries(self) -> int:
        """How often the robot tried."""
        return 1 + sum(recovery.again_frame is not None for recovery in self.recoveries)

    @property
    def view(self) -> View | None:
        """Where the scene's camera stood; ``None``: as the scene was reconstructed with."""
        return self.spec.variation.view or self.robot.view


class EpisodeUsage(FrozenModel):
    """``geniesim/usage/recordings/shard_0000/{episode_id}.json``: what an attempt took, measured.

    It stands apart from the recording, which is the same to the byte whenever and wherever it is made.
    """

    schema_version: Literal["1.0"] = "1.0"
    episode_id: Id
    cpu_plan_s: float = Field(ge=0)
    cpu_simulate_s: float = Field(ge=0)
    made: UnitUsage
    """The whole attempt, with writing it."""


class CameraSight(FrozenModel):
    """What one camera sees in sampled frames of an episode: every 15th, and the last."""

    target_visible_ratio: float = Field(ge=0, le=1)
    """Share of the frames in which the target has at least 20 pixels."""
    target_ends_px: tuple[int, int]
    """Pixels of the target in the first and in the last frame."""
    emptiest_share: float = Field(ge=0, le=1)
    """Of the frame in which the largest part of the picture shows nothing: no object, no robot, no room."""
    origin: Origin
    """``measured``: pixels were counted; ``estimated``: rays were cast through the twin, for the simulator labels no pixels."""


class VideoRecord(FrozenModel):
    """One camera's video and what its pixels look like."""

    digest: FileDigest
    frames: int
    width: int
    height: int
    fps: int
    codec: str
    pix_fmt: str
    mean_luma: float
    """Mean over all frames, 0 to 255."""
    std_luma: float
    """Smallest standard deviation over the pixels of any one frame, 0 to 255: near 0 is a black or blank frame."""
    frozen_frames: int
    """Longest run of consecutive frames whose pixels are equal while the robot moves; of a camera on an arm, while that arm does."""
    sight: CameraSight | None
    """``None``: not measured."""
    sharpness: float
    """Smallest variance of the Laplacian of any sampled frame."""


class KOfN(FrozenModel):
    """The rule for simulators that promise no bit-identical replay."""

    needed: int = Field(ge=1)
    """k."""
    attempts: int = Field(ge=1)
    """n."""
    spread_m: float = Field(gt=0)
    """How far from where it should be the target may end."""


class Execution(FrozenModel):
    """One execution of recorded setpoints from the recorded start."""

    held: bool
    """The task's predicate held."""
    failure: str | None
    """What did not hold, or what stopped the simulation."""
    target_end_m: tuple[float, float, float] | None
    """Where the target came to rest; ``None`` where the simulation broke off."""
    distance_m: float | None
    """From there to where it ended in the recording."""


class KOfNEvidence(FrozenModel):
    """What the k-of-n rule was asked with, and what came out."""

    rule: KOfN
    executions: tuple[Execution, ...]

    @property
    def held(self) -> int:
        """How many executions did the task."""
        return sum(execution.held for execution in self.executions)

    @property
    def spread_m(self) -> float | None:
        """Largest distance of a target's end from the recorded one, over the executions that did the task; ``None`` where none did."""
        return max((item.distance_m for item in self.executions if item.held and item.distance_m is not None), default=None)


ReplayRule = Literal["bit_identical", "bounded", "k_of_n"]
"""``bounded``: of a deterministic simulator, executed on another class of machine than the recording's
(:mod:`blueprint_pipeline.render.bounded_replay`)."""


class ReplayCertificate(FrozenModel):
    """``certificate.json``: that the episode was executed again, and how its states came out."""

    schema_version: Literal["1.0"] = "1.0"
    episode_id: Id
    states_sha256: str
    model_sha256: str
    frames: int
    rule: ReplayRule
    k_of_n: KOfNEvidence | None = None
    """Of rules ``k_of_n`` and ``bounded``; ``None`` where nothing was executed, and of rule ``bit_identical``."""
    refused: str | None = None
    """Why the episode was not replayed at all or did not replay, with the error's code; ``None`` where it replayed."""
    replayed: bool
    """True only if every row of ``qpos`` and ``qvel`` equals the recording, bit by bit (or the rule that is named held)."""
    first_difference_frame: int | None
    max_abs_qpos_difference: float | None
    """From the recording, over all rows of all executions that came to an end; ``None``: there is none."""
    simulator: SimulatorInfo
    platform: Platform | None = None
    """Where it was executed again; ``None``: by a simulator in another process, or before certificates said so."""
    renderer: str
    render_profile: RenderProfile | None
    """How good the pictures are; ``None``: the simulator drew in the one way that it has."""
    videos: dict[str, VideoRecord]
    """By camera name; empty where ``replayed`` is false: nothing is drawn of an episode that does not replay."""
    depth: dict[str, FileDigest] = {}
    segmentation: dict[str, FileDigest] = {}


Selection = Literal["kept", "failures"]
"""Which episodes of a job are drawn, written and delivered: those that passed, or honest failures of the robot
(:mod:`blueprint_pipeline.quality.failures`). The same stages do both, each in folders of its own: neither touches the other's work."""
RENDERS_FOLDERS: dict[Selection, str] = {"kept": "geniesim/renders", "failures": "geniesim/failure_renders"}
STATES_NAME = "states.parquet"
EPISODE_NAME = "episode.json"
"""Files of a recording's folder."""
CERTIFICATE_NAME = "certificate.json"
"""In the folder of an episode's renders."""
LABELS_NAME = "labels.json"
"""In the same folder, where segmentation is drawn: the name of each of its values."""
STRIPS_FOLDER = "geniesim/strips"
"""Stills of episodes that people were asked about, each named by its content."""


def preview_name(camera: str) -> str:
    """File of a camera's small pictures, in the folder of an episode's renders."""
    return f"{camera}.preview.mp4"


def recording_path(shard_index: int, episode_id: str = "") -> str:
    """Folder of a shard's recordings, or of one episode in it, in the scene's folder."""
    return f"geniesim/recordings/{shard_name(shard_index)}/{episode_id}".rstrip("/")


def usage_path(shard_index: int, episode_id: str = "") -> str:
    """Folder of what a shard's attempts took, or the file of one, in the scene's folder."""
    return _usage_of(recording_path(shard_index, episode_id), episode_id)


def render_path(shard_index: int, episode_id: str = "", selection: Selection = "kept") -> str:
    """Folder of a shard's renders, or of one episode in it, in the scene's folder."""
    return f"{RENDERS_FOLDERS[selection]}/{shard_name(shard_index)}/{episode_id}".rstrip("/")


def render_usage_path(shard_index: int, episode_id: str = "", selection: Selection = "kept") -> str:
    """Folder of what a shard's renders took, or the file of one (a :class:`UnitUsage`), in the scene's folder."""
    return _usage_of(render_path(shard_index, episode_id, selection), episode_id)


def _usage_of(path: str, episode_id: str) -> str:
    return path.replace("geniesim/", "geniesim/usage/", 1) + (".json" if episode_id else "")
