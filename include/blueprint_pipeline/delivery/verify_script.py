"""Verify a delivered bundle without installing what made it: the signature, then every byte.

Usage: python verify_bundle.py FOLDER PUBLIC_KEY      needs Python 3.10 or later and cryptography, and no network

Take this file and the public key from where the sender publishes them, not from the bundle: whoever altered a bundle can put in
a verifier and a key of their own. Exit code 0: the bundle is as it was signed. 66: it is not, and what differs is named.

Source: DSSE v1 (what is signed is the payload with its type and both lengths); in-toto Statement v1; RFC 8493 (BagIt).
"""

import base64
import hashlib
import json
import os
import stat
import sys
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

STATEMENT, TAGMANIFEST = "statement.dsse.json", "tagmanifest-sha256.txt"
SIGNED_TAGS = ("bag-info.txt", "bagit.txt", "manifest-sha256.txt", "signing-key.pub.pem")
ALTERED = 66


def verify(bundle: Path, public_key: Path) -> list[str]:
    """What is wrong with a bundle, one line a thing; an empty list: nothing.

    Args:
        bundle: Its folder.
        public_key: The sender's, PEM, from another place than the bundle.
    """
    envelope = json.loads((bundle / STATEMENT).read_bytes())
    payload, kind, signatures = base64.b64decode(envelope["payload"]), envelope["payloadType"].encode(), envelope["signatures"]
    key = load_pem_public_key(public_key.read_bytes())
    if not isinstance(key, Ed25519PublicKey) or len(signatures) != 1:
        return [f"{STATEMENT}: expected one signature of an Ed25519 key, found {len(signatures)}, and a {type(key).__name__}"]
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    try:
        key.verify(base64.b64decode(signatures[0]["sig"]), signed)
    except InvalidSignature:
        return [f"{STATEMENT}: not signed with this key: another sender, or it was changed"]
    expected = {item["name"]: (item["digest"]["sha256"], item["annotations"]["size_bytes"]) for item in json.loads(payload)["subject"]}
    return compare(bundle, expected)


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


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


if __name__ == "__main__":
    if len(sys.argv) != 3:  # noqa: PLR2004 -- the program's name and two arguments
        sys.exit(__doc__)
    found = verify(Path(sys.argv[1]), Path(sys.argv[2]))
    sys.stdout.write("\n".join(found or ["the bundle is as it was signed"]) + "\n")
    sys.exit(ALTERED if found else 0)
