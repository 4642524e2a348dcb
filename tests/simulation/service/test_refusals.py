"""Who is refused is named in the server's log: caller, and which of the reasons."""

import json
import queue
import re
import socket
import ssl
from datetime import UTC, datetime, timedelta

import grpc
import pytest
import structlog
import trustme
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from blueprint_pipeline.log import configure_logging
from blueprint_pipeline.settings import LogSettings
from blueprint_pipeline.simulation.guarded_calls import SimulatorUnreachable
from blueprint_pipeline.simulation.service import listener
from blueprint_pipeline.simulation.service.bounds import MAX_MESSAGE_BYTES, MAX_READ_BYTES
from blueprint_pipeline.simulation.service.client import ClientOptions, RemoteSimulator
from blueprint_pipeline.simulation.service.errors import RemoteSimulatorError
from blueprint_pipeline.simulation.service.security import ClientTls, InvalidTlsFiles, ServerTls, TokenCheck, public_key_set, sign_token
from blueprint_pipeline.simulation.service.server import SERVICE, ServerOptions, SimulatorServer
from tests.simulation.service.test_security import write_identity

LOOPBACK = re.compile(r"127\.0\.0\.1:\d+")


class LogLines:
    """Where the log's lines go: each is an event to wait for."""

    def __init__(self):
        self.lines = queue.Queue()

    def write(self, text):
        if text.strip():
            self.lines.put(json.loads(text))

    def flush(self): ...

    def next(self, event):
        """The next event of this name; what comes before it is passed over."""
        while True:
            found = self.lines.get(timeout=20)
            if found["event"] == event:
                return found


@pytest.fixture
def log():
    """The log as a served simulator writes it, in JSON."""
    before = structlog.get_config()
    lines = LogLines()
    configure_logging(LogSettings(format="json", level="DEBUG"))
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(lines))
    yield lines
    structlog.configure(**before)


@pytest.fixture
def ca():
    return trustme.CA()


@pytest.fixture
def key():
    return Ed25519PrivateKey.generate()


@pytest.fixture
def server_files(ca, tmp_path):
    return write_identity(ca, tmp_path / "server", "server")


@pytest.fixture
def server(server_files, simulator, key, tmp_path, log):
    """Served with mutual TLS and bearer tokens, as in production."""
    (tmp_path / "keys.json").write_text(public_key_set({"k1": key}))
    tls = ServerTls(certificate=server_files / "cert.pem", private_key=server_files / "key.pem", client_ca=server_files / "ca.pem")
    with SimulatorServer(simulator, ServerOptions(tls=tls, tokens=TokenCheck(tmp_path / "keys.json"))) as running:
        yield running


@pytest.fixture
def known(ca, tmp_path):
    """Files of a client that is admitted."""
    return write_identity(ca, tmp_path / "client", "client")


def client_of(server, folder, token=None):
    tls = ClientTls(certificate=folder / "cert.pem", private_key=folder / "key.pem", server_ca=folder / "ca.pem") if folder else None
    options = ClientOptions(
        address=f"localhost:{server.port}", tls=tls, token=(lambda: token) if token else None, call_timeout_s=2, restart_wait_s=0.1
    )
    return RemoteSimulator(options)


def refused_connection(log):
    line = log.next("connection refused")
    assert line["level"] == "warning"
    assert LOOPBACK.fullmatch(line["peer"])
    return line["reason"]


def test_client_of_another_authority(server, ca, tmp_path, log):
    """A certificate that somebody else signed."""
    folder = write_identity(trustme.CA(), tmp_path / "stranger", "stranger")
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    with pytest.raises(SimulatorUnreachable):
        client_of(server, folder).observe()
    assert refused_connection(log) == "untrusted certificate"


@pytest.mark.parametrize("case", [(-9, -1, "expired certificate"), (1, 9, "certificate not yet valid")])
def test_certificate_out_of_its_time(server, ca, known, log, case):
    """Signed by the right authority, and no longer or not yet good."""
    begin, end = (datetime.now(UTC) + timedelta(days=day) for day in case[:2])
    certificate = ca.issue_cert("client", not_before=begin, not_after=end)
    certificate.private_key_pem.write_to_path(str(known / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(known / "cert.pem"))
    with pytest.raises(SimulatorUnreachable):
        client_of(server, known).observe()
    assert refused_connection(log) == case[2]


def test_client_without_a_certificate(server, known, log):
    """TLS from the server's side alone is not enough."""
    credentials = grpc.ssl_channel_credentials((known / "ca.pem").read_bytes())
    with grpc.secure_channel(f"localhost:{server.port}", credentials) as channel, pytest.raises(grpc.RpcError):
        channel.unary_unary(f"/{SERVICE}/Observe")(b"", timeout=5)
    assert refused_connection(log) == "no certificate"


def test_client_that_does_not_know_us(server, tmp_path, log):
    """It ends the handshake: without a word, as gRPC does, or with one."""
    other = write_identity(trustme.CA(), tmp_path / "other", "client")
    with pytest.raises(SimulatorUnreachable):
        client_of(server, other).observe()
    assert refused_connection(log) == "caller ended the handshake"
    context = ssl.create_default_context(cafile=str(other / "ca.pem"))
    with socket.create_connection(("127.0.0.1", server.port)) as plain, pytest.raises(ssl.SSLCertVerificationError):
        context.wrap_socket(plain, server_hostname="localhost")
    while (reason := refused_connection(log)) == "caller ended the handshake":
        continue  # gRPC tries again by itself
    assert reason == "caller refuses our certificate"


def test_plain_text_grpc_client(server, log):
    """A client of ours that was given no certificates."""
    with pytest.raises(SimulatorUnreachable):
        client_of(server, None).observe()
    assert refused_connection(log) == "plain text"


@pytest.mark.parametrize("words", [b"GET / HTTP/1.1\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\n\r\n", b"\x00" * 64])
def test_other_plain_text(server, log, words):
    """Browsers, proxies and noise."""
    with socket.create_connection(("127.0.0.1", server.port)) as stranger:
        stranger.sendall(words)
        peer = "{}:{}".format(*stranger.getsockname())
        line = log.next("connection refused")
    assert (line["reason"], line["peer"]) == ("plain text", peer)


def test_caller_that_says_nothing(simulator, server_files, log, monkeypatch):
    """A handshake has its time."""
    monkeypatch.setattr(listener, "HANDSHAKE_S", 0.1)
    tls = ServerTls(certificate=server_files / "cert.pem", private_key=server_files / "key.pem", client_ca=server_files / "ca.pem")
    with SimulatorServer(simulator, ServerOptions(tls=tls)) as running, socket.create_connection(("127.0.0.1", running.port)):
        assert refused_connection(log) == "handshake not finished"


def test_probe_of_the_port_is_no_refusal(server, log):
    """The kubelet opens and closes the port every few seconds: that is no warning."""
    socket.create_connection(("127.0.0.1", server.port)).close()
    assert log.next("connection closed before a handshake")["level"] == "debug"


def refused_call(log):
    line = log.next("call refused")
    assert line["level"] == "warning"
    assert LOOPBACK.fullmatch(line["peer"])
    return line


BAD_TOKENS = {
    "Signature has expired": lambda key: sign_token(key, "k1", "worker", timedelta(seconds=-1)),
    "Signature verification failed": lambda _key: sign_token(Ed25519PrivateKey.generate(), "k1", "worker"),
    "there is none": lambda _key: None,
}


@pytest.mark.parametrize("reason", BAD_TOKENS)
def test_bad_token(server, known, key, log, reason):
    """Expired, forged and absent, each in its own words, with the caller's address though gRPC sits behind the door."""
    token = BAD_TOKENS[reason](key)
    with pytest.raises(RemoteSimulatorError, match=reason):
        client_of(server, known, token).observe()
    line = refused_call(log)
    assert (line["code"], line["facts"]["reason"], line["method"]) == ("simulation.invalid_token", reason, f"/{SERVICE}/Observe")


def send(server, known, key, size_bytes, method):
    """A request that our own client would not send; the status of the answer."""
    tls = ClientTls(certificate=known / "cert.pem", private_key=known / "key.pem", server_ca=known / "ca.pem")
    metadata = [("authorization", f"Bearer {sign_token(key, 'k1', 'worker')}")]
    with grpc.secure_channel(f"localhost:{server.port}", tls.credentials()) as channel:
        answer = channel.unary_stream(f"/{SERVICE}/{method}")(bytes(size_bytes), timeout=60, metadata=metadata)
        return answer.code()


@pytest.mark.parametrize("method", ["RestoreState", "Track"])
def test_message_over_the_bound(server, known, key, log, method):
    """Refused with its size, before it is parsed; the next caller is served."""
    assert send(server, known, key, MAX_MESSAGE_BYTES + 1, method) is grpc.StatusCode.RESOURCE_EXHAUSTED
    line = refused_call(log)
    assert line["code"] == "simulation.message_too_large"
    assert line["facts"] == {"size_bytes": MAX_MESSAGE_BYTES + 1, "max_bytes": MAX_MESSAGE_BYTES}
    assert line["method"] == f"/{SERVICE}/{method}"
    assert client_of(server, known, sign_token(key, "k1", "worker")).name == "point"


def test_message_that_is_not_even_read(server, known, key, log):
    """Beyond a second bound nothing enters the process; that is in the log, too."""
    assert send(server, known, key, MAX_READ_BYTES + 1, "RestoreState") is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refused_call(log)["code"] == "simulation.message_lost"


def test_new_files_that_do_not_fit_together(server, server_files, known, key, log):
    """Half a rotation: the server goes on with the certificates before, and says so."""
    whole = (server_files / "key.pem").read_bytes()
    trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(str(server_files / "key.pem"))
    assert client_of(server, known, sign_token(key, "k1", "worker")).name == "point"
    assert log.next("new certificates cannot be used")["code"] == InvalidTlsFiles.code
    (server_files / "key.pem").write_bytes(whole)
    assert client_of(server, known, sign_token(key, "k1", "worker")).name == "point"
    log.next("certificates read again")


def test_files_that_cannot_be_used_stop_the_start(simulator, server_files, known):
    """Absent, or no PEM: an error that names the files, for the server and for a client."""
    (server_files / "ca.pem").write_text("")
    tls = ServerTls(certificate=server_files / "cert.pem", private_key=server_files / "key.pem", client_ca=server_files / "ca.pem")
    with pytest.raises(InvalidTlsFiles, match=r"ca\.pem"):
        SimulatorServer(simulator, ServerOptions(tls=tls))
    with pytest.raises(InvalidTlsFiles, match=r"none\.pem"):
        ClientTls(certificate=known / "none.pem", private_key=known / "key.pem", server_ca=known / "ca.pem").credentials()
