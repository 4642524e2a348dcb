"""A scene with small real episodes: moving pictures encoded like renders, states in the format of recordings."""

import json
from fractions import Fraction
from pathlib import Path

import av
import mujoco
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from upath import UPath

from blueprint_pipeline.dataset.contract import DatasetSpec
from blueprint_pipeline.dataset.features import build_vector_features, video_key
from blueprint_pipeline.dataset.frames import load_frames
from blueprint_pipeline.dataset.video import load_episode_video
from blueprint_pipeline.dataset.writer import DatasetSummary, DatasetWriter
from blueprint_pipeline.episode.record import (
    STATE_COLUMNS,
    CameraSight,
    EpisodeRecord,
    ReplayCertificate,
    VideoRecord,
    recording_path,
    render_path,
)
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.origin import Origin
from blueprint_pipeline.quality.verdicts import EpisodeVerdict, GateResult
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.layout import layout_of
from blueprint_pipeline.robot.placement import RobotPlacement
from blueprint_pipeline.scene.manifest import (
    MANIFEST_PATH,
    AssetRef,
    Background,
    Camera,
    ManifestObject,
    Metadata,
    PhysicsHints,
    Room,
    SceneManifest,
    SceneSection,
    Semantics,
    Size,
    Transform,
    Wxyz,
    Xyz,
)
from blueprint_pipeline.settings import DatasetSettings, Settings
from blueprint_pipeline.simulation.protocol import Capabilities, SimulatorInfo
from blueprint_pipeline.simulation.render_profiles import FAST
from blueprint_pipeline.skill.pick_place import PickPlaceTask
from blueprint_pipeline.stage.contract import StageContext
from blueprint_pipeline.task.outcome import Outcome, Phase, PredicateCheck
from blueprint_pipeline.task.plan import PLAN_PATH, JobPlan, ShardRef
from blueprint_pipeline.task.spec import EpisodeSpec
from blueprint_pipeline.twin.binding import bind_robot
from blueprint_pipeline.twin.mount import mount
from blueprint_pipeline.twin.robot_cameras import load_robot_cameras
from blueprint_pipeline.workspace.checksums import digest_file
from blueprint_pipeline.workspace.storage import SceneFolder
from tests.quality.gate_reports import write_report
from tests.regions import square_about

FPS = 30
WIDTH, HEIGHT = 128, 96
CAMERAS = ("scene", "wrist")
ARMS = layout_of(load_embodiment("franka_panda"))
OBJECTS = ("bowl", "lemon")
INSTRUCTIONS = ("put the lemon into the bowl", "put the lemon to the left of the bowl")
SIMULATOR = SimulatorInfo(name="mujoco", version="4.0.0", timestep_s=1 / 480, substeps=16)
PLACEMENT = RobotPlacement(embodiment="franka_panda", base_pose=Pose(position_m=(0.0, 0.0, 0.5), quat_wxyz=(1.0, 0.0, 0.0, 0.0)))
ROBOT_CAMERAS = load_robot_cameras(PLACEMENT)
VECTORS = build_vector_features(ARMS, OBJECTS, (), tuple(ROBOT_CAMERAS.fovy_deg))
PHASES = ("approach", "lift")


def write_video(path: Path, frames: int, seed: int, *, b_frames: int = 0, width: int = WIDTH) -> None:
    """A moving picture with a different place of a bar in each frame, encoded as renders are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    texture = np.random.default_rng(seed).integers(0, 60, (HEIGHT, width, 3), dtype=np.uint8)
    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = width, HEIGHT, "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.max_b_frames = b_frames
        stream.options = {
            "crf": "23",
            "preset": "ultrafast",
            "x264-params": f"keyint=2:min-keyint=2:scenecut=0:bframes={b_frames}:threads=1",
        }
        if b_frames:
            stream.options = {"crf": "23", "x264-params": f"keyint=12:bframes={b_frames}:b-adapt=0:threads=1"}
        stream.time_base = Fraction(1, FPS)
        for number in range(frames):
            image = texture.copy()
            left = (number * 3 + seed * 17) % (width - 12)
            image[:, left : left + 12] = (220, 180, 40)
            image[(number * 2) % (HEIGHT - 8) :][:8] = (30, 90, 200)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def tool_poses(placement: RobotPlacement, joints: np.ndarray) -> np.ndarray:
    """The tool centre point in the world for joints (T, n_joints) of a robot with one arm: (T, 7), xyz and quat wxyz."""
    embodiment = load_embodiment(placement.embodiment)
    spec = mujoco.MjSpec()
    mount(spec, embodiment, placement.base_pose)
    model = spec.compile()
    data, arm = mujoco.MjData(model), bind_robot(model, embodiment).arms[0]
    poses = []
    for row in joints:
        data.qpos[arm.qpos] = row
        mujoco.mj_kinematics(model, data)
        poses.append(arm.tool_pose(data))
    return np.array(poses)


def states_table(frames: int, seed: int) -> pa.Table:
    """T + 1 rows of smooth motion."""
    rng = np.random.default_rng(seed)
    rows = frames + 1
    phase = np.linspace(0, 2 * np.pi, rows)[:, None]
    joints = rng.uniform(-1, 1, 7) + rng.uniform(0.2, 0.6, 7) * np.sin(phase * rng.uniform(0.5, 2, 7) + rng.uniform(0, 6, 7))
    speeds = np.gradient(joints, axis=0) * FPS
    setpoints = np.vstack([joints[1:], joints[-1:]]) + rng.normal(0, 1e-4, (rows, 7))
    width = 0.04 + 0.03 * np.cos(phase[:, 0])
    objects = np.tile([0.5, 0.1, 0.8, 1, 0, 0, 0, 0.3, -0.2, 0.8, 1, 0, 0, 0], (rows, 1)) + 0.01 * np.sin(phase * np.arange(1, 15))
    lists = {
        "qpos": np.hstack([joints, objects]),
        "qvel": np.hstack([speeds, np.zeros((rows, 12))]),
        "ctrl": np.hstack([setpoints, width[:, None] * 255 / 0.08]),
        "actuator_force": np.zeros((rows, 8)),
        "robot_qpos": joints,
        "robot_qvel": speeds,
        "robot_torque": np.zeros((rows, 7)),
        "robot_command": setpoints,
        "gripper_width_m": width[:, None],
        "gripper_command_m": np.append(width[1:], width[-1])[:, None],
        "ee_pose": np.hstack([0.4 + 0.1 * np.sin(phase * [1, 2, 3]), np.tile([0.0, 1, 0, 0], (rows, 1))]),
        "object_poses": objects,
        "joint_positions": np.zeros((rows, 0)),
    }
    columns: dict[str, pa.Array] = {name: pa.array(list(value), STATE_COLUMNS[name]) for name, value in lists.items()}
    columns |= {
        "frame_index": pa.array(np.arange(rows)),
        "time_s": pa.array(np.arange(rows) / FPS),
        "phase": pa.array([PHASES[0]] * (rows // 2) + [PHASES[1]] * (rows - rows // 2)),
        "integration_state": pa.array([rng.normal(size=50).tolist(), *[None] * frames], STATE_COLUMNS["integration_state"]),
        "contact_bodies": pa.array([[]] * rows, STATE_COLUMNS["contact_bodies"]),
        "contact_depth_m": pa.array([[]] * rows, STATE_COLUMNS["contact_depth_m"]),
        "contact_force_n": pa.array([[]] * rows, STATE_COLUMNS["contact_force_n"]),
    }
    return pa.table({name: columns[name] for name in STATE_COLUMNS}, schema=pa.schema(list(STATE_COLUMNS.items())))


def episode_record(index: int, frames: int, states: Path) -> EpisodeRecord:
    """The record of a successful episode."""
    return EpisodeRecord(
        scene_id="tabletop",
        job_id="job-0123456789ab",
        shard_index=index // 4,
        episode_id=f"ep_{index:04d}",
        spec=episode_spec(index),
        robot=PLACEMENT,
        fps=FPS,
        frames=frames,
        duration_s=frames / FPS,
        object_ids=OBJECTS,
        phases=(Phase(name="approach", start_frame=0, end_frame=frames),),
        outcome=Outcome(
            success=True,
            failure_stage=None,
            failure_code=None,
            failure_reason=None,
            predicate=(PredicateCheck(name="on_support", held=True, value=0.01, limit=0.03, direction="at_most", unit="m"),),
        ),
        simulator=SIMULATOR,
        capabilities=Capabilities(deterministic=True, restores_state=True, renders=True, contacts=True, varies=True),
        controller="pick_place",
        model_sha256="0" * 64,
        states=digest_file(states),
        origins={"states": Origin.SIMULATED},
    )


def episode_spec(index: int) -> EpisodeSpec:
    """What an episode starts from."""
    task = PickPlaceTask(
        instruction=INSTRUCTIONS[index % 2],
        target_object="lemon",
        support_object="table",
        region_m=square_about(0.5, 0.1),
        center_object_m=(0.0, 0.0, 0.0),
        goal_position_m=(0.5, 0.1, 0.8),
        upright=False,
    )
    pose = Pose(position_m=(0.3, -0.2, 0.8), quat_wxyz=(1.0, 0.0, 0.0, 0.0))
    return EpisodeSpec(
        episode_index=index,
        episode_id=f"ep_{index:04d}",
        seed=1000 + index,
        arm="arm",
        task=task,
        object_poses=dict.fromkeys(OBJECTS, pose),
        robot_qpos=(0.0,) * 9,
    )


def write_episode(scene: SceneFolder, index: int, frames: int) -> None:
    """Recording and render of one episode."""
    root = Path(scene.root.path)
    recording = root / recording_path(index // 4, f"ep_{index:04d}")
    recording.mkdir(parents=True)
    table = states_table(frames, index)
    tools = tool_poses(PLACEMENT, np.array(table.column("robot_qpos").to_pylist()))
    table = table.set_column(table.column_names.index("ee_pose"), "ee_pose", pa.array(list(tools), STATE_COLUMNS["ee_pose"]))
    pq.write_table(table, recording / "states.parquet", compression="zstd")
    record = episode_record(index, frames, recording / "states.parquet")
    (recording / "episode.json").write_text(record.model_dump_json())
    render = root / render_path(index // 4, f"ep_{index:04d}")
    videos = {}
    for number, camera in enumerate(CAMERAS):
        path = render / f"{camera}.mp4"
        write_video(path, frames, index * 2 + number)
        videos[camera] = VideoRecord(
            digest=digest_file(path), frames=frames, width=WIDTH, height=HEIGHT, fps=FPS, codec="h264", pix_fmt="yuv420p",
            mean_luma=80.0, std_luma=20.0, frozen_frames=0, sharpness=50.0,
            sight=CameraSight(target_visible_ratio=1.0, target_ends_px=(120, 90), emptiest_share=0.1, origin="measured"),
        )  # fmt: skip
    certificate = ReplayCertificate(
        episode_id=record.episode_id, states_sha256=record.states.sha256, model_sha256=record.model_sha256, frames=frames,
        rule="bit_identical", replayed=True, first_difference_frame=None, max_abs_qpos_difference=0.0, simulator=SIMULATOR,
        render_profile=FAST, renderer="egl", videos=videos,
    )  # fmt: skip
    (render / "certificate.json").write_text(certificate.model_dump_json())


def write_scene(scene: SceneFolder, lengths: list[int]) -> None:
    """Plan, episodes, renders and final gates; the last episode is rejected."""
    for index, frames in enumerate(lengths):
        write_episode(scene, index, frames)
    specs = tuple(episode_spec(index) for index in range(len(lengths)))
    shards = tuple(
        ShardRef(shard_index=first // 4, episode_indices=tuple(range(first, min(first + 4, len(lengths)))))
        for first in range(0, len(lengths), 4)
    )
    plan = JobPlan(
        job_id="job-0123456789ab", scene_id="tabletop", seed=0, fps=FPS, robot=PLACEMENT, cameras=CAMERAS, width=WIDTH, height=HEIGHT,
        shards=shards, episodes=specs,
    )  # fmt: skip
    scene.write_bytes(PLAN_PATH, plan.model_dump_json().encode())
    gate = GateResult(gate="replay", tier="core", passed=True, value=0.0, limit=0.0, unit="rad", origin=Origin.SIMULATED, message="same")
    verdicts = tuple(
        EpisodeVerdict(
            episode_id=f"ep_{index:04d}",
            shard_index=index // 4,
            verdict="kept" if index < len(lengths) - 1 else "rejected",
            gates=(gate,),
            metrics={"sparc": -2.0},
        )
        for index in range(len(lengths))
    )
    write_report(scene.write_bytes, "render_verdicts", verdicts, scene_id="tabletop", job_id="job-0123456789ab")


@pytest.fixture(scope="session")
def dataset(scene_with_episodes: SceneFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with v3.0 and v2.1 of six episodes. Read only."""
    folder = tmp_path_factory.mktemp("dataset")
    build_dataset(scene_with_episodes, folder)
    return folder


@pytest.fixture(scope="session")
def scene_with_episodes(tmp_path_factory: pytest.TempPathFactory) -> SceneFolder:
    """Seven episodes of 40 to 58 frames, six of them kept. Read only."""
    root = tmp_path_factory.mktemp("workspace")
    scene = SceneFolder(UPath(root / "scenes" / "tabletop"), "tabletop", root / "cache")
    write_scene(scene, [40 + 3 * index for index in range(7)])
    write_manifest(scene, bowl="CC-BY-4.0", lemon="MIT")
    return scene


def write_manifest(scene: SceneFolder, **licences: str) -> None:
    """A scene manifest with the licences of its objects, and a background of CC0."""
    square = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    objects = tuple(
        ManifestObject(
            id=name,
            sim_role="manipulable_object",
            name=name,
            category=name,
            description=name,
            asset=AssetRef(
                path=f"assets/{name}/visual.glb", asset_id=name, source="a package", relative_path="", object_from_mesh=square,
                licence=licence, licence_statement=None, licence_origin=Origin.AUTHORED, author=f"maker of {name}", changes=None,
            ),
            transform=Transform(position=Xyz(x=0, y=0, z=0), rotation_quaternion=Wxyz(w=1, x=0, y=0, z=0)),
            dimensions_est=Size(width=0.1, depth=0.1, height=0.1),
            semantics=Semantics(class_=name, instance_id=number + 1, affordances=("Graspable",)),
            physics_hints=PhysicsHints(material_type="plastic", base_color=(1, 1, 1), metallic=0, roughness=1, origin=Origin.AUTHORED),
            is_floor_contact=False,
            pose_confidence=None,
        )
        for number, (name, licence) in enumerate(licences.items())
    )  # fmt: skip
    manifest = SceneManifest(
        scene_id="tabletop",
        scene=SceneSection(environment_type="test", room=Room(bounds=Size(width=3, depth=3, height=2.5), origin=(-1.5, -1.5, 0))),
        objects=objects,
        background=Background(
            path="assets/background.glb", relative_path="", source_linear=square, licence="CC0-1.0",
            licence_statement="CC0 1.0", licence_origin=Origin.AUTHORED,
        ),
        camera=Camera(pose=Pose(position_m=(1, 0, 1), quat_wxyz=(1, 0, 0, 0)), fovy_rad=0.8, width=320, height=240),
        metadata=Metadata(
            source_pipeline="test", source_scene_id="tabletop", source_version="1", source_confidence=None,
            source_coordinate_frame="z_up", source_meters_per_unit=1.0, generated_at=None,
        ),
    )  # fmt: skip
    scene.write_bytes(MANIFEST_PATH, manifest.model_dump_json(by_alias=True).encode())


def stage_context(scene: SceneFolder, staging: Path, certify_python: Path = Path("absent/python")) -> StageContext:
    """What the runner would give to a stage."""
    return StageContext(
        scene,
        staging=staging,
        cache_dir=staging.parent / "cache",
        settings=Settings(dataset=DatasetSettings(certify_python=certify_python)),
        progress=lambda _done, _total: None,
        is_stopping=lambda: False,
    )


def dataset_spec(**limits: int) -> DatasetSpec:
    """What the fixture's episodes share."""
    return DatasetSpec(fps=FPS, robot_type="franka_panda", vectors=VECTORS, render_profile=FAST, **limits)


def build_dataset(scene: SceneFolder, folder: Path, *, episodes: int = 6, **limits: int) -> DatasetSummary:
    """Both datasets of the fixture's first episodes."""
    root = Path(scene.root.path)
    writer = DatasetWriter(folder, dataset_spec(**limits))
    for index in range(episodes):
        recording = root / recording_path(index // 4, f"ep_{index:04d}")
        render = root / render_path(index // 4, f"ep_{index:04d}")
        record = EpisodeRecord.model_validate_json((recording / "episode.json").read_text())
        videos = {
            video_key(camera): load_episode_video(render / f"{camera}.mp4", video_key(camera), frames=record.frames, fps=FPS)
            for camera in CAMERAS
        }
        writer.add(load_frames(recording / "states.parquet", record, ARMS, ROBOT_CAMERAS), videos, {"episode_id": record.episode_id})
    return writer.close()


def load_json(path: Path) -> dict[str, object]:
    """A JSON file as a dict."""
    return json.loads(path.read_text())
