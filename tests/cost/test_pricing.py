"""What a kept episode cost: rejects priced in, nothing lost, nothing made up."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blueprint_pipeline.cost import pricing
from blueprint_pipeline.cost.pricing import build_report, share_out
from blueprint_pipeline.cost.report import COLUMNS, CostReport, build_rows
from blueprint_pipeline.price.ledger import add_totals, total_of
from blueprint_pipeline.price.table import load_price_table
from blueprint_pipeline.registry.records import Certainty
from blueprint_pipeline.stage.flow import STAGES
from blueprint_pipeline.workspace.commits import KeptUnit
from tests.cost.conftest import make_commit, make_unit, make_usage, make_usage_of

EACH = Decimal("0.000436232") + Decimal("0.000029235")


def test_rejects_are_priced_into_kept_episodes(run):
    """16 commits of the same usage, 4 attempts, 2 kept: each kept episode carries half of everything."""
    report = build_report(run)
    assert (report.attempted, report.kept) == (4, 2)
    assert (report.total.estimated_usd, report.total.measured_usd, report.total.unknown_entries) == (16 * EACH, 0, 0)
    assert report.usd_per_kept_episode == 8 * EACH
    assert report.usd_per_kept_episode_certainty is Certainty.ESTIMATED
    assert report.cpu_s_per_kept_episode == pytest.approx(16 * 72 / 2)
    assert report.rejected_simulation_usd == EACH, "half of two commits of simulate_shard"


def test_failures_have_a_price_of_their_own(run):
    """Kept episodes cost to the nano dollar what they cost without; drawing, judging, writing and certifying a failure is its own line."""
    alone = build_report(run)
    stages = [row.name for row in STAGES.values() if row.selects]
    extra = [
        commit.model_copy(update={"unit": f"{commit.unit}.failures", "request": {**commit.request, "selection": "failures"}})
        for commit in run.commits
        if commit.stage in stages
    ]
    report = build_report(replace(run, commits=[*run.commits, *extra], failures=frozenset({"ep_1"})))
    assert alone.failures is None
    for field in ("total", "per_kept_episode", "usd_per_kept_episode", "cpu_s_per_kept_episode", "stages", "storage_forecast"):
        assert getattr(report, field) == getattr(alone, field), field
    failures = report.failures
    assert [(stage.stage, stage.units) for stage in failures.stages] == [(name, 2 if STAGES[name].sharded else 1) for name in stages]
    assert failures.total.estimated_usd == len(extra) * EACH
    assert (failures.episodes, failures.usd_per_failure) == (1, len(extra) * EACH)
    assert failures.usd_per_failure_certainty is Certainty.ESTIMATED
    assert failures.simulation_usd == next(item.simulation_usd for item in report.episodes if item.episode_id == "ep_1")
    assert len(report.entries) == len(alone.entries) + 2 * len(extra)


def test_a_shard_whose_failures_were_not_drawn_is_an_unknown_cost(run):
    """As for kept ones: what is missing is counted, and the price is not known."""
    report = build_report(replace(run, failures=frozenset({"ep_1"}))).failures
    assert [stage.missing_units for stage in report.stages if STAGES[stage.stage].sharded] == [("0000", "0001")]
    assert (report.total.unknown_entries, report.usd_per_failure) == (2, None)


def test_where_nothing_failed_a_failure_has_no_price(run):
    assert build_report(replace(run, failures=frozenset())).failures.usd_per_failure is None


def keep(commit, machine="local_laptop"):
    """A commit of a shard as a later run makes it that finds both episodes done: it worked next to nothing itself."""
    units = [make_unit().model_copy(update={"machine": machine}) for _ in range(2)]
    kept = tuple(KeptUnit(folder=f"shard/ep_{index}", **dict(unit)) for index, unit in enumerate(units))
    return commit.model_copy(update={"usage": make_usage(wall_s=0.0, cpu_s=0.0, bytes_read=0, bytes_written=0), "kept": kept})


def test_a_grown_run_costs_what_a_fresh_one_does(run):
    """Shards whose episodes and pictures an earlier run made cost what they cost then; their files are billed once."""
    fresh = build_report(run)
    commits = [keep(commit) if (commit.unit, STAGES[commit.stage].sharded) == ("0000", True) else commit for commit in run.commits]
    grown = build_report(replace(run, commits=commits))
    assert [stage.stage for stage in grown.stages if stage.cpu_s] == [stage.stage for stage in fresh.stages if stage.cpu_s]
    assert (grown.total, grown.usd_per_kept_episode) == (fresh.total, fresh.usd_per_kept_episode)
    assert grown.cpu_s_per_kept_episode == fresh.cpu_s_per_kept_episode
    assert [episode.simulation_usd for episode in grown.episodes] == [episode.simulation_usd for episode in fresh.episodes]
    assert {entry.item for entry in grown.entries} == {"vcpu", "memory", "kept.vcpu", "kept.memory"}
    assert total_of(grown.entries) == grown.total


def test_what_is_kept_is_priced_by_the_machine_that_made_it(run):
    """Episodes of a GPU pod cost what that pod cost, whatever machine keeps them; writing files is billed to who lists them."""
    commits = [keep(commit, "gce_g2_standard_8") if commit.stage == "simulate_shard" else commit for commit in run.commits]
    report = build_report(replace(run, commits=commits))
    assert sorted(report.machines) == ["gce_g2_standard_8", "local_laptop"]
    hosts = [entry for entry in report.entries if entry.item == "kept.host"]
    assert [(entry.machine, entry.quantity) for entry in hosts] == [("gce_g2_standard_8", pytest.approx(36 / 3600))] * 2
    assert {entry.quantity for entry in report.entries if entry.item == "kept.write_operations"} == {0.0}


def test_sums_are_the_sums_of_their_parts(run):
    """Stages add up to the total, entries to the stages, episodes to the simulation."""
    report = build_report(run)
    assert report.total == add_totals([stage.total for stage in report.stages]) == total_of(report.entries)
    simulation = next(stage for stage in report.stages if stage.stage == "simulate_shard")
    assert sum(episode.simulation_usd for episode in report.episodes) == simulation.total.estimated_usd
    assert (simulation.units, simulation.cpu_s, simulation.bytes_read) == (2, 144.0, 200)


def test_a_missing_shard_is_unknown(run):
    """A shard without a commit is named and counted; the price of an episode is then not known, and not too low."""
    report = build_report(
        replace(run, commits=[commit for commit in run.commits if (commit.stage, commit.unit) != ("simulate_shard", "0001")])
    )
    simulation = next(stage for stage in report.stages if stage.stage == "simulate_shard")
    assert simulation.missing_units == ("0001",)
    assert report.total.unknown_entries == 1
    assert (report.usd_per_kept_episode, report.usd_per_kept_episode_certainty) == (None, Certainty.UNKNOWN)
    assert (report.rejected_simulation_usd, report.episodes[0].simulation_usd) == (None, None)
    assert ("simulate_shard", "1 (1 missing)") in [row[:2] for row in build_rows(report)]


def test_a_stage_that_left_no_commit_at_all_is_unknown(run):
    """Without any commit of rendering each shard of it is missing."""
    report = build_report(replace(run, commits=[commit for commit in run.commits if not STAGES[commit.stage].sharded]))
    assert report.total.unknown_entries == 4


def test_a_shard_is_done_by_its_own_stage_alone(run):
    """What a later stage did for a shard says nothing of the stage before."""
    report = build_report(
        replace(run, commits=[commit for commit in run.commits if commit.stage != "render_shard" or commit.unit != "0000"])
    )
    missing = {stage.stage: stage.missing_units for stage in report.stages if stage.missing_units}
    assert missing == {"render_shard": ("0000",)}


def test_time_of_an_episode_is_not_rounded(run):
    """A quarter of a CPU second more in one stage is an eighth more for each of two kept episodes."""
    first, *others = run.commits
    longer = first.model_copy(update={"usage": first.usage.model_copy(update={"cpu_s": first.usage.cpu_s + 0.25})})
    before, after = (build_report(facts).cpu_s_per_kept_episode for facts in (run, replace(run, commits=[longer, *others])))
    assert after - before == pytest.approx(0.125)


def test_nothing_kept_has_no_price(run):
    """With no kept episode there is a cost, but no cost of a kept one."""
    report = build_report(replace(run, kept=frozenset()))
    assert report.total.estimated_usd == 16 * EACH
    assert (report.per_kept_episode, report.usd_per_kept_episode, report.cpu_s_per_kept_episode) == (None, None, None)
    assert report.rejected_simulation_usd == 2 * EACH
    assert build_rows(report)[-1][-1] == "none kept"


def test_episodes_share_the_simulation_by_cpu_time(run):
    """An attempt that took three times the CPU carries three times the cost; without any CPU time there is no share."""
    weighted = {**run.usages, "ep_0": make_usage_of(0, 0.0, 3.0), "ep_1": make_usage_of(1, 0.5, 0.5)}
    shares = [episode.simulation_usd for episode in build_report(replace(run, usages=weighted)).episodes]
    assert float(shares[0] / shares[1]) == pytest.approx(3, rel=1e-4)
    idle = {episode_id: make_usage_of(index, 0.0, 0.0) for index, episode_id in enumerate(run.usages)}
    assert [episode.simulation_usd for episode in build_report(replace(run, usages=idle)).episodes] == [None] * len(idle)


def test_bytes_that_one_unit_did_not_count_are_none(run):
    """One commit from a machine without counters makes the sum unknown, not smaller."""
    commits = [commit if commit.stage != "settle_scene" else make_commit(bytes_read=None) for commit in run.commits]
    settle = next(stage for stage in build_report(replace(run, commits=commits)).stages if stage.stage == "settle_scene")
    assert (settle.bytes_read, settle.bytes_written) == (None, 200)


def test_a_gpu_machine_is_measured(run):
    """On a billed machine all is measured, and the certainty says so."""
    commits = [commit.model_copy(update={"machine": "gce_g2_standard_8"}) for commit in run.commits]
    report = build_report(replace(run, commits=commits))
    assert report.total.estimated_usd == 0
    assert report.usd_per_kept_episode_certainty is Certainty.MEASURED
    each = (report.total.measured_usd / 2).quantize(Decimal("1e-9"))
    assert (report.per_kept_episode.measured_usd, report.per_kept_episode.estimated_usd, report.usd_per_kept_episode) == (each, 0, each)


def test_each_stage_is_priced_by_the_machine_that_it_ran_on(run):
    """Shards in GPU pods cost what those pods cost, and the rest what the laptop costs; the report names both."""
    commits = [
        commit.model_copy(update={"machine": "gce_g2_standard_8_spot"}) if commit.stage == "simulate_shard" else commit
        for commit in run.commits
    ]
    report, laptop = build_report(replace(run, commits=commits)), build_report(run)
    totals = {stage.stage: stage.total for stage in report.stages}
    before = {stage.stage: stage.total for stage in laptop.stages}
    assert {stage for stage in totals if totals[stage] != before[stage]} == {"simulate_shard"}
    assert totals["simulate_shard"].measured_usd > 0
    assert sorted(report.machines) == ["gce_g2_standard_8_spot", "local_laptop"]


def test_storage_is_forecast_and_labelled(run):
    """The dataset's bytes, twelve months, one download: estimates, and no part of the total."""
    forecast = build_report(run).storage_forecast
    assert (forecast.certainty, forecast.size_bytes, forecast.files, forecast.months) == ("estimated", 2**20, 1, 12)
    assert forecast.storage_usd == Decimal("0.000234375")
    assert forecast.download_usd == Decimal("0.000117188")
    assert forecast.write_usd == Decimal("0.000005000")


def test_storage_is_forecast_at_the_prices_of_the_last_day(run):
    """A run that began on a day without prices and ended on one with them: what it cost is not known, what comes now is."""
    first, *others = run.commits
    early = first.model_copy(update={"finished_at": datetime(2001, 1, 1, tzinfo=UTC)})
    for commits in ([early, *others], [*others, early]):
        report = build_report(replace(run, commits=commits))
        assert (report.total.unknown_entries, report.storage_forecast) == (2, build_report(run).storage_forecast)


def test_tables_are_named_by_date(run, monkeypatch):
    """A run that goes on for days, each with a table of its own, names all of them, the oldest first."""
    monkeypatch.setattr(pricing, "load_price_table", lambda on: load_price_table(on).model_copy(update={"table_id": on.isoformat()}))
    commits = [
        commit.model_copy(update={"finished_at": commit.finished_at + timedelta(days=index)}) for index, commit in enumerate(run.commits)
    ]
    days = [commit.finished_at.date().isoformat() for commit in commits]
    assert build_report(replace(run, commits=commits[::-1])).price_tables == tuple(days)


def test_the_report_survives_json(run):
    """Written and read again it is the same, money and all; the same run gives the same bytes."""
    report = build_report(run)
    assert CostReport.model_validate_json(report.model_dump_json()) == report
    assert build_report(run).model_dump_json() == report.model_dump_json()


def test_the_table_has_a_row_for_each_stage(run):
    """People see every stage and the sum, all columns filled."""
    rows = build_rows(build_report(run))
    assert [row[0] for row in rows] == [*dict.fromkeys(stage.stage for stage in build_report(run).stages), "all"]
    assert {len(row) for row in rows} == {len(COLUMNS)}
    assert all(cell for row in rows for cell in row)
    assert all(row[1].isdigit() for row in rows), "no shard is missing, and none is spoken of"


def test_what_is_left_goes_to_those_who_lost_most_by_rounding():
    """Seven nano dollars by 1 : 1 : 5 are 1, 1, 5; eight are 8/7, 8/7, 40/7: the last lost most. Equal losses go to the first."""
    nano = Decimal("1e-9")
    assert share_out(7 * nano, [1.0, 1.0, 5.0]) == [nano, nano, 5 * nano]
    assert share_out(8 * nano, [1.0, 1.0, 5.0]) == [nano, nano, 6 * nano]
    assert share_out(8 * nano, [5.0, 1.0, 1.0]) == [6 * nano, nano, nano]
    assert share_out(1 * nano, [1.0, 1.0]) == [nano, Decimal(0)]


@given(
    st.decimals(min_value=0, max_value=1_000_000, places=9),
    st.lists(st.floats(min_value=0, max_value=1e6), min_size=1, max_size=20).filter(lambda weights: sum(weights) > 0),
)
def test_shares_add_up_exactly(amount, weights):
    """Whatever is shared out among whatever weights: nothing is lost, nothing is negative, more weight never gets less."""
    parts = share_out(amount, weights)
    assert sum(parts) == amount
    assert all(part >= 0 for part in parts)
    heaviest, lightest = weights.index(max(weights)), weights.index(min(weights))
    assert parts[heaviest] >= parts[lightest] - Decimal("1e-9")
