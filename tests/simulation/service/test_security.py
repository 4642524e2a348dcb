"""Strangers are refused: without a certificate, with a wrong one, without a token, with a forged or expired one."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import jwt
import numpy as np
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from blueprint_pipeline.simulation.guarded_calls import SimulatorUnreachable
from blueprint_pipeline.simulation.service import server as server_module
from blueprint_pipeline.simulation.service.client import ClientOptions, RemoteSimulator
from blueprint_pipeline.simulation.service.errors import InvalidToken, RemoteSimulatorError
from blueprint_pipeline.simulation.service.security import AUDIENCE, ClientTls, ServerTls, TokenCheck, public_key_set, sign_token
from blueprint_pipeline.simulation.service.server import ServerOptions, SimulatorServer
from tests.simulation.service.test_service import ROBOT


def write_identity(ca, folder, name):
    """Certificate and key of one side, as PEM files."""
    folder.mkdir(exist_ok=True)
    certificate = ca.issue_cert("localhost", "127.0.0.1", common_name=name)
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    (folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    return folder


@pytest.fixture
def ca():
    return trustme.CA()


@pytest.fixture
def server_files(ca, tmp_path):
    return write_identity(ca, tmp_path / "server", "server")


@pytest.fixture
def server(server_files, simulator):
    tls = ServerTls(certificate=server_files / "cert.pem", private_key=server_files / "key.pem", client_ca=server_files / "ca.pem")
    with SimulatorServer(simulator, ServerOptions(tls=tls)) as running:
        yield running


def client_of(server, folder=None):
    tls = ClientTls(certificate=folder / "cert.pem", private_key=folder / "key.pem", server_ca=folder / "ca.pem") if folder else None
    return RemoteSimulator(ClientOptions(address=f"localhost:{server.port}", tls=tls, call_timeout_s=3, restart_wait_s=0.5))


def test_both_sides_known_is_served(server, ca, tmp_path):
    """A client with a certificate of the right authority gets through."""
    assert client_of(server, write_identity(ca, tmp_path / "client", "client")).name == "point"


def test_plain_text_client_is_refused(server):
    """No TLS, no answer."""
    with pytest.raises(SimulatorUnreachable):
        client_of(server).observe()


def test_client_of_another_authority_is_refused(server, ca, tmp_path):
    """A certificate that somebody else signed does not open the door."""
    folder = write_identity(trustme.CA(), tmp_path / "stranger", "stranger")
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    with pytest.raises(SimulatorUnreachable):
        client_of(server, folder).observe()


def test_server_of_another_authority_is_refused(server, tmp_path):
    """A client does not talk to a server that it cannot verify."""
    with pytest.raises(SimulatorUnreachable):
        client_of(server, write_identity(trustme.CA(), tmp_path / "other", "client")).observe()


def test_an_engine_that_hangs_closes_the_port(server, simulator, ca, tmp_path, monkeypatch):
    """A probe of the pod knows no certificate: it sees that nobody listens, and the pod is started anew."""
    monkeypatch.setattr(server_module, "ENGINE_HANGS_S", 0.3)
    client = client_of(server, write_identity(ca, tmp_path / "client", "client"))
    simulator.block.clear()
    try:
        with ThreadPoolExecutor(1) as callers:
            call = callers.submit(client.track, np.zeros((1, 2)))
            socket.create_connection(("127.0.0.1", server.port), 1).close()
            assert closes_within(server.port, 10)
            assert call.exception(20) is not None
    finally:
        simulator.block.set()


def closes_within(port, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            return True
        time.sleep(0.1)
    return False


def test_certificates_rotate_without_a_restart(server, server_files, ca, tmp_path):
    """New files count for the next connection; clients of the old authority are then strangers."""
    old = write_identity(ca, tmp_path / "old", "client")
    assert client_of(server, old).name == "point"
    fresh = trustme.CA()
    write_identity(fresh, server_files, "server")
    assert client_of(server, write_identity(fresh, tmp_path / "new", "client")).name == "point"
    with pytest.raises(SimulatorUnreachable):
        client_of(server, old).observe()


@pytest.fixture
def keys(tmp_path):
    path = tmp_path / "keys.json"
    key = Ed25519PrivateKey.generate()
    path.write_text(public_key_set({"k1": key}))
    return path, key


@pytest.fixture
def guarded(simulator, keys):
    with SimulatorServer(simulator, ServerOptions(tokens=TokenCheck(keys[0]))) as running:
        yield running


def with_token(server, token):
    return RemoteSimulator(ClientOptions(address=server.address, token=(lambda: token) if token else None, call_timeout_s=3))


def test_good_token_is_served(guarded, keys):
    """A token for this audience, signed by a known key, in time."""
    client = with_token(guarded, sign_token(keys[1], "k1", "worker"))
    client.wait_until_ready(3)
    assert client.observe().time_s == 0.0
    assert len(client.track(np.zeros((2, 2))).states) == 2


def test_health_needs_no_token(guarded):
    """A probe of the pod asks without a secret."""
    with_token(guarded, None).wait_until_ready(3)


def forged(key):
    return sign_token(Ed25519PrivateKey.generate(), "k1", "worker")


def expired(key):
    return sign_token(key, "k1", "worker", timedelta(seconds=-1))


def unknown_key(key):
    return sign_token(key, "k9", "worker")


def other_audience(key):
    return jwt.encode({"sub": "x", "aud": "other", "exp": 9e9}, key, algorithm="EdDSA", headers={"kid": "k1"})


def unsigned(_key):
    return jwt.encode({"sub": "x", "aud": AUDIENCE, "exp": 9e9}, None, algorithm="none", headers={"kid": "k1"})


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (forged, "Signature verification failed"),
        (expired, "expired"),
        (unknown_key, "its key 'k9'"),
        (other_audience, "[Aa]udience"),
        (unsigned, "alg"),
        (lambda _key: "nonsense", "Not enough segments"),
        (lambda _key: None, "there is none"),
    ],
)
def test_bad_token_is_refused_with_the_reason(guarded, keys, make, says):
    """Forged, expired, unknown, misdirected, unsigned, malformed and absent tokens, each with its own words."""
    with pytest.raises(RemoteSimulatorError, match=says) as caught:
        with_token(guarded, make(keys[1])).observe()
    assert caught.value.code == InvalidToken.code


def test_keys_rotate_without_a_restart(guarded, keys):
    """A key that is taken out of the set no longer signs."""
    path, old = keys
    new = Ed25519PrivateKey.generate()
    path.write_text(public_key_set({"k2": new}))
    assert with_token(guarded, sign_token(new, "k2", "worker")).observe().time_s == 0.0
    with pytest.raises(RemoteSimulatorError, match="its key 'k1'"):
        with_token(guarded, sign_token(old, "k1", "worker")).observe()


@pytest.fixture
def replicas(server, server_files, simulator, monkeypatch):
    """Two servers behind one name, each with the name's certificate."""
    tls = ServerTls(certificate=server_files / "cert.pem", private_key=server_files / "key.pem", client_ca=server_files / "ca.pem")
    with SimulatorServer(type(simulator)(), ServerOptions(host="127.0.0.2", port=server.port, tls=tls)):
        places = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, server.port)) for host in ("127.0.0.1", "127.0.0.2")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_asked, **_options: places)
        yield server


def test_every_server_of_a_name_has_the_names_certificate(replicas, ca, tmp_path, scene_path):
    """A server is called at its own address, and known by the certificate of the name."""
    folder = write_identity(ca, tmp_path / "client", "client")
    clients = [client_of(replicas, folder) for _ in range(2)]
    for client in clients:
        assert client.load(scene_path, ROBOT, 30).fps == 30
