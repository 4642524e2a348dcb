"""The folder of a scene with synthetic episodes in it: its files, in the exact formats, and a stage's context on it."""

from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
from upath import UPath

from blueprint_pipeline.episode.record import (
    CameraSight,
    EpisodeRecord,
    ReplayCertificate,
    Selection,
    VideoRecord,
    recording_path,
    render_path,
)
from blueprint_pipeline.scene.manifest import MANIFEST_PATH, SceneManifest
from blueprint_pipeline.settings import Settings
from blueprint_pipeline.simulation.render_profiles import FAST
from blueprint_pipeline.stage.contract import StageContext
from blueprint_pipeline.task.plan import ASSET_INDEX_PATH, EXPORT_MANIFEST_PATH, PLAN_PATH, SCENE_GRAPH_PATH, TASK_CONFIG_PATH, JobPlan
from blueprint_pipeline.workspace.checksums import digest_file
from blueprint_pipeline.workspace.storage import SceneFolder
from tests.quality.synthetic import FPS, SIMULATOR, Episode


def write_episode(root: Path, episode: Episode) -> EpisodeRecord:
    """Write one recording below a scene's folder; the record gets the digest of its states."""
    folder = root / recording_path(episode.record.shard_index, episode.spec.episode_id)
    folder.mkdir(parents=True, exist_ok=True)
    record = episode.record
    if record.frames:
        pq.write_table(episode.table(), folder / "states.parquet")
        record = record.model_copy(update={"states": digest_file(folder / "states.parquet")})
    (folder / "episode.json").write_text(record.model_dump_json(indent=1))
    return record


def build_manifest(names: tuple[str, ...] = ("can", "bowl", "table"), *, licence: str = "MIT") -> SceneManifest:
    """A scene manifest whose assets all have one licence."""
    zero = {"x": 0.0, "y": 0.0, "z": 0.0}
    box = {"width": 0.1, "depth": 0.1, "height": 0.1}
    stated = {"licence": licence, "licence_statement": licence, "licence_origin": "authored", "author": None, "changes": None}
    objects = [
        {
            "id": name,
            "sim_role": "manipulable_object",
            "name": name,
            "category": name,
            "description": name,
            "asset": {
                "path": f"assets/{name}/visual.glb",
                "asset_id": name,
                "source": None,
                "relative_path": f"regen3d/objects/{name}/mesh.glb",
                "object_from_mesh": np.eye(3).tolist(),
                **stated,
            },
            "transform": {"position": zero, "rotation_quaternion": {"w": 1.0, **zero}},
            "dimensions_est": box,
            "semantics": {"class": name, "instance_id": index, "affordances": ["Graspable"]},
            "physics_hints": {"material_type": "metal", "base_color": [1, 1, 1], "metallic": 0, "roughness": 1, "origin": "authored"},
            "is_floor_contact": False,
            "pose_confidence": None,
        }
        for index, name in enumerate(names)
    ]
    return SceneManifest.model_validate(
        {
            "scene_id": "kitchen",
            "scene": {"environment_type": "kitchen", "room": {"bounds": box, "origin": [0, 0, 0]}},
            "objects": objects,
            "background": None,
            "camera": {
                "pose": {"position_m": [0, 0, 1], "quat_wxyz": [1, 0, 0, 0]},
                "fovy_rad": 1.0,
                "width": 32,
                "height": 24,
            },
            "metadata": {
                "source_pipeline": "3d-re-gen",
                "source_scene_id": "kitchen",
                "source_version": "1",
                "source_confidence": None,
                "source_coordinate_frame": "z_up",
                "source_meters_per_unit": 1.0,
                "generated_at": None,
            },
        }
    )


def write_manifest(root: Path, manifest: SceneManifest) -> None:
    (root / "assets").mkdir(parents=True, exist_ok=True)
    (root / MANIFEST_PATH).write_text(manifest.model_dump_json(indent=1, by_alias=True))


def write_plan(root: Path, plan: JobPlan) -> None:
    (root / "geniesim").mkdir(parents=True, exist_ok=True)
    (root / PLAN_PATH).write_text(plan.model_dump_json(indent=1))
    for name in (TASK_CONFIG_PATH, SCENE_GRAPH_PATH, ASSET_INDEX_PATH, EXPORT_MANIFEST_PATH):
        (root / name).write_text("{}")


def write_video(path: Path, frames: int, *, width: int = 32, height: int = 24) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(frames):
            picture = np.full((height, width, 3), index % 255, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode())


def write_render(root: Path, record: EpisodeRecord, selection: Selection = "kept", **edits: object) -> ReplayCertificate:
    """Write two videos and the certificate of a rendered episode; ``edits`` bend the certificate."""
    folder = root / render_path(record.shard_index, record.episode_id, selection)
    folder.mkdir(parents=True)
    videos = {}
    for camera in ("scene", "wrist"):
        write_video(folder / f"{camera}.mp4", record.frames)
        videos[camera] = VideoRecord(
            digest=digest_file(folder / f"{camera}.mp4"),
            frames=record.frames,
            width=32,
            height=24,
            fps=FPS,
            codec="h264",
            pix_fmt="yuv420p",
            mean_luma=110.0,
            std_luma=40.0,
            frozen_frames=1,
            sight=CameraSight(target_visible_ratio=0.97, target_ends_px=(120, 90), emptiest_share=0.1, origin="measured"),
            sharpness=150.0,
        )
    certificate = ReplayCertificate(
        episode_id=record.episode_id,
        states_sha256=record.states.sha256,
        model_sha256=record.model_sha256,
        frames=record.frames,
        rule="bit_identical",
        replayed=True,
        first_difference_frame=None,
        max_abs_qpos_difference=0.0,
        simulator=SIMULATOR,
        render_profile=FAST,
        renderer="egl",
        videos=videos,
    ).model_copy(update=edits)
    (folder / "certificate.json").write_text(certificate.model_dump_json(indent=1))
    return certificate


def scene_at(root: Path) -> SceneFolder:
    return SceneFolder(UPath(root), "kitchen", root.parent / "cache")


def context_at(root: Path) -> StageContext:
    """A stage context whose staging is beside the scene, as the runner would give it."""
    staging = root.parent / "staging"
    staging.mkdir(exist_ok=True)
    return StageContext(
        scene_at(root),
        staging=staging,
        cache_dir=root.parent / "cache",
        settings=Settings(),
        progress=lambda _done, _total: None,
        is_stopping=lambda: False,
    )


def promote(context: StageContext) -> None:
    """What the runner does with staged files."""
    for path in sorted(context.staging.rglob("*")):
        if path.is_file():
            context.scene.publish_file(path, path.relative_to(context.staging).as_posix())
