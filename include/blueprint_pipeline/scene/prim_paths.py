"""Where a scene's things lie in its USD stage.

Objects have a folder of their own, for their ids are chosen by others: none of them can take the name of one of our prims
(``sun``, ``PhysicsScene``, ``scene_camera``, ``robot``).
"""

WORLD_PATH = "/World"
OBJECTS_PATH = f"{WORLD_PATH}/objects"
FLOOR_PATH = f"{WORLD_PATH}/floor"
BACKGROUND_PATH = f"{WORLD_PATH}/background"
SCENE_CAMERA_PATH = f"{WORLD_PATH}/scene_camera"
PHYSICS_SCENE_PATH = f"{WORLD_PATH}/PhysicsScene"


def object_path(object_id: str) -> str:
    """The prim of an object."""
    return f"{OBJECTS_PATH}/{object_id}"


def body_path(name: str, *, within: str) -> str:
    """The prim of a body of an articulated object, below the object's own prim: of its base, or of the part ``{object}/{part}``."""
    _, _, part = name.partition("/")
    return f"{within}/parts/{part}" if part else f"{within}/base"


def joint_path(joint: str, *, within: str) -> str:
    """The prim of a joint of an articulated object, below the object's own prim."""
    return f"{within}/joints/{joint}"
