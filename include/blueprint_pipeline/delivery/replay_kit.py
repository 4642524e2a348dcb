"""The replay kit of a bundle: everything that executes the kept episodes again, and a short script that does it.

The kit holds the scene's twin and the robot's model as MJCF, verbatim, and ``kit.json``, which says how the robot was
mounted. A compiled model is not shipped: it would hold paths of this machine. Before packing, the kit is put together as
the script does it and its model is compared with the one that every episode was recorded with. Episodes of a simulator that gives no
same states twice come with its stage, and without a script.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mujoco

from blueprint_pipeline import kit as kit_package
from blueprint_pipeline.delivery import kit_scripts
from blueprint_pipeline.delivery.bag import PayloadFile
from blueprint_pipeline.episode.record import EpisodeRecord
from blueprint_pipeline.errors import IntegrityError
from blueprint_pipeline.kit.world import load_scene
from blueprint_pipeline.render.bounded_replay import BOUND
from blueprint_pipeline.robot.arm import Arm
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.names import ROBOT_PREFIX
from blueprint_pipeline.robot.placement import SCENE_CAMERA, RobotPlacement, View
from blueprint_pipeline.simulation.protocol import SimulatorInfo
from blueprint_pipeline.simulation.render_profiles import RenderProfile
from blueprint_pipeline.task.plan import JobPlan
from blueprint_pipeline.twin.model import build_spec, model_sha256

KIT_FOLDER = "replay"
KIT_PACKAGE = "blueprint_kit"
"""Name of the copy of :mod:`blueprint_pipeline.kit` in it."""
TIME_LIMIT = 1.5
"""How long a try at a task lasts at most, in longest demonstrations."""
_README = """# Replay

    pip install mujoco=={mujoco} numpy pyarrow pillow
    python KIT/replay.py
    MUJOCO_GL=egl python KIT/draw.py EPISODE CAMERA FRAME

KIT is this folder; run them from another one, for what is added to a bundle makes it one that was altered. `MUJOCO_GL` says what draws
without a screen: `egl` or `osmesa`; leave it out where there is a screen.

The first script executes every kept episode again from its stored state and set points. It compares each position and velocity with the
recording, and judges whether the task was done: `starts.json` has each task's conditions, `blueprint_kit/predicates.py` the lines that
also judged it when it was made. The second writes a frame as it was drawn for the dataset, with the render profile in `kit.json`, as PNG
where you are.

`scene/` is the simulated scene as it was reconstructed, before `variation` of each start in `starts.json` acts on it (lights, colours,
camera, friction, masses: `blueprint_kit/variation.py`; what surfaces show and the backdrop: `blueprint_kit/pictures.py`), `robot/` the
robot, `kit.json` how the two were put together; `episodes/` holds states (float64), record and certificate of each episode.

`env.py` is a Gymnasium environment of the same scene, robot, tasks, cameras and conditions, laid out as LeRobot's EnvHub wants it. An
action is a row of the dataset's `action`, a step one of its frames; reward 1 and the end when every condition holds. `starts.json` has
{held_out} starts that no episode has; `load_kit_env(starts="delivered")` begins where the episodes do, `reset(options={{"start": ID}})`
where you say.

    pip install gymnasium
    cd ELSEWHERE && PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=KIT python -c "from env import load_kit_env; print(load_kit_env().reset(seed=0))"

Bits are equal on machines of the class that an episode was made on: `platform` in its `episode.json` names the processor architecture and
what its mathematics library computes. x86-64 with FMA and AVX2 (since 2013) and glibc 2.36 or 2.41 is one such class. On another class
(no FMA, ARM, macOS, musl) every state must stay within {bound:g} (m, rad) of the recording. The script says which of the two it checked.
"""


_OTHER_README = """# What is needed to execute the episodes again

They were made with {simulator}, which gives no same states twice, so there is no script here that compares bits. Each was certified by
the k-of-n rule: its set points were executed again several times from its stored state, the task's own predicate held in most of the
executions, and the target ended near where it did in the recording. `episodes/*/certificate.json` has every execution.

`stage/`, where it is there, is what the simulator itself loaded of the scene, `scene/` the MJCF twin in which the motions were planned,
`robot/` the robot, `kit.json` where it stood; `episodes/` holds states (float64: `ctrl` are the set points, one a frame, reached
linearly), record and certificate of each episode. In the twin the same set points give a similar motion, not the same one.
"""


class KitDiffers(IntegrityError):
    """The replay kit does not give the model that an episode was recorded with."""

    code = "delivery.kit_differs"
    template = (
        "Episode {episode_id} was recorded with model {recorded_sha256:.16}, and the kit gives {found_sha256:.16}: a "
        "lab could not replay it. Scene, robot or code changed since the simulation: simulate again."
    )

    episode_id: str
    recorded_sha256: str
    found_sha256: str


@dataclass(frozen=True, kw_only=True)
class OtherStage:
    """What another simulator than the twin's own acted on."""

    simulator: SimulatorInfo
    folder: Path | None
    """What it loaded of the scene, beside the twin's."""


@dataclass(frozen=True, kw_only=True)
class JobFacts:
    """What of a job the kit's programs need."""

    scene_id: str
    fps: int
    longest: int
    """Frames of the longest episode."""
    held_out: int
    """Starts that no episode has."""
    cameras: tuple[str, ...]
    width: int
    height: int
    profile: RenderProfile | None
    """How the pictures of every episode were drawn; ``None``: as the simulator does by itself."""


def describe_job(plan: JobPlan, delivered: Sequence[EpisodeRecord], profile: RenderProfile | None) -> JobFacts:
    """The facts of a job whose delivered episodes were drawn with a profile."""
    return JobFacts(
        scene_id=plan.scene_id,
        fps=plan.fps,
        longest=max(record.frames for record in delivered),
        held_out=len(plan.held_out),
        cameras=plan.cameras,
        width=plan.width,
        height=plan.height,
        profile=profile,
    )


def list_kit_files(mjcf: Path, robot: RobotPlacement, job: JobFacts, other: OtherStage | None = None) -> list[PayloadFile]:
    """Scene and robot, and the script where it compares bits; without the episodes.

    Args:
        mjcf: Folder of the scene's twin, with ``scene.xml``.
        robot: Which robot stood where.
        job: What the programs need of it.
        other: What acted, where it was not MuJoCo in the twin.
    """
    embodiment = load_embodiment(robot.embodiment)
    robot_folder = embodiment.mjcf_path.parent
    files = [PayloadFile(f"{KIT_FOLDER}/scene/{name.as_posix()}", mjcf / name) for name in _files(mjcf)]
    files += [PayloadFile(f"{KIT_FOLDER}/robot/{name.as_posix()}", robot_folder / name) for name in _files(robot_folder)]
    kit = {
        "mujoco": mujoco.__version__,
        "bound": BOUND,
        "scene_mjcf": "scene/scene.xml",
        **_mounting(mjcf / "scene.xml", robot),
        "scene_id": job.scene_id,
        "fps": job.fps,
        "max_steps": math.ceil(TIME_LIMIT * job.longest),
        "cameras": list(job.cameras),
        "arms": [_describe_arm(arm) for arm in embodiment.arms],
        "frame_px": [job.width, job.height],
        "render_profile": job.profile.model_dump(mode="json") if job.profile else None,
    }
    files.append(PayloadFile(f"{KIT_FOLDER}/kit.json", json.dumps(kit, indent=1).encode() + b"\n"))
    if other is not None:
        if other.folder is not None:
            files += [PayloadFile(f"{KIT_FOLDER}/stage/{name.as_posix()}", other.folder / name) for name in _files(other.folder)]
        told = _OTHER_README.format(simulator=f"{other.simulator.name} {other.simulator.version}")
        return [*files, PayloadFile(f"{KIT_FOLDER}/README.md", told.encode())]
    told = _README.format(mujoco=mujoco.__version__, bound=BOUND, held_out=job.held_out)
    files.append(PayloadFile(f"{KIT_FOLDER}/README.md", told.encode()))
    programs, package = (Path(str(module.__file__)).parent for module in (kit_scripts, kit_package))
    files += [PayloadFile(f"{KIT_FOLDER}/{name}", programs / name) for name in _files(programs) if name.stem != "__init__"]
    files += [PayloadFile(f"{KIT_FOLDER}/{KIT_PACKAGE}/{name}", package / name) for name in _files(package)]
    return files


def _describe_arm(arm: Arm) -> Mapping[str, Any]:
    """Names in the model, and the gripper's table: what :class:`blueprint_pipeline.kit.world.KitArm` reads."""
    gripper = arm.gripper
    return {
        "name": arm.name,
        "joints": [ROBOT_PREFIX + joint.name for joint in arm.joints],
        "actuators": [ROBOT_PREFIX + joint.actuator for joint in arm.joints],
        "gripper_actuator": ROBOT_PREFIX + gripper.actuator,
        "fingers": [
            {"joint": ROBOT_PREFIX + joint.name, "positions": list(joint.positions)} for joint in gripper.fingers if joint.measures
        ],
        "openings_m": list(gripper.openings_m),
        "gripper_ctrl": list(gripper.ctrl),
        "tool_site": ROBOT_PREFIX + arm.tcp_site,
    }


def validate_kit(kit: Path, records: Sequence[EpisodeRecord]) -> None:
    """Put a packed kit together as its script does, and compare the model with the recordings'.

    Raises:
        KitDiffers: An episode was recorded with another model.
    """
    spec = load_scene(kit)
    found = model_sha256(spec, spec.compile())
    for record in records:
        if record.model_sha256 != found:
            raise KitDiffers(record.episode_id, record.model_sha256, found)


def _mounting(scene_xml: Path, robot: RobotPlacement) -> Mapping[str, Any]:
    """What building the model added to scene and robot, read off a built one: exact numbers, no second copy of the rules."""
    embodiment = load_embodiment(robot.embodiment)
    scene, robot_alone = (mujoco.MjSpec.from_file(str(path)) for path in (scene_xml, embodiment.mjcf_path))
    spec, own_boxes = build_spec(scene_xml, robot), {geom.name for geom in scene.worldbody.geoms}
    return {
        "option": {name: int(getattr(spec.option, name)) for name in ("enableflags", "disableflags")},
        "robot_mjcf": f"robot/{embodiment.mjcf_path.name}",
        "robot_prefix": ROBOT_PREFIX,
        "robot_base": {"pos": list(robot.base_pose.position_m), "quat": list(robot.base_pose.quat_wxyz)},
        "robot_cameras": [
            {"body": _local(camera.parent), "camera": _placed(camera) | {"fovy": float(camera.fovy)}}
            for camera in _mounted(spec.cameras, robot_alone.cameras)
        ],
        "robot_boxes": [
            {
                "body": _local(body.parent),
                "frame": _placed(body) | {"gravcomp": float(body.gravcomp)},
                "box": _placed(geom) | _look(geom) | {"mass": float(geom.mass)},
            }
            for body in _mounted(spec.bodies, robot_alone.bodies)
            for geom in body.geoms
        ],
        "scene_cameras": {} if robot.view is None else {SCENE_CAMERA: _view(robot.view)},
        "scene_boxes": [_placed(geom) | _look(geom) | {"name": geom.name} for geom in spec.worldbody.geoms if geom.name not in own_boxes],
    }


def _view(view: View) -> dict[str, Any]:
    return {"pos": list(view.position_m), "quat": list(view.quat_wxyz), "fovy": view.fovy_deg}


def _mounted(found: Iterable[Any], own: Iterable[Any]) -> list[Any]:
    """Elements with the robot's prefix that its model alone does not have."""
    known = {f"{ROBOT_PREFIX}{element.name}" for element in own}
    return [element for element in found if element.name.startswith(ROBOT_PREFIX) and element.name not in known]


def _local(element: Any) -> str:
    return str(element.name.removeprefix(ROBOT_PREFIX))


def _placed(element: Any) -> dict[str, Any]:
    return {"name": _local(element), "pos": element.pos.tolist(), "quat": element.quat.tolist()}


def _look(geom: Any) -> dict[str, Any]:
    return {"size": geom.size.tolist(), "rgba": geom.rgba.tolist(), "group": int(geom.group)}


def _files(folder: Path) -> list[Path]:
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
