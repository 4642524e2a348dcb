"""A stage runs once for one key, resumes after a kill, and leaves nothing half-written."""

import gc
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from blueprint_pipeline.errors import GateError, InputError, TransientError
from blueprint_pipeline.price.table import UnknownMachine
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.registry.leases import LeaseLost
from blueprint_pipeline.stage.attempt import NothingWritten, UndeclaredOutput
from blueprint_pipeline.stage.flow import STAGES, UnknownStage, load_stage
from blueprint_pipeline.stage.inputs import read_inputs
from blueprint_pipeline.stage.runner import InvalidRequest, run_stage
from blueprint_pipeline.workspace.commits import CommitUnreadable, load_commit, load_commits
from blueprint_pipeline.workspace.errors import FileChanged, InputMissing
from blueprint_pipeline.workspace.storage import Workspace
from tests.stage import toy_stages
from tests.stage.toy_rows import TOY_ROWS


def tree(scene):
    return [name for name in scene.files_under("") if not name.startswith(("/commits", "commits"))]


def test_same_work_is_found_and_not_repeated(toy):
    """A second run with the same key returns the recorded result and runs nothing."""
    first = toy("toy_intake")
    assert toy("toy_intake") == first
    assert toy.log() == ["intake"]


def test_changed_source_is_new_work(toy):
    """Bytes outside of the scene's folder are part of the key."""
    toy("toy_intake")
    (toy.source / "a.txt").write_text("changed")
    toy("toy_intake")
    assert toy.log() == ["intake", "intake"]
    assert toy.scene.read_bytes("toy/a.txt") == b"changed"


def test_removed_source_file_leaves_no_leftover(toy):
    """Files of an older key do not linger among the new outputs."""
    toy("toy_intake")
    (toy.source / "a.txt").rename(toy.source / "b.txt")
    toy("toy_intake")
    assert toy.scene.files_under("toy") == ["toy/b.txt"]


def test_damaged_output_is_made_again(toy):
    """A commit whose outputs changed on disk does not count as done."""
    toy("toy_intake")
    toy.scene.write_bytes("toy/a.txt", b"damaged")
    toy("toy_intake")
    assert toy.scene.read_bytes("toy/a.txt") == b"a"


def test_changed_input_is_refused(toy):
    """A stage does not read what another stage recorded with other bytes."""
    toy("toy_intake")
    toy.scene.write_bytes("toy/a.txt", b"damaged")
    with pytest.raises(FileChanged, match=r"a\.txt"):
        toy("toy_work")


def test_missing_input_names_stage_and_path(toy):
    """A stage that is started too early says what it misses, and how that comes about where its task before it looks done."""
    with pytest.raises(InputMissing, match=r"toy_work reads .*toy.*marked as success by hand"):
        toy("toy_work")


def test_failed_intake_keeps_what_was_there(toy):
    """A refused source neither replaces the good scene nor leaves staged files."""
    toy("toy_intake")
    (toy.source / "a.txt").write_text("worse")
    with pytest.raises(InputError):
        toy("toy_intake", fail="input")
    assert toy.scene.read_bytes("toy/a.txt") == b"a"
    assert not toy.scene.exists(".staging")


def test_failed_intake_of_a_new_scene_leaves_no_folder(toy, settings):
    """A refused source leaves workspace and registry as they were."""
    with pytest.raises(InputError):
        toy("toy_intake", fail="input")
    assert not toy.scene.root.exists()
    registry = open_registry(settings.registry)
    assert registry.commits.of_scene("s1") == []
    assert registry.leases.active() == []


CHILD = """
import sys, json
from blueprint_pipeline.stage.runner import run_stage
from blueprint_pipeline.settings import Settings
from tests.stage.toy_rows import add_toys
add_toys()
run_stage("toy_work", json.loads(sys.argv[1]), Settings.model_validate_json(sys.argv[2]), run_id="child")
"""


def test_kill_resumes_at_the_unit(toy, settings, tmp_path):
    """After kill -9 the next run does the missing units only, and the outputs are whole."""
    toy("toy_intake")
    (tmp_path / "log.kill_at_2").touch()
    fields = {"scene_id": "s1", "source": str(toy.source), "log": str(tmp_path / "log")}
    command = [sys.executable, "-c", CHILD, json.dumps(fields), settings.model_dump_json()]
    killed = subprocess.run(command, cwd=Path(__file__).parents[2], check=False)
    assert killed.returncode == -9
    assert load_commit(toy.scene, "toy_work") is None
    again = subprocess.run(command, cwd=Path(__file__).parents[2], check=False)
    assert again.returncode == 0
    assert toy.log() == ["intake", "work", "unit 0", "unit 1", "work", "unit 2"]
    commit = load_commit(toy.scene, "toy_work")
    assert sorted(commit.outputs) == ["report.json", *(f"units/{index}/unit.json" for index in range(3))]
    assert not toy.scene.exists(".staging")


def test_staged_files_of_older_work_do_not_pile_up(toy, settings, tmp_path):
    """What a killed process staged for another key goes when new work begins; other units keep theirs."""
    toy("toy_intake")
    for units in (3, 4):
        (tmp_path / "log.kill_at_2").touch()
        fields = {"scene_id": "s1", "source": str(toy.source), "log": str(tmp_path / "log"), "units": units}
        command = [sys.executable, "-c", CHILD, json.dumps(fields), settings.model_dump_json()]
        assert subprocess.run(command, cwd=Path(__file__).parents[2], check=False).returncode == -9
    other = toy.scene.staging(f"toy_work.0001.{'a' * 16}")
    assert len(list(other.parent.glob("toy_work.????????????????"))) == 1
    toy("toy_work", units=2)
    assert [folder.name for folder in other.parent.iterdir()] == [other.name]


def test_new_request_clears_units_of_the_old(toy):
    """Units of another key are not taken for finished work."""
    toy("toy_intake")
    toy("toy_work", units=3)
    toy("toy_work", units=1)
    assert toy.scene.files_under("units") == ["units/0/unit.json"]
    assert toy.log().count("unit 0") == 2


def test_new_work_takes_the_old_record_away(toy):
    """While other work is half done nothing says that it is finished."""
    toy("toy_intake")
    toy("toy_work", units=3)
    with pytest.raises(TransientError):
        toy("toy_work", units=4, fail="transient")
    assert load_commit(toy.scene, "toy_work") is None


def test_a_stage_that_keeps_finds_what_a_former_run_left(toy, monkeypatch):
    """Whatever its key was; the old record goes all the same."""
    monkeypatch.setattr(toy_stages, "TOY_WORK", replace(toy_stages.TOY_WORK, keeps=True))
    toy("toy_intake")
    toy("toy_work", units=3)
    with pytest.raises(TransientError):
        toy("toy_work", units=4, fail="transient")
    assert load_commit(toy.scene, "toy_work") is None
    toy("toy_work", units=4)
    assert [toy.log().count(f"unit {index}") for index in range(4)] == [1, 1, 1, 1]


def test_transient_failure_keeps_finished_units(toy):
    """What was published before a retryable error is not done again by the retry."""
    toy("toy_intake")
    for _ in range(2):
        with pytest.raises(TransientError):
            toy("toy_work", fail="transient")
    assert toy.log().count("unit 0") == 1


def test_gate_failure_shows_its_evidence_without_a_commit(toy):
    """A gate that says no leaves its report for people, and nothing can build on it."""
    toy("toy_intake")
    with pytest.raises(GateError):
        toy("toy_work", fail="gate")
    assert toy.scene.exists("report.json")
    assert load_commit(toy.scene, "toy_work") is None


def test_permanent_failure_leaves_nothing(toy):
    """Units of work that failed for good are removed."""
    toy("toy_intake")
    with pytest.raises(InputError):
        toy("toy_work", fail="input")
    assert not toy.scene.exists("units")
    assert not toy.scene.exists(".staging")


@pytest.mark.parametrize("fail", ["", "input"])
def test_work_whose_lease_was_taken_touches_nothing(toy, settings, fail):
    """A process that was taken for dead and wakes up shows no file of its own and clears none of its successor's away."""
    toy("toy_intake")
    with open_registry(settings.registry) as registry:

        def succeed(_done, _total):
            """Another takes the lease over and does the work, before this one has ended."""
            if toy.scene.exists("report.json"):
                return
            name = "s1/commits/toy_work.json"
            registry.leases.release(registry.leases.find(name))
            registry.leases.acquire(name, "successor", 900)
            toy.scene.write_bytes("report.json", b"the successor's")

        with pytest.raises(LeaseLost):
            toy("toy_work", units=1, fail=fail, progress=succeed)
    assert toy.scene.read_bytes("report.json") == b"the successor's"
    assert toy.scene.exists("units/0/unit.json")
    assert load_commit(toy.scene, "toy_work") is None


def test_a_unit_leaves_no_connection_open(toy, settings):
    """A process that does many units does not gather connections to the registry."""
    toy("toy_intake")
    process, gc_was = psutil.Process(), gc.isenabled()
    gc.disable()
    try:
        before = len([file for file in process.open_files() if file.path.endswith("registry.db")])
        for units in range(1, 4):
            toy("toy_work", units=units)
        after = len([file for file in process.open_files() if file.path.endswith("registry.db")])
    finally:
        if gc_was:
            gc.enable()
    assert after == before


def test_nothing_written_is_a_failure(toy):
    """A stage that ends well without an output has failed."""
    toy("toy_intake")
    with pytest.raises(NothingWritten):
        toy("toy_nothing")


def test_undeclared_output_is_a_failure(toy):
    """A file outside of `writes` would be neither recorded nor verified."""
    toy("toy_intake")
    with pytest.raises(UndeclaredOutput, match=r"elsewhere\.txt"):
        toy("toy_work", fail="undeclared")


def test_registry_knows_finished_work_once(toy, settings):
    """Commit rows and ledger entries are idempotent, and the lease is given back."""
    toy("toy_intake")
    toy("toy_intake")
    registry = open_registry(settings.registry)
    assert [commit.stage for commit in registry.commits.of_scene("s1")] == ["toy_intake"]
    assert registry.leases.active() == []


@pytest.mark.parametrize(
    ("found", "reason"), [(b"{", "file: Invalid JSON"), (b'{"schema_version": "0.9"}', "schema_version: Input should be '1.1' or '1.2'")]
)
def test_a_record_that_cannot_be_read_is_named(toy, found, reason):
    """A record that is damaged or of another version ends with its path, the first fault and what to do; done so, the stage runs again."""
    toy("toy_intake")
    toy.scene.write_bytes("commits/toy_intake.json", found)
    with pytest.raises(CommitUnreadable, match=rf"commits/toy_intake\.json .*{reason}.*Remove it"):
        toy("toy_intake")
    toy.scene.remove("commits/toy_intake.json")
    toy("toy_intake")
    assert toy.log() == ["intake", "intake"]


def test_a_commit_says_what_machine_it_was_made_on(toy, settings):
    """Prices follow the machine of the work, not that of whoever prices it; the ledger books the same one."""
    toy("toy_intake")
    commit = load_commit(toy.scene, "toy_intake")
    with open_registry(settings.registry) as registry:
        assert {entry.machine for entry in registry.ledger.entries(scene_id="s1")} == {commit.machine} == {settings.compute.machine}


def test_siblings_may_be_done_anew_at_once(settings):
    """Shards that run again beside each other do not read each other's records, which come and go meanwhile."""
    toy_row = TOY_ROWS["toy_shard"]
    scene = Workspace(settings.workspace).scene("s1")
    scene.write_bytes("plan.json", b"{}")
    STAGES["toy_shard"] = toy_row
    try:
        stage = load_stage("toy_shard")
        request = stage.request(scene_id="s1", shard_index=3)
        scene.write_bytes("commits/toy_shard.shard_0005.json", b"{")
        assert list(read_inputs(stage, request, scene, settings)) == ["plan.json"]
        scene.write_bytes("commits/toy_shard.shard_0003.json", b"{")
        assert list(read_inputs(stage, request, scene, settings)) == ["plan.json"]
    finally:
        del STAGES["toy_shard"]


def test_a_record_that_goes_away_while_all_are_read_is_passed_over(toy, monkeypatch):
    """It was listed, and its unit is being done anew."""
    toy("toy_intake")
    listed = [*toy.scene.files_under("commits"), "commits/toy_work.json"]
    monkeypatch.setattr(type(toy.scene), "files_under", lambda _scene, _name: listed)
    assert [commit.stage for commit in load_commits(toy.scene)] == ["toy_intake"]


def test_unknown_stage_lists_all(settings):
    """The error names every stage that exists."""
    with pytest.raises(UnknownStage, match="ingest_scene, estimate_physics"):
        load_stage("nonsense")


def test_unknown_request_field_is_refused(toy):
    """A misspelt field is an error that names it."""
    with pytest.raises(InvalidRequest, match="unitz"):
        toy("toy_work", unitz=3)


def test_mistyped_machine_is_told_before_the_work(toy, settings):
    """What cannot be priced is not begun."""
    wrong = settings.model_copy(update={"compute": settings.compute.model_copy(update={"machine": "locl_laptop"})})
    with pytest.raises(UnknownMachine, match="locl_laptop"):
        run_stage("toy_intake", {"scene_id": "s1", "source": str(toy.source), "log": str(toy.source.parent / "log")}, wrong)
    assert not (toy.source.parent / "log").exists()
    assert tree(toy.scene) == []
