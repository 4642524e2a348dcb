"""How long the demo will take: as long as runs took on this machine; of another machine's time nothing is said.

Each demo that reaches its end adds its own time to ``timings.jsonl`` of its Airflow home.
"""

from pathlib import Path

from pydantic import ValidationError

from blueprint_pipeline.frozen import FrozenModel
from operators.embedded.progress import describe_time

TIMINGS = "timings.jsonl"
_ALIKE = ("scene_id", "source", "robot", "skills")
"""What must be the same for the time of one run to tell that of another, by the number of episodes."""


class Timing(FrozenModel):
    """One run that reached its end."""

    work: dict[str, str]
    """What was asked for: scene, episodes, seed, lab."""
    certify_environment: str
    """sha256 of the packages that certified; empty: there was no such environment. With others, stages are new."""
    stages: int
    found_done: int
    """Stages whose work was found done."""
    wall_s: float

    @property
    def repeated_nothing(self) -> bool:
        return self.found_done == self.stages


def load_timings(home: Path) -> list[Timing]:
    """Runs of the past, oldest first; a line that another version wrote is left out."""
    path = home / TIMINGS
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [timing for line in lines if (timing := _parsed(line)) is not None]


def add_timing(home: Path, timing: Timing) -> None:
    """Keep the time of a run that reached its end."""
    with (home / TIMINGS).open("a", encoding="utf-8") as stream:
        stream.write(timing.model_dump_json() + "\n")


def expected_time(home: Path, work: dict[str, str], certify_environment: str) -> str:
    """What to expect of a run, with where the figure comes from."""
    timings = load_timings(home)
    same = [timing for timing in timings if timing.work == work]
    if same and same[-1].certify_environment != certify_environment:
        took = describe_time(same[-1].wall_s)
        return (
            f"not known; the last run of the same work took {took}, with another certify environment: the stages behind it are done again."
        )
    repeated = [timing for timing in same if timing.repeated_nothing]
    if repeated:
        return f"{describe_time(repeated[-1].wall_s)}: the last run of the same work took that long and found all of it done."
    if same:
        return f"less than {describe_time(same[-1].wall_s)}: the same work took that long before, and what is unchanged is found done."
    episodes = int(work["episodes"])
    full = [timing for timing in timings if timing.found_done == 0 and all(timing.work.get(name) == work[name] for name in _ALIKE)]
    if full:
        last_s = full[-1].wall_s * episodes / int(full[-1].work["episodes"])
        return f"about {describe_time(last_s)}, from the last run on this machine."
    return "not known; no run of this scene, robot and these skills has ended on this machine yet. Each stage shows its progress."


def _parsed(line: str) -> Timing | None:
    try:
        return Timing.model_validate_json(line)
    except ValidationError:
        return None
