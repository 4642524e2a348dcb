"""A way to an API server that can be cut, as a region that is lost cuts it: connections end, and none is taken any more."""

import contextlib
import socket
import threading
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import yaml

_CHUNK = 65536


class SeverableProxy:
    """Forwards TCP from a port of loopback to ``host:port``, until it is cut."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._is_cut = False

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.cut()

    def cut(self) -> None:
        """End all connections, and take no more."""
        with self._lock:
            self._is_cut = True
            self._listener.close()
            for end in self._open:
                _end(end)
            self._open.clear()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target, timeout=30)
            except OSError:
                return
            far.settimeout(None)
            with self._lock:
                if self._is_cut:
                    _end(near)
                    _end(far)
                    return
                self._open |= {near, far}
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):  # one end is gone: so is the other, below
            while data := source.recv(_CHUNK):
                sink.sendall(data)
        with self._lock:
            self._open -= {source, sink}
        _end(sink)


def _end(end: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other side was quicker
        end.shutdown(socket.SHUT_RDWR)
    end.close()


def server_of(kubeconfig: Path) -> tuple[str, int]:
    """Host and port of the API that a kubeconfig's current context names."""
    url = urlsplit(_current_cluster(yaml.safe_load(kubeconfig.read_text()))["server"])
    return str(url.hostname), url.port or 443


def write_proxied_kubeconfig(kubeconfig: Path, target: Path, port: int) -> Path:
    """Write a copy of a kubeconfig that goes through a port of loopback; the certificate is still the server's own."""
    document = yaml.safe_load(kubeconfig.read_text())
    cluster = _current_cluster(document)
    cluster["tls-server-name"] = server_of(kubeconfig)[0]
    cluster["server"] = f"https://127.0.0.1:{port}"
    target.touch(mode=0o600)
    target.write_text(yaml.safe_dump(document))
    return target


def _current_cluster(document: dict[str, Any]) -> dict[str, Any]:
    named = {context["name"]: context["context"]["cluster"] for context in document["contexts"]}
    wanted = named[document["current-context"]]
    cluster: dict[str, Any] = next(found["cluster"] for found in document["clusters"] if found["name"] == wanted)
    return cluster
