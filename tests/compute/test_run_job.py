"""A job's requests are worked off and recorded one by one; errors, leases of others and SIGTERM end it as they should."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from blueprint_pipeline.compute.errors import JobRecordUnreadable
from blueprint_pipeline.compute.job import JobSpec, UnitDone
from blueprint_pipeline.compute.record import JobRecord, load_record, record_name
from blueprint_pipeline.compute.run_job import run_job, shorten_error, write_termination_message
from blueprint_pipeline.errors import PreemptedError, TransientError
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.registry.leases import LeaseHeld
from blueprint_pipeline.settings import ComputeSettings
from blueprint_pipeline.stage.runner import run_stage, stop_on_sigterm
from blueprint_pipeline.workspace.storage import Workspace
from tests.sample_errors import BadInput
from tests.stage.toy_rows import TOY_ROWS

TOY = Path(__file__).parents[1] / "operators" / "toy_pipeline.py"


@pytest.fixture(autouse=True)
def flow(monkeypatch):
    """The toy stages are stages of the flow."""
    from blueprint_pipeline.stage.flow import STAGES

    for name, row in TOY_ROWS.items():
        monkeypatch.setitem(STAGES, name, row)


@pytest.fixture
def fields(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.txt").write_text("a")
    return {"scene_id": "s1", "source": str(source), "log": str(tmp_path / "work.log")}


def shards(*indices):
    return JobSpec(stage="toy_shard", requests=tuple({"scene_id": "s1", "shard_index": index} for index in indices), run_id="r1")


def start(spec, settings, **more):
    records = []
    return lambda: run_job(spec, settings, keep=records.append, progress=lambda *_: None, **more), records


def test_every_request_is_done_and_recorded(settings, fields):
    """The record is kept at the start and after each request; results are in order."""
    run_stage("toy_plan", fields, settings)
    run, records = start(shards(3, 5), settings)
    assert [unit.result for unit in run().done()] == [{"shard": 3}, {"shard": 5}]
    assert [sum(unit.state == "done" for unit in record.units) for record in records] == [0, 1, 2, 2]
    last = records[-1]
    assert last.outcome == "done"
    assert last.finished_at is not None
    assert last.cpu_s > 0
    assert all(unit.commit_key and unit.wall_s is not None and not unit.found_done for unit in last.units)


def test_done_work_is_found_and_costs_this_job_nothing(settings, fields):
    """The second run says that it found the work, and gives the same results."""
    run_stage("toy_plan", fields, settings)
    start(shards(3), settings)[0]()
    again = start(shards(3, 5), settings)[0]()
    assert [unit.found_done for unit in again.units] == [True, False]
    assert again.units[0].wall_s is None
    assert again.done() == [UnitDone(result={"shard": 3}, found_done=True), UnitDone(result={"shard": 5}, found_done=False)]


def test_permanent_error_ends_the_job_at_once(settings, fields):
    """What comes after it is not started: the run fails anyhow."""
    spec = JobSpec(stage="toy_intake", requests=({**fields, "fail": "input"}, fields), run_id="r1")
    run, records = start(spec, settings)
    with pytest.raises(BadInput, match="no good"):
        run()
    assert [unit.state for unit in records[-1].units] == ["failed", "waiting"]
    assert (records[-1].outcome, records[-1].error["code"]) == ("failed", "sample.bad_input")


def test_after_a_passing_error_the_others_are_done(settings, fields):
    """A retry then has less to do."""
    run_stage("toy_intake", fields, settings)
    spec = JobSpec(stage="toy_work", requests=({**fields, "fail": "transient"}, fields), run_id="r1")
    run, records = start(spec, settings)
    with pytest.raises(TransientError, match="later"):
        run()
    assert [unit.state for unit in records[-1].units] == ["failed", "done"]


def test_work_of_another_pod_is_waited_for(settings, fields):
    """After a failover the former pod may live: its lease is waited for, and what it did is found."""
    run_stage("toy_plan", fields, settings)
    leases = open_registry(settings.registry).leases
    lease = leases.acquire("s1/commits/toy_shard.shard_0003.json", "r1@another-pod", 60)
    mine = settings.model_copy(update={"compute": ComputeSettings(pod_uid="this-pod")})
    threading.Timer(1.5, leases.release, [lease]).start()
    began = time.monotonic()
    assert start(shards(3), mine)[0]().done() == [UnitDone(result={"shard": 3}, found_done=False)]
    assert time.monotonic() - began > 1.4


def test_the_wait_is_bounded(settings, fields):
    """Then the job ends with the holder's name, and may be tried again."""
    run_stage("toy_plan", fields, settings)
    open_registry(settings.registry).leases.acquire("s1/commits/toy_shard.shard_0003.json", "r1@another-pod", 60)
    short = settings.model_copy(update={"compute": ComputeSettings(lease_wait_s=0.5, pod_uid="this-pod")})
    with pytest.raises(LeaseHeld, match="r1@another-pod"):
        start(shards(3), short)[0]()


def test_sigterm_is_heard_while_waiting(settings, fields):
    """A pod that waits for another has 15 seconds like any other."""
    run_stage("toy_plan", fields, settings)
    open_registry(settings.registry).leases.acquire("s1/commits/toy_shard.shard_0003.json", "r1@another-pod", 60)
    mine = settings.model_copy(update={"compute": ComputeSettings(pod_uid="this-pod")})
    run, records = start(shards(3), mine)
    began = time.monotonic()
    threading.Timer(1.0, os.kill, [os.getpid(), signal.SIGTERM]).start()
    with stop_on_sigterm(), pytest.raises(PreemptedError):
        run()
    assert time.monotonic() - began < 10
    assert records[-1].outcome == "preempted"


def test_the_command_commits_and_ends_with_143_on_sigterm(settings, fields, tmp_path):
    """The process keeps its record in the scene's folder, and a second one goes on where it ended."""
    environment = {
        **os.environ,
        "BPP__WORKSPACE__URL": settings.workspace.url,
        "BPP__WORKSPACE__CACHE_DIR": str(settings.workspace.cache_dir),
        "BPP__REGISTRY__URL": settings.registry.url,
        "BPP__COMPUTE__POD_UID": "11111111-2222-3333-4444-555555555555",
    }
    run_stage("toy_intake", fields, settings)
    spec = JobSpec(stage="toy_work", requests=({**fields, "units": 2000},), run_id="r1")
    command = [sys.executable, str(TOY), "job", "run", "-"]
    process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdin.write(spec.model_dump_json())
    process.stdin.close()
    for line in process.stderr:
        if '"done": 1,' in line.replace('"done":1,', '"done": 1,'):
            process.send_signal(signal.SIGTERM)
            break
    asked = time.monotonic()
    process.stderr.read()
    assert process.wait() == 143
    assert time.monotonic() - asked < 15
    scene = Workspace(settings.workspace).scene("s1")
    record = load_record(scene, spec, "11111111-2222-3333-4444-555555555555")
    assert (record.outcome, record.pod_uid) == ("preempted", "11111111-2222-3333-4444-555555555555")
    assert scene.exists(record_name(spec.name, "11111111-2222-3333"))
    done = len(scene.files_under("units"))
    assert 0 < done < 2000
    small = subprocess.run(command, env=environment, input=spec.model_dump_json(), capture_output=True, text=True, check=False)
    assert small.returncode == 0, small.stderr[-1000:]
    lines = Path(fields["log"]).read_text().split("\n")
    assert len([line for line in lines if line.startswith("unit ")]) == 2000


def test_a_file_that_is_no_job_is_refused(tmp_path):
    """With the fields that are wrong; exit 65."""
    path = tmp_path / "spec.json"
    path.write_text('{"stage": "toy_work", "requests": []}')
    ended = subprocess.run([sys.executable, str(TOY), "job", "run", str(path)], capture_output=True, text=True, check=False)
    assert ended.returncode == 65
    assert "requests" in ended.stderr
    assert "run_id" in ended.stderr


def test_last_words_fit_what_kubernetes_keeps(tmp_path):
    """At most 4096 bytes of whole JSON, the code always in it; nothing is written outside of a pod."""
    path = tmp_path / "termination-log"
    error = BadInput("ä\U0001f600" * 4000, at=["x" * 50] * 500)
    write_termination_message(error, path)
    assert not path.exists()
    path.touch()
    write_termination_message(error, path)
    assert path.stat().st_size <= 4096
    assert json.loads(path.read_text())["code"] == "sample.bad_input"
    assert json.loads(path.read_text())["message"].startswith("ä\U0001f600ä")
    small = BadInput("short", at=1).as_dict()
    assert json.loads(shorten_error(small, 4096)) == small


def test_a_record_of_another_pod_is_not_taken(settings):
    """Two tries never mix."""
    scene = Workspace(settings.workspace).scene("s1")
    spec = shards(1)
    assert load_record(scene, spec, "p1") is None
    scene.write_bytes(record_name(spec.name, "p1"), b"{}")
    assert load_record(scene, spec, "p2") is None
    with pytest.raises(JobRecordUnreadable):
        load_record(scene, spec, "p1")
    assert JobRecord.model_fields["schema_version"].default == "1.0"


def test_a_registry_that_blinks_is_waited_for(settings, fields, monkeypatch):
    """Like storage that blinks: the job goes on when it is back, and a request is worked once."""
    from blueprint_pipeline.registry.sessions import RegistryUnavailable
    from blueprint_pipeline.stage import runner

    run_stage("toy_plan", fields, settings)
    asked = []

    def blinking(registry):
        asked.append(registry)
        if len(asked) in {1, 2, 4}:
            raise RegistryUnavailable("postgresql://r", "connection refused")
        return open_registry(registry)

    monkeypatch.setattr(runner, "open_registry", blinking)
    run, records = start(shards(3, 5), settings)
    assert [unit.result for unit in run().done()] == [{"shard": 3}, {"shard": 5}]
    assert len(asked) == 5
    assert records[-1].outcome == "done"


def test_a_registry_that_stays_away_ends_the_job_after_its_time(settings, fields, monkeypatch):
    from blueprint_pipeline.registry.sessions import RegistryUnavailable
    from blueprint_pipeline.stage import runner

    def away(_settings):
        raise RegistryUnavailable("postgresql://r", "connection refused")

    run_stage("toy_plan", fields, settings)
    monkeypatch.setattr(runner, "open_registry", away)
    compute = settings.compute.model_copy(update={"registry_wait_s": 1.0})
    run, records = start(shards(3), settings.model_copy(update={"compute": compute}))
    with pytest.raises(RegistryUnavailable):
        run()
    assert records[-1].outcome == "failed"
