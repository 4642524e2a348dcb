"""In which order candidates are completed: the first that works, and one that makes a hand wander only where all others fail."""

from collections.abc import Iterable
from itertools import islice
from typing import Protocol, TypeVar

from blueprint_pipeline.motion.errors import CandidateRejected

SEED_STEP = 1000
"""Between the seeds of two attempts of one plan."""
MAX_PATH_SEARCHES = 5
"""Candidates that pass all cheap checks and get a path search."""

Candidate = TypeVar("Candidate")
Candidate_contra = TypeVar("Candidate_contra", contravariant=True)
Plan = TypeVar("Plan")
Plan_co = TypeVar("Plan_co", covariant=True)


class Complete(Protocol[Candidate_contra, Plan_co]):
    """Searches the path to a candidate and times all of it, or raises :class:`~blueprint_pipeline.motion.errors.CandidateRejected`."""

    def __call__(self, candidate: Candidate_contra, /, *, seed: int, may_wander: bool) -> Plan_co: ...


def complete_first(
    candidates: Iterable[Candidate], complete: Complete[Candidate, Plan], rejected: list[CandidateRejected], *, seed: int
) -> Plan | None:
    """The plan of the first candidate that has one; ``None``: none has.

    Args:
        candidates: In order of promise; :data:`MAX_PATH_SEARCHES` of them are tried.
        complete: Plans with one; a hand may go a long way round (``may_wander``) only where no candidate does without.
        rejected: Is added to: why candidates have no plan.
        seed: Decides the searches.
    """
    seeded = list[tuple[Candidate, int]]()
    for attempt, candidate in enumerate(islice(candidates, MAX_PATH_SEARCHES), start=1):
        its_seed = seed + SEED_STEP * attempt
        try:
            return complete(candidate, seed=its_seed, may_wander=False)
        except CandidateRejected as reason:
            rejected.append(reason)
            if reason.failure_code == "detour":
                seeded.append((candidate, its_seed))
    for candidate, its_seed in seeded:
        try:
            return complete(candidate, seed=its_seed, may_wander=True)
        except CandidateRejected:
            continue  # for the reason that is told already, or for what comes after the way there
    return None
