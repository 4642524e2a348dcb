"""Verify a delivered bundle, offline: the signature, then every byte. Works on the folder and on an archive of it.

What nobody signed is refused before a byte of it is hashed, and so is a file that is larger than any that was signed.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict
from securesystemslib.signer import SSlibKey

from blueprint_pipeline.delivery.bag import (
    KEY_NAME,
    SIGNED_TAGS,
    STATEMENT_NAME,
    TAGMANIFEST_NAME,
    build_manifest,
)
from blueprint_pipeline.delivery.bundle_archive import ArchiveSource
from blueprint_pipeline.delivery.bundle_comparison import BundleComparison, BundleFinding
from blueprint_pipeline.delivery.bundle_source import BundleSource, FolderSource, NotABundle
from blueprint_pipeline.delivery.signing import is_signed_by, load_public_key, parse_envelope, parse_public_key
from blueprint_pipeline.delivery.statement import ParsedStatement, parse_statement
from blueprint_pipeline.errors import IntegrityError
from blueprint_pipeline.workspace.checksums import FileDigest, digest_bytes


class WrongKey(IntegrityError):
    """A bundle was signed with another key than the one that is trusted."""

    code = "delivery.wrong_key"
    template = (
        "{path} was signed with key {found_keyids}; the trusted key is {expected_keyid}. Whoever signed it is not "
        "the sender that you trust."
    )

    path: str
    expected_keyid: str
    found_keyids: Sequence[str]


class SignatureInvalid(IntegrityError):
    """The signed statement or its signature was changed."""

    code = "delivery.signature_invalid"
    template = (
        "{path}: statement.dsse.json: {reason}. Nothing in this bundle is proven; fetch the delivery again, and tell "
        "the sender if it stays so."
    )

    path: str
    reason: str


class BundleAltered(IntegrityError):
    """A bundle does not hold the bytes that were signed."""

    code = "delivery.bundle_altered"
    template = "{path} is not what was signed: {shown}. Fetch the delivery again."

    path: str
    first: str
    findings: Sequence[str]

    @property
    def shown(self) -> str:
        """The first finding, and how many there are besides."""
        more = len(self.findings) - 1
        return f"{self.findings[0]} ({more} more)" if more else self.findings[0]


class VerifyReport(BaseModel):
    """What verification found; ``findings`` are sorted by name of file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundle: str
    signature: Literal["valid", "invalid", "wrong_key"]
    signature_message: str
    trust: Literal["given_key", "enclosed_key"]
    """``given_key``: the sender is proven. ``enclosed_key``: the bundle is as its signer made it; who that was is not proven."""
    trusted_keyid: str
    signed_keyids: tuple[str, ...]
    files: int
    size_bytes: int
    findings: tuple[BundleFinding, ...]

    @property
    def is_whole(self) -> bool:
        """Whether the signature holds and every byte is as signed."""
        return self.signature == "valid" and not self.findings

    @property
    def first_bad_file(self) -> str | None:
        """The first file that is not as signed."""
        names = [finding.name for finding in self.findings]
        if self.signature != "valid":
            return KEY_NAME if self.trust == "enclosed_key" and KEY_NAME in names else STATEMENT_NAME
        return names[0] if names else None


def verify_bundle(path: Path, public_key: Path | SSlibKey | None = None) -> VerifyReport:
    """Check a bundle and report what was found; needs no network and writes nothing.

    Args:
        path: Folder of the bundle, or a ``.tar``, ``.tar.gz`` or ``.tar.bz2`` of it.
        public_key: The sender's public key (or a PEM file of it), obtained separately from the bundle. ``None``: the enclosed one is
            used, which proves that the bundle is whole and not who sent it (see :mod:`blueprint_pipeline.delivery.signing`).

    Raises:
        NotABundle: There is nothing to verify.
        InvalidKey: ``public_key`` holds no Ed25519 public key.
    """
    source = ArchiveSource(path) if path.is_file() else FolderSource(path)
    try:
        return _verify(source, path, public_key)
    except OSError as error:
        raise NotABundle(str(path), f"it cannot be read ({error})") from error


def _verify(source: BundleSource, path: Path, public_key: Path | SSlibKey | None) -> VerifyReport:
    tags = source.read_tags()
    if STATEMENT_NAME not in tags:
        raise NotABundle(str(path), f"it holds no {STATEMENT_NAME}, so nothing in it was signed")
    if public_key is None and KEY_NAME not in tags:
        raise NotABundle(str(path), f"it holds no {KEY_NAME}, and no key was given")
    signature, message, key, signed_keyids, statement = _open_statement(tags, public_key)
    comparison = BundleComparison(_expected(statement, tags) if statement else {})
    comparison.read(source)
    return VerifyReport(
        bundle=path.name,
        signature=signature,
        signature_message=message,
        trust="given_key" if public_key else "enclosed_key",
        trusted_keyid=key.keyid if key else "",
        signed_keyids=signed_keyids,
        files=comparison.files,
        size_bytes=comparison.size_bytes,
        findings=tuple(comparison.findings()) if statement else (),
    )


def validate_bundle(path: Path, public_key: Path | SSlibKey | None = None) -> VerifyReport:
    """Check a bundle as :func:`verify_bundle` does.

    Raises:
        WrongKey: Another key signed it than the one given.
        SignatureInvalid: The statement or its signature was changed.
        BundleAltered: A file is changed, missing, or was added; the first is named.
        NotABundle: There is nothing to verify.
    """
    report = verify_bundle(path, public_key)
    messages = [finding.message for finding in report.findings]
    if report.signature != "valid" and report.first_bad_file == KEY_NAME:
        raise BundleAltered(str(path), KEY_NAME, [message for message in messages if message.startswith(KEY_NAME)])
    if report.signature == "wrong_key":
        raise WrongKey(str(path), report.trusted_keyid, report.signed_keyids)
    if report.signature == "invalid":
        raise SignatureInvalid(str(path), report.signature_message)
    if report.findings:
        raise BundleAltered(str(path), report.findings[0].name, messages)
    return report


_Signature = Literal["valid", "invalid", "wrong_key"]
_Opened = tuple[_Signature, str, SSlibKey | None, tuple[str, ...], ParsedStatement | None]


def _open_statement(tags: Mapping[str, bytes], public_key: Path | SSlibKey | None) -> _Opened:
    key: SSlibKey | None = load_public_key(public_key) if isinstance(public_key, Path) else public_key
    signed_keyids: tuple[str, ...] = ()
    statement: ParsedStatement | None = None
    try:
        envelope = parse_envelope(tags[STATEMENT_NAME])
        signed_keyids = tuple(sorted(envelope.signatures))
        statement = parse_statement(envelope.payload)
        key = key or parse_public_key(tags[KEY_NAME])
        signature, message = _judge_signature(key, signed_keyids, holds=is_signed_by(envelope, key))
    except ValueError as error:
        return "invalid", str(error), key, signed_keyids, statement
    return signature, message, key, signed_keyids, statement


def _judge_signature(key: SSlibKey, signed_keyids: tuple[str, ...], *, holds: bool) -> tuple[_Signature, str]:
    if holds:
        return "valid", f"signed with key {key.keyid}"
    if key.keyid not in signed_keyids:
        return "wrong_key", f"signed with key {', '.join(signed_keyids) or 'none'}, not with {key.keyid}"
    return "invalid", "the signature does not fit the statement: one of them was changed after signing"


def _expected(statement: ParsedStatement, tags: Mapping[str, bytes]) -> dict[str, FileDigest]:
    """Digest of every file of the bundle: the signed ones, and the two that follow from them."""
    expected = statement.digests()
    envelope = digest_bytes(tags[STATEMENT_NAME])
    listed = {name: expected[name] for name in SIGNED_TAGS if name in expected} | {STATEMENT_NAME: envelope}
    return expected | {STATEMENT_NAME: envelope, TAGMANIFEST_NAME: digest_bytes(build_manifest(listed))}
