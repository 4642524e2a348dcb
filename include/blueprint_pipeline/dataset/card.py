"""The dataset card: ``README.md`` with the metadata that the Hugging Face Hub reads.

Source: Hugging Face Hub documentation, "Dataset Cards".
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import yaml

from blueprint_pipeline.dataset.action_contract import describe_lag
from blueprint_pipeline.dataset.asset_licences import HUGGING_FACE_IDS, DatasetLicence
from blueprint_pipeline.dataset.contract import DatasetSpec, build_splits
from blueprint_pipeline.dataset.features import CAMERA_POSE, DONE, OBJECT_POSES, SUBTASK, SUCCESS, build_info_features
from blueprint_pipeline.dataset.formats import FormatName, FormatRow, join_titles
from blueprint_pipeline.dataset.layout import INFO, SIDECAR
from blueprint_pipeline.dataset.objects import OBJECTS
from blueprint_pipeline.dataset.variation_words import describe_variation
from blueprint_pipeline.dataset.writer import DatasetSummary
from blueprint_pipeline.episode.record import EpisodeRecord
from blueprint_pipeline.task.coverage_facts import CombinationFacts
from blueprint_pipeline.task.outcome import AGAIN
from blueprint_pipeline.task.variation import VARIATIONS

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10_000_000, "1M<n<10M"))


@dataclass(frozen=True, kw_only=True)
class CardFacts:
    """What a card says beside the data themselves."""

    scene_id: str
    job_id: str
    seed: int
    tier: str
    simulator: str
    """Name and version."""
    replays: str
    """How the episodes came out when they were executed again."""
    pictures: str
    """How good they are, with every setting."""
    controller: str
    skills: str
    """What the robot does in them, in words."""
    attempted: int
    """Episodes that were planned, whatever became of them."""
    variation: str
    """Within which ranges scenes were varied, by name (:data:`blueprint_pipeline.task.variation.VARIATIONS`)."""
    set_aside: Mapping[str, str]
    """Objects of the scene that cannot move because they never come to rest, each with the reason."""
    left_out: Mapping[str, Mapping[str, str]]
    """By skill, the movable objects that it does not take, each with the reason."""
    recoveries: str
    """How many episodes show a failed try and how it was made good, in words."""
    licence: DatasetLicence
    coverage: Sequence[CombinationFacts]
    """Which cells have a kept episode; empty where the plan declares none."""
    spread: Mapping[str, float | None]
    """Measures of the kept episodes together, by name (:mod:`blueprint_pipeline.quality.metrics.spread`)."""
    formats: tuple[FormatName, ...]
    """In which the same episodes are written."""
    failures: Mapping[str, int] | None
    """How many episodes failed in which way; ``None``: this is the dataset of what succeeded."""
    derived: Mapping[str, int]
    """How many of the episodes repeat the motion of a demonstration, by its episode's id."""


def build_card(row: FormatRow, facts: CardFacts, spec: DatasetSpec, summary: DatasetSummary) -> str:
    """The whole ``README.md`` of one format."""
    header = yaml.safe_dump(_metadata(row, facts, summary), sort_keys=False, allow_unicode=True, width=10_000)
    parts = [
        f"# {_title(facts, row)}\n",
        _what(row, facts, summary),
        *([] if facts.failures is None else [describe_failures(facts.failures)]),
        _loading(row),
        _columns(row, spec, summary),
        _geometry(summary),
        *([_spread(facts)] if facts.failures is None else []),
        *([describe_coverage(facts.coverage)] if facts.coverage else []),
        _origin(facts, summary),
        _licences(facts.licence),
    ]
    return f"---\n{header}---\n\n" + "\n".join(parts)


def _loading(row: FormatRow) -> str:
    example = "" if row.example is None else f"\n```python\n{row.example.format(folder=row.name)}\n```\n"
    return f"## Load it\n\n{row.readers}\n{example}"


def _title(facts: CardFacts, row: FormatRow) -> str:
    failed = "" if facts.failures is None else "failures of "
    return f"{facts.scene_id}: {failed}simulated {facts.skills}, {facts.job_id} ({row.title})"


def _metadata(row: FormatRow, facts: CardFacts, summary: DatasetSummary) -> dict[str, object]:
    licences = facts.licence.ids
    single = HUGGING_FACE_IDS.get(licences[0]) if len(licences) == 1 else None
    licence: dict[str, object] = {"license": single} if single else {"license": "other", "license_name": _slug(facts.licence.expression)}
    if not single:
        licence["license_link"] = "README.md#licence"
    return {
        **licence,
        "pretty_name": _title(facts, row),
        "language": ["en"],
        "tags": [
            *row.tags,
            "robotics",
            "simulation",
            *(["failures"] if facts.failures is not None else []),
            facts.simulator.split()[0],
            row.name,
        ],
        "task_categories": ["robotics"],
        "size_categories": [next((name for limit, name in _SIZES if summary.frames < limit), "n>10M")],
        "source_datasets": ["original"],
        "annotations_creators": ["machine-generated"],
        **({"configs": [{"config_name": "default", "data_files": row.tables}]} if row.tables else {}),
    }


def _slug(expression: str) -> str:
    """An SPDX expression as the Hub wants names of licences: small letters, digits, dots and dashes.

    >>> _slug("CC-BY-4.0 AND (MIT OR Apache-2.0)")
    'cc-by-4.0-and-mit-or-apache-2.0'
    """
    return re.sub(r"[^a-z0-9.]+", "-", expression.lower()).strip("-")


def _what(row: FormatRow, facts: CardFacts, summary: DatasetSummary) -> str:
    cameras = ", ".join(f"`{video.key}` ({video.width}x{video.height}, {video.codec})" for video in summary.videos)
    tasks = "\n".join(f"- {task}" for task in summary.tasks)
    others = join_titles(name for name in facts.formats if name != row.name)
    verdict = f"Every episode is a success by its predicate, and passed the gates of tier {facts.tier}."
    if facts.failures is not None:
        verdict = (
            f"**Every episode is a failure**: the gates of tier {facts.tier} on what the robot did refused it. It replays, as kept ones do."
        )
    same = f" The same frames are written as {others}." if others else ""
    return (
        f"{summary.episodes} episodes, {summary.frames} frames, {summary.duration_s:.1f} s in all, of {facts.attempted} attempted. "
        f"Cameras: {cameras or 'none'}. {verdict} "
        f"{facts.recoveries} {facts.replays}{same}\n\nInstructions:\n\n{tasks}\n"
    )


def describe_failures(kinds: Mapping[str, int]) -> str:
    """A section: how many episodes failed in which way, and where each one's label stands."""
    rows = "\n".join(f"| `{kind}` | {count} |" for kind, count in kinds.items())
    return (
        "## What went wrong\n\nNone of these episodes is in the main dataset, nor in its statistics. Only failures of the robot are here: "
        "an attempt whose simulation, recording or licences are in doubt is sold to nobody, and one that never moved has nothing to show. "
        f"`failure` of an episode's line in `{SIDECAR}` has its `kind` and `reason`, the `phase` and `frame` in which it went wrong where "
        "that is known, the `conditions` of the task that do not hold and the `gates` that refused it, each with value and limit. "
        f"`{SUCCESS}` and `success` are false throughout; where `outcome.success` is true the task was done, and a gate refused the way, "
        "as after a collision.\n\n"
        f"| kind | episodes |\n|---|---|\n{rows}\n"
    )


def _columns(row: FormatRow, spec: DatasetSpec, summary: DatasetSummary) -> str:
    features = build_info_features(spec.vectors, summary.videos, annotation=row.annotated)
    rows = []
    for key, feature in features.items():
        names = feature["names"]
        meaning = ", ".join(str(name) for name in names) if isinstance(names, list) else ""
        rows.append(f"| `{key}` | {feature['dtype']} | {feature['shape']} | {meaning} |")
    return (
        f"## Columns\n\nOne row a frame at {spec.fps} Hz; row t has the state at the start of frame t, and as action the absolute setpoint "
        f"that is commanded at its end; in between the command goes linearly from one to the next. {describe_lag(summary.contract)} World "
        "frame: z up, metres; quaternions w, x, y, z, without jumps of sign within an episode. "
        f"`{SUBTASK}` is the phase: {', '.join(f'{number} {name}' for number, name in enumerate(summary.subtasks))}. "
        f"{f'A name that ends in `{AGAIN}` is of another try. ' if any(name.endswith(AGAIN) for name in summary.subtasks) else ''}"
        f"`{DONE}` is true in an episode's last frame, `{SUCCESS}` there and only where the task is done.\n\n"
        "| column | type | shape | meaning |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def _geometry(summary: DatasetSummary) -> str:
    splits = ", ".join(f"`{name}` {found}" for name, found in build_splits(summary.episodes).items())
    return (
        "## Cameras, objects, splits\n\n"
        f"`{SIDECAR}` has for each episode, under `cameras`, each camera's `width`, `height`, `fx`, `fy`, `cx`, `cy` (pixels; the middle "
        "of the top left pixel is 0, 0; no distortion), and where it is: `pose_world_camera` (x, y, z in m, quaternion w, x, y, z) where "
        f"it stands still, else the column `{CAMERA_POSE}.<camera>`. Axes are OpenCV's: x to the right, y down, z ahead. "
        f"`{OBJECT_POSES}` has every object that can move; `{OBJECTS}` lists all objects, with the pose of those that cannot.\n\n"
        f"Splits by episode, in `{INFO}`: {splits}. Statistics are over all episodes.\n"
    )


_SPREADS = {
    "start_spread": ("starts of the moved objects, within each object", "{:.0%} of where they have room within reach"),
    "heading_spread": ("headings of the moved objects at the start", "{:.0%} of all round"),
    "goal_spread": ("places where they end", "{:.0%} of where they have room within reach"),
    "object_balance": ("objects, rare ones counting less", "{:.0%} of those that the robot can take"),
    "effective_sentences": ("different sentences, rare ones counting less", "{:.1f}"),
    "effective_episodes": ("different paths of the tool (Vendi score, 5 cm)", "{:.1f}"),
    "near_duplicate_share": ("paths within 1 mm of another", "{:.1%}"),
}


def _spread(facts: CardFacts) -> str:
    rows = [
        f"| {meaning} | {'not measured' if (value := facts.spread.get(name)) is None else form.format(value)} |"
        for name, (meaning, form) in _SPREADS.items()
    ]
    return (
        "## How wide it spreads\n\nDirections in the sentences are those of `observation.images.scene`: left is left in its picture.\n\n"
        "| what | how wide |\n|---|---|\n" + "\n".join(rows) + "\n\n" + describe_variation(VARIATIONS[facts.variation]) + "\n"
    )


def describe_coverage(coverage: Sequence[CombinationFacts]) -> str:
    """A section: of each axis and pair how many of the declared cells have a kept episode, and which have none."""
    rows = "\n".join(
        f"| {facts.skill.replace('_', ' ')} | {facts.title} | {facts.filled} of {facts.declared} | {facts.describe_empty(reasons=False)} |"
        for facts in coverage
    )
    return (
        "## What is in the data, and what is not\n\n"
        "A cell is declared where the scene has room for it and the sentences words. Starts are parts of the support in the directions of "
        "`observation.images.scene` or thirds of how far a part is open; goals are parts of the support, sides of another object, what "
        "receives the target, or how far open. Light is beside that of the reconstruction, and a sentence counts by its first words.\n\n"
        f"| skill | cells of | filled | empty |\n|---|---|---|---|\n{rows}\n"
    )


def _origin(facts: CardFacts, summary: DatasetSummary) -> str:
    return (
        "## Where it comes from\n\n"
        f"Simulated with {facts.simulator}, controller {facts.controller}, scene `{facts.scene_id}`, job `{facts.job_id}`, "
        f"seed {facts.seed}; {summary.episodes} of {facts.attempted} attempted episodes "
        f"{'were kept' if facts.failures is None else 'failed so'}. "
        f"{describe_derived(facts.derived, summary.episodes)}"
        f"{facts.pictures} {describe_set_aside(facts.set_aside)}{describe_left_out(facts.left_out)}"
        "`meta/blueprint_pipeline/episodes.jsonl` has for each episode: seed, paraphrases of its sentence, start poses, integration state "
        "in float64, phases, success predicate with margins, gates, replay certificate. No person was "
        "recorded; there are no personal data.\n"
    )


def describe_derived(derived: Mapping[str, int], episodes: int) -> str:
    """How many episodes repeat a demonstration's motion, in a sentence; nothing where none does."""
    if not derived:
        return ""
    return (
        f"{sum(derived.values())} of the {episodes} repeat the motions of {len(derived)} demonstration(s) about other starts and goals, "
        f"with planned ways between them (at most {max(derived.values())} of one); `spec.derived_from` in `episodes.jsonl` names each "
        "one's source. "
    )


def describe_recoveries(records: Sequence[EpisodeRecord], share: float) -> str:
    """How many episodes show a try that failed, in a sentence or two.

    Args:
        records: The episodes of the dataset.
        share: Of the planned episodes in which a try should fail on purpose.
    """
    shown = [record for record in records if record.recoveries]
    provoked = sum(record.provoked is not None for record in shown)
    asked = f"In {share:.0%} of the planned episodes the first try was to fail on purpose. " if share else ""
    if not shown:
        return f"{asked}In none of them a try was seen to fail."
    return (
        f"{asked}In {len(shown)} of them a try was seen to fail, and the robot let go, backed off and tried again; in {provoked} of "
        f"these the first try failed on purpose. `{SIDECAR}` has their frames (`recoveries`, `provoked`, `tries`)."
    )


def describe_set_aside(reasons: Mapping[str, str]) -> str:
    """A sentence for each object that was set aside."""
    return "".join(f"`{name}` is fixed where it was reconstructed: {reason}. " for name, reason in sorted(reasons.items()))


def describe_left_out(left_out: Mapping[str, Mapping[str, str]]) -> str:
    """A sentence for each object that a skill never takes."""
    rows = [(name, skill.replace("_", " "), reason) for skill, reasons in left_out.items() for name, reason in reasons.items()]
    return "".join(f"`{name}` is no target of {skill}: {reason.rstrip('.')}. " for name, skill, reason in sorted(rows))


def _licences(licence: DatasetLicence) -> str:
    rows = "\n".join(f"| {asset.asset_id} | {asset.licence} | {asset.attribution} |" for asset in licence.assets)
    return (
        f"## Licence\n\n{licence.expression}: the licences of everything that is seen in the videos, which all hold.\n\n"
        f"| asset | licence | attribution |\n|---|---|---|\n{rows}\n"
    )
