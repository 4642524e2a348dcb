"""A cluster's API over a real socket that answers as a test says: pods, logs, events, errors; no control plane."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml


class FakeApi:
    """Answers by method and path.

    Attributes:
        answers: By ``METHOD path``: a function of the query that gives status and body (JSON, or bytes for text).
        asked: Method, path and query of every request.
    """

    def __init__(self, folder):
        self.answers, self.asked = {}, []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.port = self._server.server_port
        self.kubeconfig = folder / "fake.kubeconfig"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{self._server.server_port}"}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        self.kubeconfig.write_text(yaml.safe_dump(document))

    def refuse(self, what, status, message, **fields):
        """Answer with a ``Status`` object, as the API does."""
        body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, "message": message, **fields}
        self.answers[what] = lambda _query: (status, body)

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    def _handler(self):
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
                fake.asked.append((self.command, path, query))
                give = fake.answers.get(f"{self.command} {path}")
                status, body = give(query) if give else (404, {"kind": "Status", "code": 404, "details": {"kind": "pods"}})
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/plain" if isinstance(body, bytes) else "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                """Say nothing."""

        for method in ("GET", "POST", "DELETE"):
            setattr(Handler, f"do_{method}", Handler._answer)
        return Handler


@pytest.fixture
def fake_api(tmp_path, monkeypatch):
    """An API, and the Airflow connection ``kube_fake`` to it."""
    api = FakeApi(tmp_path)
    connection = {"conn_type": "kubernetes", "extra": {"kube_config_path": str(api.kubeconfig), "namespace": "n"}}
    monkeypatch.setenv("AIRFLOW_CONN_KUBE_FAKE", json.dumps(connection))
    yield api
    api.stop()
