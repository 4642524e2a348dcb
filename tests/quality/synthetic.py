"""Synthetic episodes as ``blueprint_pipeline.episode.record`` has them: a plausible pick-and-place without a simulator."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from blueprint_pipeline.episode.arrays import parse_arrays
from blueprint_pipeline.episode.record import STATE_COLUMNS, EpisodeRecord
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.quality.gates.case import EpisodeCase, RobotLimits
from blueprint_pipeline.quality.gates.task import observed_motion
from blueprint_pipeline.robot.placement import RobotPlacement
from blueprint_pipeline.simulation.protocol import Capabilities, SimulatorInfo
from blueprint_pipeline.skill.pick_place import SKILL, PickPlaceTask
from blueprint_pipeline.task.outcome import Outcome, Phase
from blueprint_pipeline.task.plan import JobPlan, ShardRef, StartArea
from blueprint_pipeline.task.spec import EpisodeSpec
from tests.regions import square_about

FPS = 30
PLACEMENT = RobotPlacement(embodiment="franka_panda", base_pose=Pose(position_m=(0, -0.5, 0.75), quat_wxyz=(1, 0, 0, 0)))
LIMITS = RobotLimits(
    arms=("arm",),
    joints=tuple(f"joint{number}" for number in range(1, 8)),
    lower_rad=np.array([-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973]),
    upper_rad=np.array([2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973]),
    velocity_rad_s=np.array([2.175] * 4 + [2.61] * 3),
    torque_nm=np.array([87.0] * 4 + [12.0] * 3),
    default_rad=np.array([0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785]),
    inner=np.array([False] + [True] * 5 + [False]),
    finger_bodies=frozenset({"robot/left_finger", "robot/right_finger"}),
)
_HOME = LIMITS.default_rad
_PHASES = {"approach": 45, "pre_grasp": 20, "close": 15, "lift": 25, "transport": 45, "place": 25, "release": 15, "retract": 20, "home": 40}
SIMULATOR = SimulatorInfo(name="mujoco", version="4.0.0", timestep_s=1 / 480, substeps=16)


def minimum_jerk(n: int) -> np.ndarray:
    """Share of the way at n samples of a minimum-jerk movement, from 0 to 1."""
    s = np.linspace(0.0, 1.0, n)
    return 10 * s**3 - 15 * s**4 + 6 * s**5


@dataclass
class Episode:
    """One episode as it will be written: tests bend ``columns`` or ``record`` before."""

    spec: EpisodeSpec
    record: EpisodeRecord
    columns: dict[str, list]

    def table(self) -> pa.Table:
        return pa.table({name: pa.array(self.columns[name], type=dtype) for name, dtype in STATE_COLUMNS.items()})

    def case(self) -> EpisodeCase:
        digest = {"sha256": "0" * 64, "size_bytes": 1}
        record = self.record.model_copy(update={"states": EpisodeRecord.model_fields["states"].annotation.__args__[0](**digest)})
        return EpisodeCase(
            spec=self.spec,
            shard_index=record.shard_index,
            fps=FPS,
            record=record,
            states=record.states,
            arrays=parse_arrays(self.table()),
            schema_findings=(),
            robot=LIMITS,
            licence_blockers=(),
        )


def build_spec(index: int) -> EpisodeSpec:
    start = (0.40 + 0.01 * index, -0.10, 0.80)
    task = PickPlaceTask(
        instruction="put the can to the right of the bowl",
        target_object="can",
        support_object="table",
        region_m=square_about(0.45, 0.15),
        center_object_m=(0.0, 0.0, 0.0),
        goal_position_m=(0.45, 0.15, 0.80),
        upright=True,
    )
    upright = (1.0, 0.0, 0.0, 0.0)
    poses = {"can": Pose(position_m=start, quat_wxyz=upright), "bowl": Pose(position_m=(0.6, 0.0, 0.78), quat_wxyz=upright)}
    return EpisodeSpec(
        episode_index=index,
        episode_id=f"ep_{index:06d}",
        seed=index,
        arm="arm",
        task=task,
        object_poses=poses,
        robot_qpos=(*_HOME.tolist(), 0.04, 0.04),
    )


def _path(spec: EpisodeSpec) -> tuple[np.ndarray, tuple[Phase, ...]]:
    start, goal = np.array(spec.object_poses["can"].position_m), np.array(spec.task.goal_position_m)
    home, up = np.array([0.3, 0.0, 1.2]), np.array([0.0, 0.0, 0.15])
    via = {
        "approach": start + up,
        "pre_grasp": start,
        "close": start,
        "lift": start + up,
        "transport": goal + up,
        "place": goal,
        "release": goal,
        "retract": goal + up,
        "home": home,
    }
    position, phases, points = home, [], [home[None]]
    frame = 0
    for name, count in _PHASES.items():
        points.append(position + minimum_jerk(count + 1)[1:, None] * (via[name] - position))
        phases.append(Phase(name=name, start_frame=frame, end_frame=frame + count))
        position, frame = via[name], frame + count
    return np.concatenate(points), tuple(phases)


def build_episode(index: int = 0, *, shard_index: int = 0) -> Episode:
    """A sound episode."""
    spec = build_spec(index)
    ee, phases = _path(spec)
    rows = len(ee)
    frames = rows - 1
    bounds = {phase.name: (phase.start_frame, phase.end_frame) for phase in phases}
    mix = np.array([[1.2, 0.3, 0], [0.4, 0, -0.8], [0.3, 0.5, 0], [0.5, 0, -0.6], [0, 0.4, 0.2], [0.3, 0, 0.5], [0, 0.6, 0]])
    setpoint = _HOME + (ee - ee[0]) @ mix.T
    joints = setpoint.copy()
    for row in range(1, rows):
        joints[row] = joints[row - 1] + 0.8 * (setpoint[row] - joints[row - 1])
    velocity = np.gradient(joints, 1 / FPS, axis=0)
    command = np.full(rows, 0.08)
    command[bounds["close"][0] : bounds["release"][0]] = 0.0
    width = np.full(rows, 0.08)
    width[bounds["close"][0] + 6 : bounds["release"][0] + 3] = 0.05
    can = np.tile(np.array(spec.object_poses["can"].position_m), (rows, 1))
    held = slice(bounds["lift"][0], bounds["release"][0] + 1)
    can[held] = ee[held]
    can[bounds["release"][0] :] = spec.task.goal_position_m
    objects = np.zeros((rows, 2, 7))
    objects[:, :, 3] = 1.0
    objects[:, 0, :3], objects[:, 1, :3] = can, spec.object_poses["bowl"].position_m
    ctrl = np.concatenate([np.concatenate([setpoint[1:], setpoint[-1:]]), command[:, None] * 255 / 0.08], axis=1)
    ctrl[-1] = ctrl[-2]
    fingers = np.stack([width / 2, width / 2], axis=1)
    names, depths, forces = _contacts(rows, bounds)
    columns = {
        "frame_index": list(range(rows)),
        "time_s": [row / FPS for row in range(rows)],
        "phase": [phase.name for phase in phases for _ in range(phase.start_frame, phase.end_frame)] + [phases[-1].name],
        "qpos": np.concatenate([joints, fingers, objects.reshape(rows, -1)], axis=1).tolist(),
        "qvel": np.concatenate([velocity, np.zeros((rows, 14))], axis=1).tolist(),
        "ctrl": ctrl.tolist(),
        "actuator_force": np.zeros((rows, 8)).tolist(),
        "robot_qpos": joints.tolist(),
        "robot_qvel": velocity.tolist(),
        "robot_torque": np.full((rows, 7), 5.0).tolist(),
        "robot_command": ctrl[:, :7].tolist(),
        "gripper_width_m": width[:, None].tolist(),
        "gripper_command_m": command[:, None].tolist(),
        "ee_pose": np.concatenate([ee, np.tile([0.0, 1.0, 0.0, 0.0], (rows, 1))], axis=1).tolist(),
        "object_poses": objects.reshape(rows, -1).tolist(),
        "joint_positions": [[]] * rows,
        "integration_state": [[0.0] * 40] + [None] * frames,
        "contact_bodies": names,
        "contact_depth_m": depths,
        "contact_force_n": forces,
    }
    return _judged(Episode(spec, _record(spec, shard_index, phases, frames), columns))


def _judged(episode: Episode) -> Episode:
    """The episode with the account that the skill gives of it."""
    checks = SKILL.check(
        episode.spec.task, observed_motion(episode.spec.task, episode.record.object_ids, parse_arrays(episode.table()), arm=0, fps=FPS)
    )
    outcome = Outcome(success=True, failure_stage=None, failure_code=None, failure_reason=None, predicate=checks)
    return replace(episode, record=episode.record.model_copy(update={"outcome": outcome}))


def _contacts(rows: int, bounds: dict[str, tuple[int, int]]) -> tuple[list, list, list]:
    names: list[list[str]] = []
    for row in range(rows):
        pairs = ["bowl|table"]
        if row < bounds["lift"][0] + 2 or row > bounds["place"][1] - 2:
            pairs.append("can|table")
        if bounds["close"][0] + 6 <= row < bounds["release"][0] + 3:
            pairs += ["can|robot/left_finger", "can|robot/right_finger"]
        names.append(pairs)
    return names, [[0.0005] * len(pairs) for pairs in names], [[3.0] * len(pairs) for pairs in names]


def _record(spec: EpisodeSpec, shard_index: int, phases: tuple[Phase, ...], frames: int) -> EpisodeRecord:
    return EpisodeRecord(
        scene_id="kitchen",
        job_id="job-0123456789ab",
        shard_index=shard_index,
        episode_id=spec.episode_id,
        spec=spec,
        robot=PLACEMENT,
        fps=FPS,
        frames=frames,
        duration_s=frames / FPS,
        object_ids=("can", "bowl"),
        phases=phases,
        outcome=Outcome(success=True, failure_stage=None, failure_code=None, failure_reason=None, predicate=()),
        simulator=SIMULATOR,
        capabilities=Capabilities(deterministic=True, restores_state=True, renders=True, contacts=True, varies=True),
        controller="pick_place",
        model_sha256="a" * 64,
        states=None,
        origins={},
    )


def failed_attempt(index: int, *, shard_index: int = 0) -> Episode:
    """An attempt for which no motion was found: nothing moved, nothing is recorded but the record."""
    episode = build_episode(index, shard_index=shard_index)
    outcome = Outcome(
        success=False, failure_stage="plan_pick", failure_code="motion.no_grasp", failure_reason="0 of 64 grasps reachable", predicate=()
    )
    record = episode.record.model_copy(update={"frames": 0, "duration_s": 0.0, "phases": (), "outcome": outcome})
    return replace(episode, record=record)


def build_plan(specs: list[EpisodeSpec], *, shard_size: int = 2) -> JobPlan:
    indices = [spec.episode_index for spec in specs]
    batches = [tuple(indices[start : start + shard_size]) for start in range(0, len(indices), shard_size)]
    return JobPlan(
        job_id="job-0123456789ab",
        scene_id="kitchen",
        seed=0,
        fps=FPS,
        robot=PLACEMENT,
        cameras=("scene", "wrist"),
        width=32,
        height=24,
        start_area=StartArea(support="table", area_m2=0.3, covariances_m2={"can": ((0.03, 0.0), (0.0, 0.02))}),
        shards=tuple(ShardRef(shard_index=number, episode_indices=batch) for number, batch in enumerate(batches)),
        episodes=tuple(specs),
    )
