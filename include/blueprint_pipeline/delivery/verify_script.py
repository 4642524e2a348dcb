"""Verify a delivered bundle without installing what made it: the signature, then every byte.

Usage: python verify_bundle.py FOLDER PUBLIC_KEY      needs Python 3.10 or later and cryptography, and no network

Take this file and the public key from where the sender publishes them, not from the bundle: whoever altered a bundle can put in
a verifier and a key of their own. Exit code 0: the bundle is as it was signed. 66: it is not, and what differs is named, or why
nothing can be compared. An archive of a bundle: unpack it into an empty folder first.

Source: DSSE v1 (what is signed is the payload with its type and both lengths); in-toto Statement v1; RFC 8493 (BagIt).
"""

import base64
import hashlib
import json
import os
import stat
import sys
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

STATEMENT, TAGMANIFEST = "statement.dsse.json", "tagmanifest-sha256.txt"
SIGNED_TAGS = ("bag-info.txt", "bagit.txt", "manifest-sha256.txt", "signing-key.pub.pem")
ALTERED = 66
MAX_READ_BYTES = 64 << 20
"""What is read into memory: the statement of a few hundred thousand files."""


class NotVerifiable(Exception):
    """Nothing can be compared; the text says why, after the name of the file."""


def verify(bundle: Path, public_key: Path) -> list[str]:
    """What is wrong with a bundle, one line a thing; an empty list: nothing.

    Args:
        bundle: Its folder.
        public_key: The sender's, PEM, from another place than the bundle.
    """
    if not bundle.is_dir():
        return [f"{bundle}: {'is no folder; unpack the archive first' if bundle.is_file() else 'there is nothing at this path'}"]
    try:
        return compare(bundle, read_statement(bundle / STATEMENT, read_key(public_key)))
    except NotVerifiable as reason:
        return [str(reason)]
    except OSError as error:
        return [f"{error.filename}: cannot be read ({error.strerror})"]


def read_key(path: Path) -> Ed25519PublicKey:
    """The sender's key.

    Raises:
        NotVerifiable: The file holds none.
    """
    try:
        key = load_pem_public_key(_read_small(path))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise NotVerifiable(f"{path}: holds no public key in PEM form") from error
    if not isinstance(key, Ed25519PublicKey):
        raise NotVerifiable(f"{path}: expected an Ed25519 key, found {type(key).__name__}")
    return key


def read_statement(path: Path, key: Ed25519PublicKey) -> dict[str, tuple[str, int]]:
    """sha256 and size of the files that a signed statement lists, by name.

    Raises:
        NotVerifiable: It is no signed statement, or not signed with this key.
    """
    try:
        envelope = json.loads(_read_small(path))
        payload, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"].encode()
        (signature,) = (base64.b64decode(item["sig"]) for item in envelope["signatures"])
        key.verify(signature, b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload))
        subjects = json.loads(payload)["subject"]
        expected = {item["name"]: (item["digest"]["sha256"], item["annotations"]["size_bytes"]) for item in subjects}
    except InvalidSignature as error:
        raise NotVerifiable(f"{STATEMENT}: not signed with this key: another sender, or it was changed") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise NotVerifiable(f"{STATEMENT}: is no statement with one signature ({type(error).__name__}: {error})") from error
    if missing := [name for name in SIGNED_TAGS if name not in expected]:
        raise NotVerifiable(f"{STATEMENT}: does not list {', '.join(missing)}")
    return expected


def compare(bundle: Path, expected: dict[str, tuple[str, int]]) -> list[str]:
    """The files of a bundle against sha256 and size of the signed ones."""
    own = (bundle / STATEMENT).read_bytes()
    lines = {name: expected[name][0] for name in SIGNED_TAGS} | {STATEMENT: hashlib.sha256(own).hexdigest()}
    listed = "".join(f"{sha256}  {name}\n" for name, sha256 in sorted(lines.items())).encode()
    expected |= {STATEMENT: (lines[STATEMENT], len(own)), TAGMANIFEST: (hashlib.sha256(listed).hexdigest(), len(listed))}
    wrong, seen = [], set()
    parents = {str(parent) for name in expected for parent in Path(name).parents}
    for folder, folders, files in os.walk(bundle):
        for name in ((Path(folder) / item).relative_to(bundle).as_posix() for item in (*folders, *files)):
            path, mode = bundle / name, (bundle / name).lstat().st_mode
            if stat.S_ISDIR(mode) and name in parents:
                continue
            if name not in expected:
                wrong.append(f"{name}: was not signed")
                continue
            seen.add(name)
            sha256, size = expected[name]
            if not stat.S_ISREG(mode) or mode & (stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX):
                wrong.append(f"{name}: not a plain file")
            elif path.stat().st_size != size or _sha256(path) != sha256:
                wrong.append(f"{name}: changed")
    return sorted([*wrong, *(f"{name}: missing" for name in expected.keys() - seen)])


def _read_small(path: Path) -> bytes:
    """A file that is read whole.

    Raises:
        NotVerifiable: It is missing, no plain file, or larger than a statement can be.
    """
    if not path.is_file():
        raise NotVerifiable(f"{path.name}: is {'not a plain file' if os.path.lexists(path) else 'missing'}, so nothing is proven")
    if (size := path.stat().st_size) > MAX_READ_BYTES:
        raise NotVerifiable(f"{path.name}: is {size} bytes long, more than {MAX_READ_BYTES}")
    return path.read_bytes()


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _printable(line: str) -> str:
    """A line without characters that would steer a terminal, or that no UTF-8 has."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in line)


if __name__ == "__main__":
    match sys.argv[1:]:
        case [bundle_path, key_path]:
            found = verify(Path(bundle_path), Path(key_path))
        case _:
            sys.exit(__doc__)
    sys.stdout.write("\n".join(map(_printable, found or ["the bundle is as it was signed"])) + "\n")
    sys.exit(ALTERED if found else 0)
