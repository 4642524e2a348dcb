"""Verify a delivered bundle, offline: the signature, then every byte. Works on the folder and on a ``.tar`` of it."""

import hashlib
import tarfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import BaseModel, ConfigDict
from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]  # re-exported by its __init__

from blueprint_pipeline.delivery.bag import (
    KEY_NAME,
    MANIFEST_NAME,
    SIGNED_TAGS,
    STATEMENT_NAME,
    TAGMANIFEST_NAME,
    TAGS,
    build_manifest,
    digest_bytes,
)
from blueprint_pipeline.delivery.signing import is_signed_by, load_public_key, parse_envelope, parse_public_key
from blueprint_pipeline.delivery.statement import ParsedStatement, parse_statement
from blueprint_pipeline.errors import InputError, IntegrityError
from blueprint_pipeline.workspace.checksums import FileDigest, digest_files

_BLOCK_BYTES = 1 << 20
_MAX_TAG_BYTES = 64 << 20
"""What is read into memory of a bundle: the lists and the statement of a million files take half of it."""
_MAX_HEADER_BYTES = 1 << 20
"""A member's name and attributes in an archive."""
_EXTENDED = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)


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
    template = "{path} is not what was signed; first bad file: {first}: {shown}. Fetch the delivery again."

    path: str
    first: str
    findings: Sequence[str]

    @property
    def shown(self) -> str:
        """The first finding, and how many there are besides."""
        more = len(self.findings) - 1
        return f"{self.findings[0]} ({more} more)" if more else self.findings[0]


class NotABundle(InputError):
    """What is to be verified is not a delivered bundle."""

    code = "delivery.not_a_bundle"
    template = "{path} is not a delivered bundle: {reason}. Give the folder (or a .tar of it) that holds bagit.txt and statement.dsse.json."

    path: str
    reason: str


class BundleFinding(BaseModel):
    """One file that is not as it was signed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["changed", "truncated", "swapped", "missing", "extra", "not_a_file"]
    name: str
    message: str
    expected: FileDigest | None
    found: FileDigest | None


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


class _Contents(BaseModel):
    """What lies in a bundle: digest of every file, bytes of the tag files, what is no plain file."""

    digests: dict[str, FileDigest]
    tags: dict[str, bytes]
    not_files: list[str]


def verify_bundle(path: Path, public_key: Path | SSlibKey | None = None) -> VerifyReport:
    """Check a bundle and report what was found; needs no network and writes nothing.

    Args:
        path: Folder of the bundle, or a ``.tar`` of it.
        public_key: The sender's public key (or a PEM file of it), obtained separately from the bundle. ``None``: the enclosed one is
            used, which proves that the bundle is whole and not who sent it (see :mod:`blueprint_pipeline.delivery.signing`).

    Raises:
        NotABundle: There is nothing to verify.
        InvalidKey: ``public_key`` holds no Ed25519 public key.
    """
    contents = _read_tar(path) if path.is_file() else _read_folder(path)
    if STATEMENT_NAME not in contents.tags:
        raise NotABundle(str(path), f"it holds no {STATEMENT_NAME}, so nothing in it was signed")
    if public_key is None and KEY_NAME not in contents.tags:
        raise NotABundle(str(path), f"it holds no {KEY_NAME}, and no key was given")
    signature, message, key, signed_keyids, statement = _open_statement(contents, public_key)
    return VerifyReport(
        bundle=path.name,
        signature=signature,
        signature_message=message,
        trust="given_key" if public_key else "enclosed_key",
        trusted_keyid=key.keyid if key else "",
        signed_keyids=signed_keyids,
        files=len(contents.digests),
        size_bytes=sum(digest.size_bytes for digest in contents.digests.values()),
        findings=tuple(_compare(contents, statement)) if statement else (),
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


def _open_statement(contents: _Contents, public_key: Path | SSlibKey | None) -> _Opened:
    key: SSlibKey | None = load_public_key(public_key) if isinstance(public_key, Path) else public_key
    signed_keyids: tuple[str, ...] = ()
    statement: ParsedStatement | None = None
    try:
        envelope = parse_envelope(contents.tags[STATEMENT_NAME])
        signed_keyids = tuple(sorted(envelope.signatures))
        statement = parse_statement(envelope.payload)
        key = key or parse_public_key(contents.tags[KEY_NAME])
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


def _compare(contents: _Contents, statement: ParsedStatement) -> list[BundleFinding]:
    expected = statement.digests()
    tags = {name: digest_bytes(contents.tags[name]) for name in TAGS if name in contents.tags}
    expected[STATEMENT_NAME] = tags[STATEMENT_NAME]
    expected[TAGMANIFEST_NAME] = digest_bytes(
        build_manifest({**{name: expected[name] for name in SIGNED_TAGS if name in expected}, STATEMENT_NAME: tags[STATEMENT_NAME]})
    )
    found = contents.digests
    names_by_sha256 = {digest.sha256: name for name, digest in expected.items()}
    findings = [
        _finding(name, expected.get(name), found.get(name), names_by_sha256)
        for name in sorted(expected.keys() | found.keys())
        if expected.get(name) != found.get(name)
    ]
    findings += [
        BundleFinding(kind="not_a_file", name=name, message=f"{name} is a link or a device, not a plain file", expected=None, found=None)
        for name in contents.not_files
    ]
    return sorted(findings, key=lambda finding: finding.name)


def _finding(name: str, expected: FileDigest | None, found: FileDigest | None, names_by_sha256: dict[str, str]) -> BundleFinding:
    kind: Literal["changed", "truncated", "swapped", "missing", "extra"]
    if expected is None or found is None:
        kind = "extra" if expected is None else "missing"
        message = f"{name} was not signed: it was added later" if expected is None else f"{name} is missing"
        return BundleFinding(kind=kind, name=name, message=message, expected=expected, found=found)
    known_as = names_by_sha256.get(found.sha256)
    tail = f"sha256 {found.sha256} ({found.size_bytes} bytes), signed was {expected.sha256} ({expected.size_bytes} bytes)"
    if known_as is not None:
        kind, message = "swapped", f"{name} holds the bytes of {known_as}: {tail}"
    elif found.size_bytes < expected.size_bytes:
        kind, message = "truncated", f"{name} is cut short: {tail}"
    else:
        kind, message = "changed", f"{name} was changed: {tail}"
    return BundleFinding(kind=kind, name=name, message=message, expected=expected, found=found)


def _read_folder(path: Path) -> _Contents:
    if not path.is_dir():
        raise NotABundle(str(path), "there is nothing at this path")
    entries = sorted(entry for entry in path.rglob("*") if entry.is_symlink() or not entry.is_dir())
    not_files = [entry.relative_to(path).as_posix() for entry in entries if entry.is_symlink() or not entry.is_file()]
    names = [name for entry in entries if (name := entry.relative_to(path).as_posix()) not in set(not_files)]
    tags = {name: (path / name).read_bytes() for name in (*TAGS, TAGMANIFEST_NAME) if name in names}
    return _Contents(digests=digest_files(path, names), tags=tags, not_files=not_files)


class _Member(tarfile.TarInfo):
    """A member of an archive whose extended headers, which are read into memory whole, are bounded.

    Source: CPython ``tarfile``: ``_proc_member`` is the entry point that subclasses override.
    """

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _EXTENDED and self.size > _MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        found: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]  # typeshed leaves it out
        return found


def _read_tar(path: Path) -> _Contents:
    digests: dict[str, FileDigest] = {}
    tags: dict[str, bytes] = {}
    not_files: list[str] = []
    try:
        with tarfile.open(path, "r|*", tarinfo=_Member) as archive:
            for member in archive:
                name = _name_in_bag(member.name)
                if member.isdir():
                    continue
                stream = archive.extractfile(member) if member.isreg() else None
                if stream is None or name in digests:
                    not_files.append(name)
                    continue
                digest, kept = hashlib.sha256(), bytearray()
                while block := stream.read(_BLOCK_BYTES):
                    digest.update(block)
                    if name in TAGS or name == TAGMANIFEST_NAME:
                        kept += block
                    if len(kept) > _MAX_TAG_BYTES:
                        raise NotABundle(str(path), f"{name} is larger than {_MAX_TAG_BYTES} bytes")
                digests[name] = FileDigest(sha256=digest.hexdigest(), size_bytes=member.size)
                if kept:
                    tags[name] = bytes(kept)
    except tarfile.TarError as error:
        raise NotABundle(str(path), f"the archive cannot be read ({error})") from error
    return _Contents(digests=digests, tags=tags, not_files=not_files)


def _name_in_bag(name: str) -> str:
    """Archives hold the bag as one top folder (RFC 8493 §4.1), or its files at the root."""
    parts = PurePosixPath(name).parts
    is_top = bool(parts) and (parts[0] == "data" or parts[0] in {*TAGS, MANIFEST_NAME, TAGMANIFEST_NAME})
    return PurePosixPath(*parts).as_posix() if is_top or len(parts) <= 1 else PurePosixPath(*parts[1:]).as_posix()
