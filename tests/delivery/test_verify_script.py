"""The verifier that needs nothing of ours finds what ours finds."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from blueprint_pipeline.delivery import verify_script
from blueprint_pipeline.delivery.bag import STATEMENT_NAME
from blueprint_pipeline.delivery.signing import load_signer, make_signing_key, parse_envelope, sign_payload
from blueprint_pipeline.delivery.verify import verify_bundle


def run(bundle, public_key, tmp_path):
    """The script as a lab runs it: a copy of the file alone, in a Python that does not see this package."""
    copy = tmp_path / "verify_bundle.py"
    copy.write_bytes(Path(verify_script.__file__).read_bytes())
    done = subprocess.run(
        [sys.executable, "-I", copy, bundle, public_key], capture_output=True, text=True, check=False, cwd=tmp_path, timeout=30
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_a_whole_bundle_passes(bundle, public_key, tmp_path):
    """Exit code 0."""
    assert run(bundle, public_key, tmp_path) == (0, "the bundle is as it was signed\n")


def change(path):
    data = path.read_bytes()
    path.write_bytes(bytes([data[0] ^ 1]) + data[1:])


def sign_too(statement, folder):
    make_signing_key(folder / "other.pem")
    envelope = json.loads(statement.read_bytes())
    payload = parse_envelope(statement.read_bytes()).payload
    envelope["signatures"] += json.loads(sign_payload(payload, load_signer(folder / "other.pem")))["signatures"]
    statement.write_text(json.dumps(envelope))


def replace(statement, *, data=None, size=None, link=None, pipe=False):
    """Something else in the statement's place."""
    statement.unlink()
    if data is not None:
        statement.write_bytes(data)
    if size is not None:
        statement.touch()
        os.truncate(statement, size)
    if link is not None:
        statement.symlink_to(link)
    if pipe:
        os.mkfifo(statement)


NOTHING_PROVEN = {
    "no statement": lambda bundle: (bundle / STATEMENT_NAME).unlink(),
    "no bytes": lambda bundle: replace(bundle / STATEMENT_NAME, data=b""),
    "no envelope": lambda bundle: replace(bundle / STATEMENT_NAME, data=b"[]"),
    "deep": lambda bundle: replace(bundle / STATEMENT_NAME, data=b"[" * 1_000_000),
    "huge": lambda bundle: replace(bundle / STATEMENT_NAME, size=1 << 40),
    "endless": lambda bundle: replace(bundle / STATEMENT_NAME, link="/dev/zero"),
    "pipe": lambda bundle: replace(bundle / STATEMENT_NAME, pipe=True),
    "empty folder": lambda bundle: [shutil.rmtree(bundle), bundle.mkdir()],
    "no folder": shutil.rmtree,
    "archive": lambda bundle: [shutil.rmtree(bundle), bundle.write_bytes(b"tar")],
}


@pytest.mark.parametrize("tamper", NOTHING_PROVEN)
def test_what_is_no_bundle_is_refused_with_one_sentence(bundle, public_key, tmp_path, tamper):
    """Without a traceback, at once, whatever stands where the statement should."""
    NOTHING_PROVEN[tamper](bundle)
    status, said = run(bundle, public_key, tmp_path)
    assert (status, said.count("\n")) == (verify_script.ALTERED, 1)
    assert ": " in said


@pytest.mark.parametrize("pem", [None, b"hello", b"private", b"rsa"])
def test_what_is_no_key_is_refused_with_one_sentence(bundle, tmp_path, pem):
    """The file is named."""
    key = tmp_path / "key.pem"
    if pem == b"private":
        make_signing_key(key)
    elif pem == b"rsa":
        key.write_bytes(generate_private_key(65537, 2048).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    elif pem is not None:
        key.write_bytes(pem)
    status, said = run(bundle, key, tmp_path)
    assert (status, said.count("\n")) == (verify_script.ALTERED, 1)
    assert "key.pem: " in said


def test_a_name_that_steers_a_terminal_is_escaped(bundle, public_key, tmp_path):
    """Nothing that was added reaches the screen as it is."""
    (bundle / "data/\x1b[2J").write_text("x")
    assert run(bundle, public_key, tmp_path) == (verify_script.ALTERED, "data/\\x1b[2J: was not signed\n")


TAMPERS = {
    "changed": lambda bundle, _: change(bundle / "data/index.html"),
    "tag changed": lambda bundle, _: change(bundle / "bagit.txt"),
    "tag manifest changed": lambda bundle, _: change(bundle / "tagmanifest-sha256.txt"),
    "missing": lambda bundle, _: (bundle / "data/index.html").unlink(),
    "added": lambda bundle, _: (bundle / "data/.hidden").write_text("x"),
    "empty folder": lambda bundle, _: (bundle / "empty").mkdir(),
    "setuid": lambda bundle, _: (bundle / "data/index.html").chmod(0o4644),
    "link": lambda bundle, folder: (
        (bundle / "data/index.html").rename(folder / "x") and (bundle / "data/index.html").symlink_to(folder / "x")
    ),
    "linked folder": lambda bundle, folder: (
        (bundle / "data/legal").rename(folder / "l") and (bundle / "data/legal").symlink_to(folder / "l")
    ),
    "signed twice": lambda bundle, folder: sign_too(bundle / STATEMENT_NAME, folder),
}


@pytest.mark.parametrize("tamper", TAMPERS)
def test_it_refuses_what_ours_refuses(bundle, public_key, tmp_path, tamper):
    """Both verifiers, by every kind of tampering."""
    TAMPERS[tamper](bundle, tmp_path)
    assert not verify_bundle(bundle, public_key).is_whole
    status, said = run(bundle, public_key, tmp_path)
    assert status == verify_script.ALTERED
    assert ": " in said


def test_another_key_is_refused(bundle, tmp_path):
    """A bundle that somebody else signed."""
    make_signing_key(tmp_path / "other.pem")
    assert run(bundle, tmp_path / "other.pub.pem", tmp_path)[0] == verify_script.ALTERED
