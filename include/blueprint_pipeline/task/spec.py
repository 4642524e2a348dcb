"""What a robot should do in a scene, whatever its skill, and all that one episode starts from.

World frame: z up, metres, right-handed; quaternions w, x, y, z.
"""

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, SerializeAsAny, SerializerFunctionWrapHandler, model_serializer, model_validator

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.task.demonstration import Derivation
from blueprint_pipeline.task.mishap import Mishap
from blueprint_pipeline.task.skills import load_task_model
from blueprint_pipeline.task.task import Task
from blueprint_pipeline.task.variation import PLAIN, Variation
from blueprint_pipeline.workspace.storage import Id


def parse_task(value: object) -> object:
    """Read a task as the model of its skill; anything that names no skill is left to the validation of :class:`Task`.

    Raises:
        UnknownSkill: No skill has the task's type.
    """
    if isinstance(value, dict) and isinstance(value.get("task_type"), str):
        return load_task_model(value["task_type"]).model_validate(value)
    return value


class EpisodeSpec(FrozenModel):
    """All that one attempt starts from; the same spec gives the same episode, bit by bit."""

    episode_index: int = Field(ge=0)
    episode_id: Id
    seed: int = Field(ge=0)
    arm: str
    """Name of the arm that acts; the others keep their start pose."""
    task: Annotated[SerializeAsAny[Task], BeforeValidator(parse_task)]
    object_poses: dict[str, Pose]
    """Start pose in the world of every movable object (after variation of the settled scene), and of each part that is not closed."""
    variation: Variation = PLAIN
    """How the scene differs from the reconstructed one in this episode."""
    robot_qpos: tuple[float, ...]
    """Start configuration: of each arm its joints, then its finger joints, in the embodiment's order [rad, m]."""
    derived_from: Derivation | None = None
    """The demonstration whose motion it repeats; ``None``: its motion is planned from nothing but the task."""
    mishap: Mishap | None = None
    """What goes wrong on purpose in the first try; ``None``: nothing."""
    taken_away: tuple[Id, ...] = ()
    """Objects that lie out of the way in this episode: nobody names them, and ``object_poses`` has where they are."""

    @model_validator(mode="after")
    def _check_taken_away(self) -> Self:
        if wrong := sorted(name for name in self.taken_away if self.task.needs(name) or name not in self.object_poses):
            raise ValueError(f"{wrong[0]} cannot be taken away: the task names it, or it has no pose")
        return self

    @model_serializer(mode="wrap")
    def _serialize(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What is taken away stands only where something is: a record of all objects is what it was before some could go."""
        return {name: value for name, value in handler(self).items() if name != "taken_away" or value}
