"""Ed25519 keys, and statements signed in DSSE envelopes.

Trust: the public key that lies in a bundle lets anyone see that the bundle is whole. It proves nothing about who sent
it: whoever alters a bundle can sign it again with a key of their own and put that key in. Only a key that the lab got
by another way (``bpp verify --key``, or the key id pinned in its profile) proves the sender.

Source: DSSE v1 (secure-systems-lab/dsse), Ed25519 (RFC 8032; signatures are deterministic).
"""

import json
import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key, load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from blueprint_pipeline.errors import ConfigurationError
from blueprint_pipeline.workspace.canonical import NotCanonical, canonical_json

PAYLOAD_TYPE = "application/vnd.in-toto+json"


class InvalidKey(ConfigurationError):
    """A key file does not hold an Ed25519 key."""

    code = "delivery.invalid_key"
    template = "{path} is not an Ed25519 key in PEM form: {reason}."

    path: Path
    reason: str


class SigningKeyExists(ConfigurationError):
    """A key would be overwritten."""

    code = "delivery.signing_key_exists"
    template = "{path} already exists and is never overwritten: labs may have pinned it. Choose another path."

    path: Path


class SigningKeyMissing(ConfigurationError):
    """There is no key to sign with."""

    code = "delivery.signing_key_missing"
    template = (
        "There is no signing key at {path}. Set BPP__DELIVERY__SIGNING_KEY to an Ed25519 private key (PEM, PKCS 8), "
        "or make one for trials with `make_signing_key` (`make demo` does it)."
    )

    path: Path


def public_key_path(signing_key: Path) -> Path:
    """Where the public half of a key lies: ``signing.pem`` → ``signing.pub.pem``."""
    return signing_key.with_name(f"{signing_key.stem}.pub.pem")


def make_signing_key(path: Path) -> str:
    """Make a key pair for the demo and for trials, readable by its owner only; production mounts its own.

    Returns:
        The key's id: sha256 over the canonical public key.

    Raises:
        SigningKeyExists: ``path`` already exists; keys are never overwritten.
    """
    signer = CryptoSigner.generate_ed25519()
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise SigningKeyExists(path) from error
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(signer.private_bytes)
    public_key_path(path).write_bytes(public_pem(signer.public_key))
    return str(signer.public_key.keyid)


def load_signer(path: Path) -> CryptoSigner:
    """Read a private key.

    Raises:
        SigningKeyMissing: There is no such file.
        InvalidKey: It is not an Ed25519 private key.
    """
    if not path.is_file():
        raise SigningKeyMissing(path)
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidKey(path, str(error).splitlines()[0]) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidKey(path, f"it holds a {type(key).__name__}")
    return CryptoSigner(key)


def load_public_key(path: Path) -> SSlibKey:
    """Read a public key.

    Raises:
        InvalidKey: There is no such file, or it is not an Ed25519 public key.
    """
    if not path.is_file():
        raise InvalidKey(path, "there is no such file")
    try:
        return parse_public_key(path.read_bytes())
    except ValueError as error:
        raise InvalidKey(path, str(error).splitlines()[0]) from error


def parse_public_key(pem: bytes) -> SSlibKey:
    """Parse a public key.

    Raises:
        ValueError: It is not an Ed25519 public key in PEM form.
    """
    try:
        key = load_pem_public_key(pem)
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from error
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError(f"it holds a {type(key).__name__}")  # noqa: TRY004 -- callers ask for one kind of error
    return SSlibKey.from_crypto(key)


def public_pem(key: SSlibKey) -> bytes:
    """A public key as PEM (SubjectPublicKeyInfo)."""
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key.keyval["public"]))
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def sign_payload(payload: bytes, signer: CryptoSigner) -> bytes:
    """Sign bytes and return the envelope as canonical JSON; the same payload and key give the same bytes."""
    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    envelope.sign(signer)
    return canonical_json(envelope.to_dict()) + b"\n"


def parse_envelope(data: bytes) -> Envelope:
    """Parse an envelope that :func:`sign_payload` made.

    Raises:
        ValueError: It is none, its bytes are not in canonical form, or others signed it too.
    """
    try:
        envelope: Envelope = Envelope.from_dict(json.loads(data))
        again = canonical_json(envelope.to_dict()) + b"\n"
        signers = ", ".join(sorted(envelope.signatures))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, NotCanonical) as error:
        raise ValueError(f"it is not a DSSE envelope ({type(error).__name__}: {error})") from error
    if again != data:
        raise ValueError("the envelope is not in canonical form: bytes outside of the signed payload were changed")
    if len(envelope.signatures) > 1:
        raise ValueError(f"the envelope holds {len(envelope.signatures)} signatures, of {signers}; we sign once")
    return envelope


def is_signed_by(envelope: Envelope, key: SSlibKey) -> bool:
    """Whether ``key`` made a signature of the envelope that holds."""
    try:
        envelope.verify([key], 1)
    except VerificationError:
        return False
    return True
