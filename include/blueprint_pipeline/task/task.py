"""What every task has, whatever the skill that does it."""

from abc import ABC, abstractmethod

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.geometry.pose import Pose, Vector3
from blueprint_pipeline.twin.body_names import BodyName, object_of
from blueprint_pipeline.workspace.storage import Id


class Task(FrozenModel, ABC):
    """What a robot should do with one object. Each skill has a model of its own, with a ``task_type`` that names the skill."""

    task_type: str
    instruction: str
    """English imperative, e.g. "put the lemon to the left of the bowl"; what a language-conditioned policy reads."""
    paraphrases: tuple[str, ...] = ()
    """Other sentences that say the same: each may stand in the place of the instruction."""
    target_object: BodyName
    """An object, or the part of one that shall move (``cabinet/door``)."""
    support_object: Id
    """What the target stands on at the end (the table, the counter, or a plate); of a part, the object that it hangs on."""

    @property
    @abstractmethod
    def goal_xy_m(self) -> tuple[float, float]:
        """Where the target should end, in the world: a point, or the middle of a region."""

    def goal_m(self, start: Pose) -> Vector3 | None:
        """The place in the world to which a demonstration brings the target's middle; ``None``: the task names none.

        Args:
            start: Where the target stands when it begins.
        """
        del start
        return None

    @property
    def goal_name(self) -> str:
        """Where it shall end, coarsely and in words: what coverage counts (:class:`blueprint_pipeline.task.coverage.Cell`)."""
        return "as asked"

    @property
    def goal_beside(self) -> str | None:
        """The object beside which it shall end, where the sentence names one."""
        return None

    def needs(self, name: str) -> bool:
        """Whether the task is about an object: any of its fields, in whatever skill, names it or a part of it."""
        fields = [value for value in self.model_dump().values() if isinstance(value, str)]
        return name in {object_of(field) for field in fields} | set(fields)

    def end_pose(self, start: Pose) -> Pose:
        """About where the target should end: turned as at the start, and on its level."""
        return start.model_copy(update={"position_m": (*self.goal_xy_m, start.position_m[2])})
