"""Read episodes from the scene's folder as the cases that gates look at."""

from pathlib import Path

import av
from pydantic import ValidationError

from blueprint_pipeline.episode.reader import check_states, load_record
from blueprint_pipeline.episode.record import ReplayCertificate, Selection, recording_path, render_path
from blueprint_pipeline.licence.policy import LicenceBlocker
from blueprint_pipeline.quality.gates.case import EpisodeCase, ProbedVideo, RenderCase, RobotLimits
from blueprint_pipeline.task.plan import JobPlan
from blueprint_pipeline.task.spec import EpisodeSpec
from blueprint_pipeline.workspace.checksums import digest_file
from blueprint_pipeline.workspace.storage import SceneFolder


def load_episode_case(
    scene: SceneFolder,
    plan: JobPlan,
    shard_index: int,
    spec: EpisodeSpec,
    *,
    robot: RobotLimits,
    licence_blockers: tuple[LicenceBlocker, ...] | None,
) -> EpisodeCase:
    """Read one recorded episode.

    Raises:
        RecordingUnreadable: ``episode.json`` is missing or not in its format.
    """
    folder = scene.local(recording_path(shard_index, spec.episode_id))
    record = load_record(folder)
    path = folder / "states.parquet"
    arrays, findings = check_states(path, record) if path.is_file() else (None, ())
    return EpisodeCase(
        spec=spec,
        shard_index=shard_index,
        fps=plan.fps,
        record=record,
        states=digest_file(path) if path.is_file() else None,
        arrays=arrays,
        schema_findings=findings,
        robot=robot,
        licence_blockers=licence_blockers,
    )


def load_render_case(scene: SceneFolder, plan: JobPlan, shard_index: int, episode_id: str, selection: Selection = "kept") -> RenderCase:
    """Read one rendered episode.

    Raises:
        RecordingUnreadable: The recording's ``episode.json`` is missing or not in its format.
    """
    record = load_record(scene.local(recording_path(shard_index, episode_id)))
    folder = scene.local(render_path(shard_index, episode_id, selection))
    files = {camera: folder / f"{camera}.mp4" for camera in plan.cameras}
    return RenderCase(
        record=record,
        cameras=plan.cameras,
        width=plan.width,
        height=plan.height,
        certificate=_load_certificate(folder / "certificate.json"),
        videos={camera: probe_video(path) for camera, path in files.items() if path.is_file()},
        side_files={path.name: digest_file(path) for path in sorted(folder.glob("*.mkv"))},
    )


def _load_certificate(path: Path) -> ReplayCertificate | None:
    try:
        return ReplayCertificate.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):  # without a certificate that can be read the gate has no measurement, and fails
        return None


def probe_video(path: Path) -> ProbedVideo:
    """Count a video's packets and read its size and rate from the container, without decoding a picture."""
    digest = digest_file(path)
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            frames = sum(packet.size > 0 for packet in container.demux(stream))
            rate = stream.average_rate
            return ProbedVideo(
                digest=digest,
                frames=frames,
                width=stream.width,
                height=stream.height,
                frame_rate_hz=float(rate) if rate else None,
            )
    except (av.FFmpegError, IndexError):
        return ProbedVideo(digest=digest, frames=None, width=None, height=None, frame_rate_hz=None)
