"""The manifest and settled poses of the small scene."""

from collections.abc import Mapping

import mujoco

from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.origin import Origin
from blueprint_pipeline.scene.manifest import (
    AssetRef,
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
from blueprint_pipeline.twin.footprint import movable_objects
from tests.simulation.small_scene import SCENE_XML

DESCRIPTIONS = {"table": "wooden table", "can": "red soda can", "box": "small blue box"}


def small_manifest(descriptions: Mapping[str, str] = DESCRIPTIONS) -> SceneManifest:
    """Table, can and box, or other things by name; the first is the table."""
    return SceneManifest(
        scene_id="small",
        scene=SceneSection(environment_type="test", room=Room(bounds=Size(width=3, depth=3, height=2.5), origin=(-1.5, -1.5, 0))),
        objects=tuple(_object(index, name, descriptions[name]) for index, name in enumerate(descriptions)),
        background=None,
        camera=Camera(pose=Pose(position_m=(1, 0, 1), quat_wxyz=(1, 0, 0, 0)), fovy_rad=0.8, width=320, height=240),
        metadata=Metadata(
            source_pipeline="test",
            source_scene_id="small",
            source_version="1",
            source_confidence=None,
            source_coordinate_frame="z_up",
            source_meters_per_unit=1.0,
            generated_at=None,
        ),
    )


def settled_poses(xml: str = SCENE_XML) -> dict[str, Pose]:
    """Where can and box, or the objects of another scene, come to rest."""
    model = mujoco.MjModel.from_xml_string(xml)
    data = mujoco.MjData(model)
    for _ in range(480):
        mujoco.mj_step(model, data)
    poses = {}
    for name in movable_objects(model):
        x, y, z, w, a, b, c = (float(value) for value in data.joint(name).qpos)
        poses[name] = Pose(position_m=(x, y, z), quat_wxyz=(w, a, b, c))
    return poses


def _object(index: int, name: str, description: str) -> ManifestObject:
    return ManifestObject(
        id=name,
        sim_role="static" if name == "table" else "manipulable_object",
        name=name,
        category=name,
        description=description,
        asset=AssetRef(
            path=f"assets/{name}/visual.glb",
            asset_id=name,
            source=None,
            relative_path="",
            object_from_mesh=((1, 0, 0), (0, 1, 0), (0, 0, 1)),
            licence="CC0-1.0",
            licence_statement=None,
            licence_origin=Origin.AUTHORED,
            author=None,
            changes=None,
        ),
        transform=Transform(position=Xyz(x=0, y=0, z=0), rotation_quaternion=Wxyz(w=1, x=0, y=0, z=0)),
        dimensions_est=Size(width=0.1, depth=0.1, height=0.1),
        semantics=Semantics(class_=name, instance_id=index + 1, affordances=("Graspable",)),
        physics_hints=PhysicsHints(material_type="plastic", base_color=(1, 1, 1), metallic=0, roughness=1, origin=Origin.AUTHORED),
        is_floor_contact=name == "table",
        pose_confidence=None,
    )
