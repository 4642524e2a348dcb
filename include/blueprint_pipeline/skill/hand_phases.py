"""What the phases of handing something over are called, and which of them belong to which hand and object."""

from dataclasses import dataclass

from blueprint_pipeline.skill.subtasks import Subtask


@dataclass(frozen=True)
class HandPhases:
    """The names of the phases: each begins with the hand that acts in it."""

    giver: str
    taker: str

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, in order."""
        give = tuple(f"{self.giver}_{name}" for name in ("approach", "reach", "grasp", "lift"))
        take = tuple(f"{self.taker}_{name}" for name in ("reach", "grasp"))
        part = tuple(f"{self.giver}_{name}" for name in ("release", "retract"))
        end = tuple(f"{self.taker}_{name}" for name in ("lower", "release", "retract", "home"))
        return (*give, "both_meet", *take, *part, "both_part", *end)

    @property
    def subtasks(self) -> tuple[Subtask, ...]:
        """The giving hand takes the object, and gives it where the hands meet.

        The other one comes there, receives the object while it is held still, and brings it to its goal.
        """
        names = self.names
        given, met, parted = (names.index(name) for name in (f"{self.giver}_lift", "both_meet", f"{self.giver}_retract"))
        return (
            Subtask(name="take", reference="target", phases=names[: given + 1], ways=frozenset(names[:1])),
            Subtask(name="give", reference=None, phases=names[given + 1 :]),
            Subtask(name="meet", reference=None, phases=names[: met + 1], hand=1),
            Subtask(name="receive", reference="target", phases=names[met + 1 : parted + 1], hand=1),
            Subtask(name="place", reference="goal", phases=names[parted + 1 :], ways=frozenset({"both_part", names[-1]}), hand=1),
        )

    @property
    def travel(self) -> tuple[str, ...]:
        """Those in which a hand travels."""
        return tuple(name for name in self.names if not name.endswith(("_grasp", "_release")))

    @property
    def touch(self) -> frozenset[str]:
        """Those in which fingers may touch the object."""
        return frozenset(self.names) - {f"{self.giver}_approach", f"{self.taker}_home"}
