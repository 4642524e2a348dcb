"""Scenes for tests: writable copies of real ones, and the same scene seen from elsewhere, in other axes and units."""

import json
import shutil
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation
from upath import UPath

import blueprint_pipeline
from blueprint_pipeline.scene.gltf import parse_glb
from blueprint_pipeline.scene.ingest import digest_source
from blueprint_pipeline.scene.mesh_files import build_glb
from blueprint_pipeline.scene.surfaces import Surface
from blueprint_pipeline.settings import Settings
from blueprint_pipeline.stage.contract import StageContext
from blueprint_pipeline.workspace.storage import SceneFolder

RESOURCES = Path(__file__).parents[1] / "resources"
SCENES = RESOURCES / "scenes"
SAMPLES = Path(blueprint_pipeline.__file__).parent / "scene/samples"

Z_TO_Y_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])


def surfaces_of(folder: Path, name: str) -> list[Surface]:
    """Surfaces of an object of a scene."""
    path = folder / "objects" / name / "mesh.glb"
    return parse_glb(path.read_bytes(), name, str(path))


def make_context(root: Path, scene_id: str, cache_dir: Path, source: Path | None = None) -> StageContext:
    """A context whose staging folder is the scene's folder itself: what a stage writes is there at once; ``source`` is to be ingested."""
    root.mkdir(parents=True, exist_ok=True)
    return StageContext(
        SceneFolder(UPath(str(root)), scene_id, cache_dir),
        staging=root,
        cache_dir=cache_dir,
        settings=Settings(),
        progress=lambda _done, _total: None,
        is_stopping=lambda: False,
        inputs=digest_source(str(source)) if source else {},
    )


def copy_scene(name: str, target: Path) -> Path:
    """A writable copy of a scene of the resources."""
    shutil.copytree(SCENES / name, target)
    return target


def read_json(path: Path) -> dict:
    return json.loads(path.read_text())


def edit_json(path: Path, **changes: object) -> None:
    """Set fields of a JSON file; ``None`` removes one."""
    value = {**read_json(path), **changes}
    path.write_text(json.dumps({name: item for name, item in value.items() if item is not None}))


def set_pose(scene: Path, object_id: str, matrix: np.ndarray, scale: np.ndarray) -> None:
    """Write a pose from a rigid matrix (4, 4) and a scale (3,), and the bounds that follow from it."""
    folder = scene / "objects" / object_id
    full = matrix @ np.diag([*scale, 1.0])
    edit_json(
        folder / "pose.json",
        transform_matrix=full.tolist(),
        translation=matrix[:3, 3].tolist(),
        rotation_quaternion=Rotation.from_matrix(matrix[:3, :3]).as_quat(scalar_first=True).tolist(),
        scale=np.asarray(scale).tolist(),
    )
    vertices = np.vstack([surface.vertices for surface in parse_glb((folder / "mesh.glb").read_bytes(), object_id, "mesh.glb")])
    points = vertices @ full[:3, :3].T + full[:3, 3]
    low, high = points.min(axis=0), points.max(axis=0)
    edit_json(folder / "bounds.json", min=low.tolist(), max=high.tolist(), center=((low + high) / 2).tolist(), size=(high - low).tolist())


def get_pose(scene: Path, object_id: str) -> tuple[np.ndarray, np.ndarray]:
    """Rigid matrix (4, 4) and scale (3,) of an object."""
    pose = read_json(scene / "objects" / object_id / "pose.json")
    scale = np.asarray(pose["scale"])
    return np.asarray(pose["transform_matrix"]) @ np.diag([*(1 / scale), 1.0]), scale


def move(scene: Path, object_id: str, offset: tuple[float, float, float]) -> None:
    """Shift an object by an offset in scene units."""
    matrix, scale = get_pose(scene, object_id)
    matrix[:3, 3] += offset
    set_pose(scene, object_id, matrix, scale)


def clone_object(scene: Path, object_id: str, new_id: str, offset: tuple[float, float, float]) -> None:
    """A second object of the same kind beside the first."""
    shutil.copytree(scene / "objects" / object_id, scene / "objects" / new_id)
    move(scene, new_id, offset)


def write_mesh(scene: Path, object_id: str, surfaces: list[Surface]) -> None:
    """Replace an object's mesh, and its bounds with it."""
    (scene / "objects" / object_id / "mesh.glb").write_bytes(build_glb(object_id, surfaces))
    set_pose(scene, object_id, *get_pose(scene, object_id))


def seen_from(scene: Path, turn: np.ndarray, units_per_meter: float, frame: str) -> None:
    """Rewrite a z-up, metric scene in other axes (``turn``: a rotation of the axes, (3, 3)) and units, with meshes left as they are."""
    for folder in (scene / "objects").iterdir():
        matrix, scale = get_pose(scene, folder.name)
        moved = np.eye(4)
        moved[:3, :3] = turn @ matrix[:3, :3]
        moved[:3, 3] = turn @ matrix[:3, 3] * units_per_meter
        set_pose(scene, folder.name, moved, scale * units_per_meter)
    background = parse_glb((scene / "background/mesh.glb").read_bytes(), "background", "mesh.glb")
    (scene / "background/mesh.glb").write_bytes(build_glb("background", [part.moved(turn * units_per_meter) for part in background]))
    extrinsics = np.asarray(read_json(scene / "camera/extrinsics.json")["matrix"])
    seen = np.eye(4)
    seen[:3, :3] = extrinsics[:3, :3] @ turn.T
    seen[:3, 3] = extrinsics[:3, 3] * units_per_meter
    edit_json(scene / "camera/extrinsics.json", matrix=seen.tolist())
    edit_json(scene / "scene_info.json", coordinate_frame=frame, meters_per_unit=1 / units_per_meter)
