"""A second batch asks for what the first one lacks: more than one that looks at nothing, and always the same."""

from dataclasses import replace

import pytest

from blueprint_pipeline.job.planning import batch_of, plan_job
from blueprint_pipeline.task.coverage import COMBINATIONS, KEPT, STEERED, title_of
from blueprint_pipeline.task.coverage_tally import GIVE_UP_AFTER, tally
from tests.simulation.small_job import small_options, task_scene

FIRST, SECOND = 10, 10
SKILL = "pick_place"


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return task_scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="module")
def first(scene):
    """A batch of which every second episode failed, for no reason that says anything of a cell."""
    plan = plan_job(scene, small_options(FIRST))
    fates = [KEPT if number % 2 else "predicate.not_in_region" for number in range(FIRST)]
    return plan.coverage.sum_up(plan.seed, fates, [True] * FIRST)


@pytest.fixture(scope="module")
def missing(scene, first):
    return plan_job(scene, replace(small_options(SECOND, seed=1), cover="missing"), past=[first])


def newly_filled(first, plan):
    """How many pairs that the first batch lacks a plan asks for."""
    asked = 0
    for axes in STEERED:
        lacking = {values for values, cell in tally([first], SKILL, axes).items() if not cell.kept}
        asked += len(lacking & {cell.values(axes) for cell in plan.coverage.cells})
    return asked


def test_the_next_batch_asks_for_what_is_missing(scene, first, missing):
    """At least a third more pairs than the same batch that looks at nothing."""
    plain = plan_job(scene, small_options(SECOND, seed=1))
    assert newly_filled(first, missing) >= 1.33 * newly_filled(first, plain)
    assert missing.job_id != plain.job_id


def test_it_is_the_same_again_and_longer_it_begins_the_same(scene, first, missing):
    options = replace(small_options(SECOND - 4, seed=1), cover="missing")
    again = plan_job(scene, options, past=[first])
    assert (again.job_id, again.episodes) == (missing.job_id, missing.episodes[: SECOND - 4])
    assert again.coverage.cells == missing.coverage.cells[: SECOND - 4]
    assert batch_of(options) == missing.coverage.batch != batch_of(replace(options, seed=2))


def test_what_failed_often_for_one_reason_is_asked_for_no_more(scene, first):
    """No episode starts with its object where each attempt found no way."""
    axes = ("object", "start")
    hopeless = next(count.cell for count in first.cells if not count.kept)
    failed = {"plan_pick.no_path": GIVE_UP_AFTER}
    counts = tuple(
        count.model_copy(update={"asked": GIVE_UP_AFTER, "attempted": GIVE_UP_AFTER, "kept": 0, "failed": failed})
        if count.cell.values(axes) == hopeless.values(axes)
        else count
        for count in first.cells
    )
    plan = plan_job(scene, replace(small_options(SECOND, seed=1), cover="missing"), past=[first.model_copy(update={"cells": counts})])
    unmet = {wish.values for wish in plan.coverage.unmet}
    asked = [cell.values(axes) for cell in plan.coverage.cells]
    assert hopeless.values(axes) not in unmet
    assert asked.count(hopeless.values(axes)) <= len(unmet)


def test_cells_are_declared_and_every_episode_lies_in_one(missing):
    """Of every axis and pair; shards carry none of it, so that they do not grow with the job."""
    covered = missing.coverage
    assert len(covered.cells) == len(missing.episodes)
    for spec, cell in zip(missing.episodes, covered.cells, strict=True):
        assert (cell.object, cell.skill, cell.goal) == (spec.task.target_object, SKILL, spec.task.words)
        assert spec.task.instruction.startswith(cell.sentence)
    for axes in COMBINATIONS:
        assert {cell.values(axes) for cell in covered.cells} <= set(covered.declared[SKILL][title_of(axes)])
    assert all(part.coverage is None for part in missing.by_shard().values())
