"""Stills of episodes for a person who is asked about them: how each starts, where the robot first touches the target, how it ends.

Where another hand takes the target later on: that too. Where a try failed: where it was seen, and where the next one begins and ends.

They are drawn in the scene's MJCF twin from the recorded states, whatever simulator made them, small and in the cheapest way. Nothing is
executed again: a strip shows what was recorded, and certifies nothing.
"""

import io
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256

import mujoco
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from blueprint_pipeline.episode.arrays import EpisodeArrays, load_arrays
from blueprint_pipeline.episode.reader import load_audited_plan, load_record, planned_episodes
from blueprint_pipeline.episode.record import STATES_NAME, STRIPS_FOLDER, EpisodeRecord, recording_path
from blueprint_pipeline.errors import InputError
from blueprint_pipeline.geometry.arrays import ImageArray
from blueprint_pipeline.kit.pictures import VariedPictures
from blueprint_pipeline.kit.variation import VariedLooks
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.names import ROBOT_PREFIX
from blueprint_pipeline.simulation.mujoco.drawing import RenderBackend
from blueprint_pipeline.simulation.mujoco.renderer import camera_id
from blueprint_pipeline.simulation.mujoco.renderers import make_renderer
from blueprint_pipeline.task.outcome import AGAIN
from blueprint_pipeline.task.spec import EpisodeSpec
from blueprint_pipeline.twin.model import SceneModel, build_scene_model
from blueprint_pipeline.workspace.storage import SceneFolder

MOST = 6
"""Episodes of one strip; the first of those that are asked for."""
_WIDTH, _HEIGHT = 240, 180
_CAPTION, _MARGIN = 20, 4
_QUALITY = 70
_LATER_S = 1.0
"""Hands that touch the target within this time take it together: one still shows both."""


class NothingToDraw(InputError):
    """None of the episodes has states to draw."""

    code = "episode.nothing_to_draw"
    template = "Scene {scene_id} has no recorded states of {episode_ids}. `bpp episode show {scene_id}` lists its episodes."

    scene_id: str
    episode_ids: Sequence[str]


def draw_strip(scene: SceneFolder, episode_ids: Sequence[str], backend: RenderBackend) -> str:
    """Draw up to :data:`MOST` episodes, one a row, each with its sentence, and keep the picture in the scene's folder.

    Returns:
        Its name in the folder, from its content: the same picture is one file, and no file ever changes.

    Raises:
        NothingToDraw: No episode has states.
    """
    plan = load_audited_plan(scene, "strip")
    asked = [(shard, spec) for shard, spec in planned_episodes(plan) if spec.episode_id in set(episode_ids)][:MOST]
    twin = build_scene_model(scene.local("mjcf") / "scene.xml", plan.robot, plan.fps)
    stage = _Stage(twin, VariedLooks(twin.model), VariedPictures(twin.model), backend, camera_id(twin.model, plan.cameras[0]))
    rows = [row for shard, spec in asked if (row := _draw_row(scene, shard, spec, stage)) is not None]
    if not rows:
        raise NothingToDraw(scene.scene_id, list(episode_ids))
    target = io.BytesIO()
    widest = max(row.shape[1] for row in rows)
    wide = [np.pad(row, ((0, 0), (0, widest - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    Image.fromarray(np.vstack(wide)).save(target, format="JPEG", quality=_QUALITY, optimize=True)
    name = f"{STRIPS_FOLDER}/{sha256(target.getvalue()).hexdigest()[:16]}.jpg"
    scene.write_bytes(name, target.getvalue())
    return name


@dataclass(frozen=True)
class _Stage:
    twin: SceneModel
    looks: VariedLooks
    pictures: VariedPictures
    backend: RenderBackend
    camera: int


def _draw_row(scene: SceneFolder, shard: int, spec: EpisodeSpec, stage: _Stage) -> ImageArray | None:
    """Caption and stills of an episode; ``None`` where nothing moved."""
    folder = scene.local(recording_path(shard, spec.episode_id))
    record = load_record(folder)
    if record.states is None:
        return None
    sizes = {"n_objects": len(record.object_ids), "n_parts": len(record.joint_columns)}
    arrays = load_arrays(folder / STATES_NAME, frames=record.frames, **sizes, unmeasured=record.unmeasured_columns)
    twin = stage.twin
    stage.looks.apply(spec.variation.model_dump(mode="json"))
    stage.pictures.apply(spec.variation.model_dump(mode="json"))
    data, pictures = mujoco.MjData(twin.model), []
    with closing(make_renderer(twin.model, _WIDTH, _HEIGHT, stage.backend)) as renderer:
        for row in chosen_rows(arrays, record):
            data.qpos[:] = twin.qpos_of(arrays.robot_qpos[row], arrays.gripper_width_m[row], arrays.object_poses[row])
            mujoco.mj_forward(twin.model, data)
            renderer.look(data, stage.camera)
            pictures.append(np.pad(renderer.draw(), ((0, _MARGIN), (0, _MARGIN), (0, 0)), constant_values=255))
    stills = np.hstack(pictures)
    return np.vstack([_draw_caption(f"{spec.episode_id}: {spec.task.instruction}", stills.shape[1]), stills])


def chosen_rows(arrays: EpisodeArrays, record: EpisodeRecord) -> tuple[int, ...]:
    """Which rows tell an episode: the start, the first touch and that of another hand later on, the end.

    Of tries that failed, where that was seen and what came after.
    """
    if not record.recoveries:
        touch = first_touch(arrays, record.spec.task.target_object)
        later = [row for row in _hand_touches(arrays, record) if row > touch + _LATER_S * record.fps]
        return (0, touch, *sorted(later), record.frames)
    tries = [row for recovery in record.recoveries for row in (recovery.seen_frame, recovery.again_frame) if row is not None]
    again = [phase.end_frame for phase in record.phases if phase.name.endswith(AGAIN)]
    return (0, *tries, *again[-1:], record.frames)


def first_touch(arrays: EpisodeArrays, target: str) -> int:
    """The row in which the robot first touches the target; the middle one where it never does."""
    for row, pair in zip(arrays.contacts.row, arrays.contacts.pair, strict=True):
        names = pair.split("|")
        if target in names and any(name.startswith(ROBOT_PREFIX) for name in names):
            return int(row)
    return arrays.frames // 2


def _hand_touches(arrays: EpisodeArrays, record: EpisodeRecord) -> list[int]:
    """The row in which each hand of the robot that touches the target does so first."""
    target = record.spec.task.target_object
    found = []
    for arm in load_embodiment(record.robot.embodiment).arms:
        pairs = {"|".join(sorted((target, f"{ROBOT_PREFIX}{body}"))) for body in arm.gripper.hand_bodies}
        found += [int(row) for row, pair in zip(arrays.contacts.row, arrays.contacts.pair, strict=True) if pair in pairs][:1]
    return found


def _draw_caption(text: str, width: int) -> ImageArray:
    image = Image.new("RGB", (width, _CAPTION), "white")
    ImageDraw.Draw(image).text((_MARGIN, 2), text, fill="black", font=ImageFont.load_default(13))
    return np.asarray(image)
