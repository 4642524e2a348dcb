"""Which robot stands where."""

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.workspace.storage import Id


class RobotPlacement(FrozenModel):
    """Which robot stands where."""

    embodiment: Id
    base_pose: Pose
