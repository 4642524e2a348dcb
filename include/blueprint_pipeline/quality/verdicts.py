"""What the gates said of each episode: a file a shard, so that nobody who writes or reads them holds a whole job in memory.

- ``geniesim/quality/verdicts/{shard}.json``: a :class:`ShardVerdicts` each, after ``gate_episodes``.
- ``geniesim/quality/render_verdicts/{shard}.json``: the same of what was rendered, after ``gate_renders``.
- ``geniesim/quality/failure_verdicts/{shard}.json``: the same of honest failures that were rendered, where somebody buys them.
"""

from collections.abc import Callable, Container, Iterator, Sequence
from hashlib import sha256
from typing import Literal

from pydantic import Field

from blueprint_pipeline.errors import IntegrityError
from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.origin import Origin
from blueprint_pipeline.task.plan import shard_name
from blueprint_pipeline.workspace.storage import Id

QUALITY_FOLDER = "geniesim/quality"
VERDICTS_FOLDER = f"{QUALITY_FOLDER}/verdicts"
RENDER_VERDICTS_FOLDER = f"{QUALITY_FOLDER}/render_verdicts"

Tier = Literal["core", "plus", "full"]
Verdict = Literal["kept", "rejected", "borderline"]
VERDICTS: tuple[Verdict, ...] = ("kept", "rejected", "borderline")
WhenFailed = Literal["failure", "weakness", "unusable"]
"""What a gate that failed makes of an episode, beside keeping it out of the dataset; ``include/config/tiers.yaml`` says what each means."""
Evidence = Literal["verdicts", "render_verdicts", "failure_verdicts"]
"""Folder of the files, beside the report that names them."""


class VerdictsDiffer(IntegrityError):
    """The verdicts of a shard are not those that the report of its job was made with."""

    code = "quality.verdicts_differ"
    template = (
        "{path} has sha256 {found_sha256:.16}, and the report beside it was made with {expected_sha256:.16}: one of the two was altered. "
        "Run the stage that judges again."
    )

    path: str
    found_sha256: str
    expected_sha256: str


class GateResult(FrozenModel):
    """One gate on one episode."""

    gate: str
    """Name of the gate, a key of ``include/config/tiers.yaml``."""
    tier: Tier
    passed: bool
    """Whether ``value`` keeps to ``limit``; false where there is no value."""
    borderline: bool = False
    """So near to the limit that a person decides (see the gate's ``borderline_fraction``)."""
    value: float | None
    """What was measured; ``None``: it could not be, so the gate fails."""
    limit: float
    direction: Literal["at_most", "at_least"] = "at_most"
    unit: str
    origin: Origin
    message: str
    """For people: what was found where."""
    when_failed: WhenFailed | None = None
    """What it makes of the episode where it fails; ``None``: a gate on a set of episodes."""
    frame: int | None = None
    """The first frame in which it is so; ``None``: it speaks of the whole, or nobody can tell."""

    def sentence(self) -> str:
        """The gate with what was measured and its limit."""
        value = "not measured" if self.value is None else f"{self.value:.3g}"
        return f"{self.gate}: {value}, {self.direction.replace('_', ' ')} {self.limit:.3g} {self.unit}"


class EpisodeVerdict(FrozenModel):
    """All gates on one episode."""

    episode_id: Id
    shard_index: int = Field(ge=0)
    verdict: Verdict
    gates: tuple[GateResult, ...]
    metrics: dict[str, float | None]
    """Reported only: skill scores never drop an episode. ``None``: it could not be measured."""

    def failed(self) -> list[GateResult]:
        """Gates that did not pass, in the order in which they were asked."""
        return [gate for gate in self.gates if not gate.passed]


class ShardVerdicts(FrozenModel):
    """Of one shard, all gates on every episode."""

    schema_version: Literal["1.0"] = "1.0"
    shard_index: int = Field(ge=0)
    episodes: tuple[EpisodeVerdict, ...]
    """In the plan's order."""


class JudgedShard(FrozenModel):
    """What a report says of a shard: verdicts alone."""

    shard_index: int = Field(ge=0)
    sha256: str
    """Of its file of verdicts. Approvals name it, so that they count for what the person saw."""
    verdicts: dict[Id, Verdict]
    """By episode, in the plan's order."""

    def count(self, verdict: Verdict) -> int:
        """How many of its episodes have a verdict."""
        return list(self.verdicts.values()).count(verdict)

    def selected(self, approved: Container[str] = ()) -> list[str]:
        """Ids of what continues: kept, and borderline ones that a person approved."""
        return [
            episode_id
            for episode_id, verdict in self.verdicts.items()
            if verdict == "kept" or (verdict == "borderline" and episode_id in approved)
        ]


def verdicts_path(evidence: Evidence, shard_index: int) -> str:
    """The verdicts of one shard, in the scene's folder."""
    return f"{QUALITY_FOLDER}/{evidence}/{shard_name(shard_index)}.json"


def judge_shard(shard_index: int, episodes: Sequence[EpisodeVerdict]) -> tuple[JudgedShard, bytes]:
    """A shard as its report names it, and the content of its file of verdicts."""
    judged = ShardVerdicts(shard_index=shard_index, episodes=tuple(episodes))
    data = (judged.model_dump_json(indent=1) + "\n").encode()
    return _name_shard(judged, data), data


def read_shard(data: bytes) -> JudgedShard:
    """A shard as its report names it, by the content of its file."""
    return _name_shard(ShardVerdicts.model_validate_json(data), data)


def _name_shard(judged: ShardVerdicts, data: bytes) -> JudgedShard:
    verdicts = {episode.episode_id: episode.verdict for episode in judged.episodes}
    return JudgedShard(shard_index=judged.shard_index, sha256=sha256(data).hexdigest(), verdicts=verdicts)


def read_verdicts(read: Callable[[str], bytes], evidence: Evidence, shards: Sequence[JudgedShard]) -> Iterator[EpisodeVerdict]:
    """All gates on every episode of shards, in order, with one shard in memory at a time.

    Args:
        read: Gives the content of a file of the scene.
        evidence: Which verdicts.
        shards: Those shards, as their report names them.

    Raises:
        VerdictsDiffer: A file is not the one that the report was made with.
    """
    for shard in shards:
        path = verdicts_path(evidence, shard.shard_index)
        data = read(path)
        if (found := sha256(data).hexdigest()) != shard.sha256:
            raise VerdictsDiffer(path, found, shard.sha256)
        yield from ShardVerdicts.model_validate_json(data).episodes
