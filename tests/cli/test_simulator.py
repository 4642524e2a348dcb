"""``bpp simulator check`` against a simulator that is served as in production: mutual TLS and bearer tokens."""

import json

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from blueprint_pipeline.cli.app import app
from blueprint_pipeline.errors import ConfigurationError
from blueprint_pipeline.simulation.guarded_calls import SimulatorUnreachable
from blueprint_pipeline.simulation.service.security import (
    ServerTls,
    TokenCheck,
    TokenFileUnreadable,
    public_key_set,
    read_token,
    sign_token,
)
from blueprint_pipeline.simulation.service.server import ServerOptions, SimulatorServer
from tests.simulation.service.conftest import PointSimulator
from tests.simulation.service.test_security import write_identity

runner = CliRunner()


def check(address, folder, *options):
    """Run the command as a client with these files."""
    files = ["--certificate", folder / "cert.pem", "--private-key", folder / "key.pem", "--server-ca", folder / "ca.pem"]
    words = ["simulator", "check", "--address", address, *files, "--json", *options]
    return runner.invoke(app, [str(word) for word in words])


@pytest.fixture
def serve(tmp_path):
    """Serves a simulator; the address, a client's files, and the file of its token."""
    ca, key = trustme.CA(), Ed25519PrivateKey.generate()
    server, client = (write_identity(ca, tmp_path / name, name) for name in ("server", "client"))
    (tmp_path / "keys.json").write_text(public_key_set({"k1": key}))
    (client / "token").write_text(sign_token(key, "k1", "on-call") + "\n")
    tls = ServerTls(certificate=server / "cert.pem", private_key=server / "key.pem", client_ca=server / "ca.pem")
    running = []

    def start(simulator):
        running.append(SimulatorServer(simulator, ServerOptions(tls=tls, tokens=TokenCheck(tmp_path / "keys.json"))).start())
        return f"localhost:{running[0].port}", client, client / "token"

    yield start
    for server in running:
        server.stop(0)


@pytest.mark.slow
def test_served_simulator_passes(serve):
    """The whole suite runs through the wire, with certificates and a token from a file."""
    from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator

    address, client, token = serve(MujocoSimulator("auto"))
    ended = check(address, client, "--token-file", token)
    assert ended.exit_code == 0, ended.output
    found = json.loads(ended.stdout)
    assert found["simulator"] == address
    assert found["checks"]
    assert all(item["passed"] for item in found["checks"])


def test_without_a_token_the_suite_says_so(serve):
    """Health needs none, so the server is found; each check then fails with the server's own words."""
    address, client, _ = serve(PointSimulator())
    ended = check(address, client)
    assert ended.exit_code != 0
    assert "simulation.invalid_token" in ended.output + str(ended.exception)


def test_stranger_is_not_served(serve, tmp_path):
    """A client of another authority does not even see the server's health."""
    address, _, token = serve(PointSimulator())
    ended = check(address, write_identity(trustme.CA(), tmp_path / "stranger", "x"), "--token-file", token)
    assert isinstance(ended.exception, SimulatorUnreachable)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--address", "localhost:1", "--certificate", "c.pem"], "--server-ca"),
        (["--token-file", "token"], "give --address"),
        (["--certificate", "c", "--private-key", "k", "--server-ca", "a"], "give --address"),
    ],
)
def test_options_that_do_not_go_together(options, says):
    """Wrong usage ends with 2 and says what is missing."""
    ended = runner.invoke(app, ["simulator", "check", *options], env={"COLUMNS": "200"})
    assert ended.exit_code == 2
    assert says in ended.output


@pytest.mark.parametrize("content", [None, b" \n", b"\xff\xfe"])
def test_token_file_without_a_token(tmp_path, content):
    """Absent, empty, or no text: a setting is wrong, and the file is named."""
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TokenFileUnreadable, match=str(path)) as caught:
        read_token(path)
    assert caught.value.exit_code == ConfigurationError.exit_code
