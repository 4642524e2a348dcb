"""A stage runs as a process; its outcome, its error and its sudden death all come back typed."""

import os
import signal
import subprocess
import sys

import pytest

from blueprint_pipeline.compute.errors import JobCrashed, JobRecordMissing, JobTimedOut, OutOfMemory
from blueprint_pipeline.compute.job import JobSpec, StageFailed
from blueprint_pipeline.compute.local import LocalCompute
from blueprint_pipeline.compute.profiles import Profile
from blueprint_pipeline.compute.warm_start import fork_job
from blueprint_pipeline.errors import PreemptedError, TransientError

SERVER = """
import os, socket, sys
from pathlib import Path
from blueprint_pipeline.compute.fork_server import ForkServer, take_on_job
if os.fork() != 0:
    os._exit(0)
descriptor, path, idle_s = sys.argv[1:]
caller = ForkServer(socket.socket(fileno=int(descriptor)), Path(path), float(idle_s)).serve()
if caller is not None:
    take_on_job(caller)
    exec(os.environ["PROGRAM"])
"""
"""A fork server whose job is the program in a variable of its environment."""


@pytest.fixture
def environment(settings):
    return {
        "BPP__WORKSPACE__URL": settings.workspace.url,
        "BPP__WORKSPACE__CACHE_DIR": str(settings.workspace.cache_dir),
        "BPP__REGISTRY__URL": settings.registry.url,
    }


def job(stage, environment, *, timeout_s=600.0, **request):
    profile = Profile(environment=environment, timeout_s=timeout_s, grace_s=1)
    return JobSpec(stage=stage, requests=({"scene_id": "s1", **request},), run_id="run-1", profile=profile)


def test_error_of_the_stage_comes_back_typed(environment):
    """Code, retryability, exit status and message cross the process boundary."""
    with pytest.raises(StageFailed, match="estimate_physics reads") as caught:
        LocalCompute().run(job("estimate_physics", environment), lambda _event: None)
    assert caught.value.code == "workspace.input_missing"
    assert not caught.value.retryable
    assert caught.value.exit_code == 66


def test_result_and_events_of_the_stage_come_back(environment, sound_scene):
    """The result is the stage's own, and its log events carry the ids of the run."""
    events = []
    (unit,) = LocalCompute().run(job("ingest_scene", environment, source=str(sound_scene)), events.append)
    assert unit.result["objects"] > 0
    assert not unit.found_done
    assert {event.get("run_id") for event in events if event["event"] == "stage done"} == {"run-1"}


def test_killed_process_ran_out_of_memory(environment, sound_scene):
    """A process that is killed while its worker lives is tried again, and that counts: it needs the same memory again."""
    compute = LocalCompute()

    def kill(_event):
        os.kill(compute._process.pid, signal.SIGKILL)

    with pytest.raises(OutOfMemory):
        compute.run(job("ingest_scene", environment, source=str(sound_scene)), kill)


@pytest.fixture(params=["process", "fork"])
def run_program(request, tmp_path, monkeypatch):
    """Makes a compute whose job is a Python program instead, as a process of its own and as a fork of a server."""
    (tmp_path / "job_program.py").write_text(SERVER)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))

    def start_plain(_arguments, environment):
        return subprocess.Popen(
            [sys.executable, "-c", environment["PROGRAM"]], stderr=subprocess.PIPE, start_new_session=True, env=environment
        )

    def start_fork(arguments, environment):
        return fork_job(arguments, environment, idle_s=30, module="job_program")

    def make(text):
        monkeypatch.setenv("PROGRAM", text)
        return LocalCompute(start_plain if request.param == "process" else start_fork)

    return make


@pytest.mark.parametrize(
    ("text", "expected", "told"),
    [
        ("raise OSError(28, 'No space left on device')", JobCrashed, "No space left on device"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", JobCrashed, "139 .SIGSEGV."),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", PreemptedError, "asked to end"),
        ("raise SystemExit(65)", StageFailed, "status 65"),
        ("", JobRecordMissing, "no record"),
    ],
)
def test_a_process_without_a_typed_error_is_judged_as_a_pod_is(environment, run_program, text, expected, told):
    """One table of exit codes for both: a defect is tried again, what only a person can correct is not."""
    with pytest.raises(expected, match=told) as caught:
        run_program(text).run(job("ingest_scene", environment), lambda _event: None)
    assert caught.value.retryable is issubclass(expected, TransientError)


DEAF = "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); sys.stderr.close(); signal.pause()"


@pytest.mark.parametrize("text", ["import signal; signal.pause()", DEAF], ids=["silent", "deaf and its log closed"])
@pytest.mark.timeout(60)
def test_a_process_that_hangs_is_ended_and_tried_again(environment, run_program, text):
    """The bound is not the log's: a stage that says nothing, and one that does not hear SIGTERM, give their slot back."""
    compute = run_program(text)
    with pytest.raises(JobTimedOut) as caught:
        compute.run(job("ingest_scene", environment, timeout_s=1.0), lambda _event: None)
    assert caught.value.retryable
    assert compute._process.returncode in {-signal.SIGTERM, -signal.SIGKILL}


@pytest.mark.timeout(60)
def test_what_a_process_leaves_behind_does_not_hold_the_task(environment, run_program):
    """A child that outlives its parent keeps the log open until it dies: it is killed, and the parent's end is what counts."""
    child = "import signal; signal.pause()"
    compute = run_program(f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}]); sys.exit(9)")
    with pytest.raises(JobCrashed, match="status 9"):
        compute.run(job("ingest_scene", environment), lambda _event: None)


@pytest.mark.timeout(60)
def test_an_interrupted_caller_leaves_no_process(environment, run_program):
    """Airflow's own bound raises in the middle of the wait: the process ends before the error goes on."""
    compute = run_program("import signal, sys; print('here', file=sys.stderr, flush=True); signal.pause()")

    def interrupt(_event):
        raise TimeoutError

    with pytest.raises(TimeoutError):
        compute.run(job("ingest_scene", environment), interrupt)
    assert compute._process.poll() == -signal.SIGTERM


def test_a_byte_that_is_not_utf8_ends_nothing(environment, run_program):
    """Native libraries write what they like to stderr; the line is passed on, with the byte in hexadecimal."""
    compute = run_program(r"import os; os.write(2, b'locale \xff here\n'); raise SystemExit(65)")
    events = []
    with pytest.raises(StageFailed, match=r"locale \\xff here"):
        compute.run(job("ingest_scene", environment), events.append)
    assert [event["event"] for event in events] == [r"locale \xff here"]
