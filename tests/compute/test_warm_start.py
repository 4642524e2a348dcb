"""One server starts the jobs of all who are alike; it keeps nothing of a job, and ends when nobody needs it."""

import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from blueprint_pipeline.compute import warm_start
from blueprint_pipeline.compute.warm_start import fork_job, start_server

SERVER = """
import os, socket, sys
from pathlib import Path
from uuid import uuid4
from blueprint_pipeline.compute.fork_server import ForkServer, run_and_leave, take_on_job
if os.fork() != 0:
    os._exit(0)
descriptor, path, idle_s = sys.argv[1:]
caller = ForkServer(socket.socket(fileno=int(descriptor)), Path(path), float(idle_s)).serve()
if caller is not None:
    take_on_job(caller)
    run_and_leave(lambda: exec(sys.argv[1], {}))
"""
SAY = """
import json, os, sys
said = {"parent": os.getppid(), "group": os.getpgid(0), "folder": os.getcwd(), "variables": dict(os.environ)}
said["open"] = len(os.listdir("/proc/self/fd"))
print(json.dumps(said), file=sys.stderr)
"""


@pytest.fixture
def fork(tmp_path, monkeypatch):
    """Starts a Python program as a fork of a server of this test's own."""
    monkeypatch.setattr(tempfile, "tempdir", tempfile.mkdtemp(prefix="bpp-"))
    (tmp_path / "job_program.py").write_text(SERVER)
    started = []

    def start(text, *, idle_s=30.0, **variables):
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]), **variables}
        started.append(fork_job([text], environment, idle_s=idle_s, module="job_program"))
        return started[-1]

    yield start
    for job in started:
        if job is not None:
            job.terminate()
            job.wait(30)
    for process in servers():
        process.terminate()


def sockets():
    return list(Path(tempfile.gettempdir()).glob("blueprint-pipeline-*/*.socket"))


def servers():
    paths = {str(path) for path in sockets()}
    return [process for process in psutil.process_iter(["cmdline"]) if paths & set(process.info["cmdline"] or ())]


def said(job):
    assert job.wait(60) == 0
    return json.loads(job.stderr.read())


def test_a_job_has_a_group_a_folder_and_an_environment_of_its_own(fork, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = fork(SAY, BPP__LOG__LEVEL="ERROR")
    found = said(job)
    assert found["group"] == job.pid
    assert found["folder"] == str(tmp_path)
    assert found["variables"]["BPP__LOG__LEVEL"] == "ERROR"
    assert "HOME" not in found["variables"]
    assert found["open"] <= 4


@pytest.mark.parametrize(
    ("text", "status", "log"),
    [
        ("print('whole')", 0, ""),
        ("import sys; sys.stderr.write('partial'); sys.exit(75)", 75, "partial"),
        ("raise SystemExit('what to do')", 1, "what to do\n"),
        ("raise SystemExit", 0, ""),
        ("1 / 0", 1, "ZeroDivisionError: division by zero\n"),
        ("import atexit, sys; atexit.register(sys.stderr.write, 'cleared up'); sys.exit(3)", 3, "cleared up"),
        (
            "import sys, threading, time; threading.Thread(target=lambda: (time.sleep(0.3), sys.stderr.write('waited'))).start()",
            0,
            "waited",
        ),
    ],
)
def test_a_job_ends_as_a_process_of_its_own_would(fork, text, status, log):
    job = fork(text)
    assert job.wait(60) == status
    assert job.stderr.read().decode().endswith(log)


def test_no_secret_of_a_job_reaches_the_server_or_the_next_job(fork):
    """It is read by the fork alone: neither the server's variables nor its memory have it."""
    secret = f"whsec_{uuid4().hex}"
    first = said(fork(SAY, BPP__DELIVERY__WEBHOOK_SECRET=secret))
    second = said(fork(SAY))
    assert first["parent"] == second["parent"]
    assert first["variables"]["BPP__DELIVERY__WEBHOOK_SECRET"] == secret
    assert secret not in json.dumps(second)
    assert secret not in psutil.Process(first["parent"]).environ().values()


def test_variables_that_are_read_at_a_start_have_a_server_of_their_own(fork):
    assert said(fork(SAY))["parent"] != said(fork(SAY, MUJOCO_GL="egl"))["parent"]


def test_changed_code_has_a_server_of_its_own(fork, tmp_path, monkeypatch):
    before = said(fork(SAY))["parent"]
    changed = tmp_path / "package"
    changed.mkdir()
    (changed / "__init__.py").write_text("")
    monkeypatch.setattr(warm_start.blueprint_pipeline, "__file__", str(changed / "__init__.py"))
    assert said(fork(SAY))["parent"] != before


def test_an_idle_server_ends_and_the_next_job_starts_another(fork):
    before = said(fork(SAY, idle_s=0.5))["parent"]
    psutil.wait_procs([psutil.Process(before)], timeout=30)
    assert not psutil.pid_exists(before)
    assert not sockets()
    assert said(fork(SAY))["parent"] != before


def test_a_server_that_was_started_ahead_serves_the_first_job(fork, tmp_path):
    """Whoever will need one starts it while there is something else to do; started twice there is still one."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    for _ in range(2):
        start_server(environment, idle_s=30.0, module="job_program")
    [ahead] = servers()
    assert said(fork(SAY))["parent"] == ahead.pid
    assert [process.pid for process in servers()] == [ahead.pid]


def test_a_socket_that_nobody_listens_to_is_replaced(fork):
    before = said(fork(SAY))["parent"]
    os.kill(before, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(before)], timeout=30)
    assert sockets()
    assert said(fork(SAY))["parent"] != before


def test_the_job_of_a_server_that_dies_does_not_live_on(fork):
    job = fork("import signal; signal.pause()")
    process = psutil.Process(job.pid)
    process.parent().kill()
    assert job.wait(30) == -signal.SIGKILL
    psutil.wait_procs([process], timeout=30)
    assert not process.is_running()


def test_a_server_that_is_asked_to_end_asks_its_jobs_and_waits_for_them(fork):
    job = fork(
        "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); print(flush=True, file=sys.stderr); signal.pause()"
    )
    job.stderr.readline()
    psutil.Process(job.pid).parent().terminate()
    assert job.wait(30) == 7


def test_a_folder_that_others_can_enter_is_not_used(fork):
    folder = Path(tempfile.gettempdir()) / f"blueprint-pipeline-{os.getuid()}"
    folder.mkdir(mode=0o755)
    assert fork(SAY) is None


def test_where_it_is_switched_off_there_is_none(fork):
    assert fork(SAY, idle_s=0) is None
