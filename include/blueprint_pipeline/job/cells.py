"""The cells of a job: where its episodes lie, and which cells its site allows."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from blueprint_pipeline.job.site import Site
from blueprint_pipeline.job.start_cells import FIXED_START, PART_STARTS, SURFACE_STARTS, middle_of_cell, part_cell, surface_cells
from blueprint_pipeline.skill.contract import Skill, StartState
from blueprint_pipeline.skill.region import RELATIONS, THIRDS, build_region
from blueprint_pipeline.skill.registry import load_skill
from blueprint_pipeline.task.coverage import (
    NOTHING_BESIDE,
    Cell,
    PlannedCoverage,
    declare,
    lights_within,
    sentence_form,
    title_of,
)
from blueprint_pipeline.task.spec import EpisodeSpec
from blueprint_pipeline.task.variation import VariationRanges

FEWEST_SPOTS = 10
"""Square centimetres on which a target must have room to start for that part of the surface to be declared."""


def start_cell(site: Site, skill: Skill[Any], start: StartState, target: str) -> str:
    """Where a target starts, in words."""
    if skill.moves == "object":
        return str(surface_cells(site.place.frame, start.footprints[target].center_m[None])[0])
    line = site.place.planner.parts[target].line
    position = float(line.positions_of(np.array([start.poses[target].as_tuple()]))[0]) if target in start.poses else 0.0
    return part_cell(position, site.start_range(skill, target))


def list_starts(site: Site, skill: Skill[Any], target: str) -> tuple[str, ...]:
    """Where a target of a skill has room to start, in words."""
    if skill.moves == "part":
        low, high = site.start_range(skill, target)
        return PART_STARTS if high > low else (FIXED_START,)
    if not site.starts.is_free(target):
        settled = site.starts.settled_state(site.spread.names)
        return (start_cell(site, skill, settled, target),)
    found = surface_cells(site.place.frame, site.start_spots_m(skill, target)).tolist()
    return tuple(name for name in SURFACE_STARTS if found.count(name) >= FEWEST_SPOTS)


def allow(site: Site, skill: Skill[Any], ranges: VariationRanges, forms: Sequence[str]) -> dict[str, list[tuple[str, ...]]]:
    """By combination, the cells that a site allows a skill.

    Args:
        site: Where the job happens.
        skill: Which.
        ranges: Within which the job's scenes vary.
        forms: Of the job's sentences, paraphrases with them.
    """
    targets = site.targets[skill.name]
    starts = {name: list_starts(site, skill, name) for name in targets}
    goals = {name: skill.list_goals(site.place, name) for name in targets}
    others = sorted(site.place.objects) if set(RELATIONS) & set(_union(goals.values())) else []
    lights = lights_within(ranges)
    return {
        "object": [(name,) for name in targets],
        "start": [(start,) for start in _union(starts.values())],
        "goal": [(goal,) for goal in _union(goals.values())],
        "beside": [(name,) for name in (NOTHING_BESIDE, *others)],
        "light": [(light,) for light in lights],
        "sentence": [(form,) for form in forms],
        title_of(("object", "start")): [(name, start) for name in targets for start in starts[name]],
        title_of(("object", "goal")): [(name, goal) for name in targets for goal in goals[name]],
        title_of(("start", "goal")): [
            (start, goal)
            for start in _union(starts.values())
            for goal in _union(goals.values())
            if any(start in starts[name] and goal in goals[name] for name in targets) and not _is_there(site, start, goal)
        ],
        title_of(("object", "light")): [(name, light) for name in targets for light in lights],
    }


def _union(found: Iterable[Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(value for values in found for value in values))


def _is_there(site: Site, start: str, goal: str) -> bool:
    """Whether what starts in a part of the surface is in the part already to which it would be brought."""
    if goal not in THIRDS or start not in SURFACE_STARTS:
        return False
    return build_region(site.place.frame, goal).depth_m(middle_of_cell(site.place.frame, start)) > 0


def build_coverage(
    site: Site,
    skills: Sequence[str],
    specs: Sequence[EpisodeSpec],
    cells: Sequence[Cell],
    *,
    ranges: VariationRanges,
    **facts: Any,
) -> PlannedCoverage:
    """What a job covers: of each skill what its site allows, and the cells of the planned episodes."""
    loaded = [load_skill(name) for name in dict.fromkeys(skills)]
    allowed = {skill.name: allow(site, skill, ranges, _forms(specs, skill.name)) for skill in loaded}
    return PlannedCoverage(
        versions={skill.name: skill.version for skill in loaded}, declared=declare(cells, allowed), cells=tuple(cells), **facts
    )


def _forms(specs: Sequence[EpisodeSpec], skill: str) -> list[str]:
    tasks = [spec.task for spec in specs if spec.task.task_type == skill]
    return sorted({sentence_form(sentence) for task in tasks for sentence in (task.instruction, *task.paraphrases)})
