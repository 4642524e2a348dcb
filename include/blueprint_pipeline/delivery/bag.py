"""A BagIt folder, written in one pass: every payload byte is read once, hashed and copied.

::

    bagit.txt  bag-info.txt  signing-key.pub.pem  manifest-sha256.txt     signed: subjects of the statement
    data/...                                                              signed: subjects of the statement
    statement.dsse.json                                                   the signature
    tagmanifest-sha256.txt                                                follows from the others; written last

Files are copied, not hard-linked: whoever changes a byte of a bundle must not change the workspace that it was made of.
No date stands in any of them, so the same content gives the same bundle.

Source: RFC 8493 (BagIt 1.0). Names that §2.1.3 would escape are refused, since bagit-python 1.9 does not decode ``%25``.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from blueprint_pipeline.errors import InputError
from blueprint_pipeline.workspace.checksums import FileDigest, copy_file, write_file

BAG_DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
DECLARATION_NAME = "bagit.txt"
INFO_NAME = "bag-info.txt"
KEY_NAME = "signing-key.pub.pem"
MANIFEST_NAME = "manifest-sha256.txt"
TAGMANIFEST_NAME = "tagmanifest-sha256.txt"
STATEMENT_NAME = "statement.dsse.json"
SIGNED_TAGS = (INFO_NAME, DECLARATION_NAME, MANIFEST_NAME, KEY_NAME)
TAGS = (*SIGNED_TAGS, STATEMENT_NAME)
"""Tag files that ``tagmanifest-sha256.txt`` lists."""

_ESCAPED = set("%\r\n")


class NameNotPortable(InputError):
    """A file's name cannot be packed so that all tools find it again."""

    code = "delivery.name_not_portable"
    template = "{name!r} cannot be packed: {reason}. Rename the file at its source."

    name: str
    reason: str


@dataclass(frozen=True)
class PayloadFile:
    """One file to pack."""

    name: str
    """Where it goes, below ``data/``, with ``/``."""
    content: Path | bytes
    """A file to copy, or the bytes themselves."""


def write_payload(bag: Path, files: Sequence[PayloadFile]) -> dict[str, FileDigest]:
    """Write payload files on two threads (sha256 and writes leave the interpreter lock).

    Returns:
        Digest of each by its name in the bag (``data/...``), sorted by name.

    Raises:
        NameNotPortable: Two files would take one name, or a name would need an escape in a manifest.
    """
    names = [f"data/{file.name}" for file in files]
    for name, count in Counter(names).items():
        if count > 1:
            raise NameNotPortable(name, f"{count} files would take this name")
        if set(name) & _ESCAPED:
            raise NameNotPortable(name, "it holds a percent sign or a line break, which tools for BagIt read differently")
    with ThreadPoolExecutor(max_workers=2) as pool:
        digests = list(pool.map(lambda file: _write_file(bag / "data" / file.name, file.content), files))
    return dict(sorted(zip(names, digests, strict=True)))


def _write_file(target: Path, content: Path | bytes) -> FileDigest:
    return write_file(target, content) if isinstance(content, bytes) else copy_file(content, target)


def write_signed_tags(bag: Path, payload: Mapping[str, FileDigest], info: Mapping[str, str], public_pem: bytes) -> dict[str, FileDigest]:
    """Write the tag files that the statement covers.

    Args:
        bag: Folder of the bag.
        payload: What :func:`write_payload` gave.
        info: Labels of ``bag-info.txt``, in order; Payload-Oxum is added.
        public_pem: Public key of the signature.

    Returns:
        Digest of each tag file by name.
    """
    oxum = f"{sum(digest.size_bytes for digest in payload.values())}.{len(payload)}"
    lines = [f"{label}: {value}\n" for label, value in {**info, "Payload-Oxum": oxum}.items()]
    tags = {
        INFO_NAME: "".join(lines).encode(),
        DECLARATION_NAME: BAG_DECLARATION,
        MANIFEST_NAME: build_manifest(payload),
        KEY_NAME: public_pem,
    }
    return {name: write_file(bag / name, data) for name, data in tags.items()}


def write_statement(bag: Path, envelope: bytes, tags: Mapping[str, FileDigest]) -> FileDigest:
    """Write the signed statement and, last, the tag manifest; returns the digest of the statement."""
    statement = write_file(bag / STATEMENT_NAME, envelope)
    write_file(bag / TAGMANIFEST_NAME, build_manifest({**tags, STATEMENT_NAME: statement}))
    return statement


def build_manifest(digests: Mapping[str, FileDigest]) -> bytes:
    """The lines of a BagIt manifest, sorted by name."""
    return "".join(f"{digest.sha256}  {name}\n" for name, digest in sorted(digests.items())).encode()
