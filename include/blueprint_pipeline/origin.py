"""Where a value comes from: gates read it, and production profiles refuse what was only guessed."""

from enum import StrEnum


class Origin(StrEnum):
    """How an artefact or metric came to be; nothing is ever filled in to look present."""

    MEASURED = "measured"
    SIMULATED = "simulated"
    ESTIMATED = "estimated"
    HEURISTIC = "heuristic"
    AUTHORED = "authored"
    ABSENT = "absent"
