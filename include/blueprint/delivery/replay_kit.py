"""The replay kit of a bundle: everything that executes the kept episodes again, and a short script that does it.

The kit holds the scene's twin and the robot's model as MJCF, verbatim, and ``kit.json``, which says how the robot was
mounted. A compiled model is not shipped: it would hold paths of this machine. Before packing, the kit is put together as
the script does it and its model is compared with the one that every episode was recorded with.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mujoco

from blueprint.delivery import replay_script
from blueprint.delivery.bag import PayloadFile
from blueprint.delivery.errors import KitDiffers
from blueprint.episode.record import EpisodeRecord
from blueprint.robot.embodiment import ROBOT_PREFIX, load_embodiment
from blueprint.simulation.mujoco.model import build_spec, model_sha256
from blueprint.task.spec import RobotPlacement

KIT_FOLDER = "replay"
_README = """# Replay

    pip install mujoco=={mujoco} numpy pyarrow
    python replay.py

executes every kept episode again from its stored state and set points, and compares each position and velocity with the
recording, bit by bit. `scene/` is the simulated scene, `robot/` the robot, `kit.json` how the two were put together;
`episodes/` holds states (float64), record and certificate of each episode.

Bit-identity was proven where the episodes were made (x86-64, the mujoco wheel above). On another kind of processor the
last bits of a sum may differ; the script then tells by how much.
"""


def list_kit_files(mjcf: Path, robot: RobotPlacement) -> list[PayloadFile]:
    """Scene, robot and script, without the episodes.

    Args:
        mjcf: Folder of the scene's twin, with ``scene.xml``.
        robot: Which robot stood where.
    """
    embodiment = load_embodiment(robot.embodiment)
    robot_folder = embodiment.mjcf_path.parent
    files = [PayloadFile(f"{KIT_FOLDER}/scene/{name.as_posix()}", mjcf / name) for name in _files(mjcf)]
    files += [PayloadFile(f"{KIT_FOLDER}/robot/{name.as_posix()}", robot_folder / name) for name in _files(robot_folder)]
    kit = {"mujoco": mujoco.__version__, "scene_mjcf": "scene/scene.xml", **_mounting(mjcf / "scene.xml", robot)}
    files.append(PayloadFile(f"{KIT_FOLDER}/kit.json", json.dumps(kit, indent=1).encode() + b"\n"))
    files.append(PayloadFile(f"{KIT_FOLDER}/README.md", _README.format(mujoco=mujoco.__version__).encode()))
    files.append(PayloadFile(f"{KIT_FOLDER}/replay.py", Path(replay_script.__file__)))
    return files


def validate_kit(kit: Path, records: Sequence[EpisodeRecord]) -> None:
    """Put a packed kit together as its script does, and compare the model with the recordings'.

    Raises:
        KitDiffers: An episode was recorded with another model.
    """
    spec = replay_script.load_scene(kit)
    found = model_sha256(spec, spec.compile())
    for record in records:
        if record.model_sha256 != found:
            raise KitDiffers(record.episode_id, record.model_sha256, found)


def _mounting(scene_xml: Path, robot: RobotPlacement) -> Mapping[str, Any]:
    """What building the model added to scene and robot, read off a built one: exact numbers, no second copy of the rules."""
    embodiment = load_embodiment(robot.embodiment)
    before = {geom.name for geom in mujoco.MjSpec.from_file(str(scene_xml)).worldbody.geoms}
    own = {camera.name for camera in mujoco.MjSpec.from_file(str(embodiment.mjcf_path)).cameras}
    spec = build_spec(scene_xml, robot)
    added = [
        camera for camera in spec.cameras if camera.name.startswith(ROBOT_PREFIX) and camera.name.removeprefix(ROBOT_PREFIX) not in own
    ]
    return {
        "option": {name: int(getattr(spec.option, name)) for name in ("enableflags", "disableflags")},
        "robot_mjcf": f"robot/{embodiment.mjcf_path.name}",
        "robot_prefix": ROBOT_PREFIX,
        "robot_base": {"pos": list(robot.base_pose.position_m), "quat": list(robot.base_pose.quat_wxyz)},
        "robot_cameras": {
            camera.parent.name.removeprefix(ROBOT_PREFIX): {
                "name": camera.name.removeprefix(ROBOT_PREFIX),
                "pos": camera.pos.tolist(),
                "quat": camera.quat.tolist(),
                "fovy": float(camera.fovy),
            }
            for camera in added
        },
        "added_boxes": [
            {
                "name": geom.name,
                "pos": geom.pos.tolist(),
                "quat": geom.quat.tolist(),
                "size": geom.size.tolist(),
                "rgba": geom.rgba.tolist(),
                "group": int(geom.group),
            }
            for geom in spec.worldbody.geoms
            if geom.name not in before
        ],
    }


def _files(folder: Path) -> list[Path]:
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
