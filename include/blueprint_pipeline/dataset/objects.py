"""What stands in a scene: which objects move, and where those are that do not."""

from collections.abc import Collection

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.scene.manifest import SceneManifest

OBJECTS = "meta/blueprint_pipeline/objects.json"


class SceneObject(FrozenModel):
    """One object, or a part of one that opens, as ``objects.json`` lists it."""

    id: str
    category: str
    description: str
    pose_world_object: Pose | None
    """Where it stands for ever; ``None``: it can move, and ``observation.object_poses`` has its pose in each frame."""


def build_objects(manifest: SceneManifest, moving: Collection[str]) -> tuple[SceneObject, ...]:
    """Every object of a scene, each followed by its parts that open, in the manifest's order.

    Args:
        manifest: Of the scene.
        moving: Objects and parts that the recordings have poses of; the others are fixed where they were reconstructed.
    """
    return tuple(
        SceneObject(
            id=name,
            category=item.category,
            description=item.description,
            pose_world_object=None if name in moving else item.pose,
        )
        for item in manifest.objects
        for name in (item.id, *item.moving_parts)
    )
