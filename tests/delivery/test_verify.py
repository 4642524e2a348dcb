"""A bundle is whole, or the first bad file is named."""

import gzip
import hashlib
import json
import shutil
import tarfile
import tracemalloc

import bagit
import pytest

from blueprint_pipeline.delivery.bag import (
    KEY_NAME,
    STATEMENT_NAME,
    TAGMANIFEST_NAME,
    NameNotPortable,
    PayloadFile,
    build_manifest,
    write_payload,
)
from blueprint_pipeline.delivery.signing import (
    InvalidKey,
    load_signer,
    make_signing_key,
    parse_envelope,
    public_key_path,
    public_pem,
    sign_payload,
)
from blueprint_pipeline.delivery.verify import BundleAltered, NotABundle, SignatureInvalid, WrongKey, validate_bundle, verify_bundle
from blueprint_pipeline.workspace.checksums import digest_bytes, list_files
from tests.delivery.conftest import PAYLOAD, write_bag

ALL_FILES = sorted(
    [f"data/{file.name}" for file in PAYLOAD]
    + ["bag-info.txt", "bagit.txt", "manifest-sha256.txt", "signing-key.pub.pem", "statement.dsse.json", "tagmanifest-sha256.txt"]
)
STATEMENT_FILES = {STATEMENT_NAME, KEY_NAME}


def flip(path, offset):
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(bytes(data))


def test_a_whole_bundle_verifies(bundle, public_key):
    """Signature and all bytes hold; with the sender's key the sender is proven."""
    report = validate_bundle(bundle, public_key)
    assert report.is_whole
    assert report.trust == "given_key"
    assert report.first_bad_file is None
    assert report.files == len(ALL_FILES)
    assert report.size_bytes == sum((bundle / name).stat().st_size for name in ALL_FILES)


def test_the_enclosed_key_proves_no_sender(bundle):
    """Without a key of one's own the report says that the sender is not proven."""
    report = verify_bundle(bundle)
    assert report.is_whole
    assert report.trust == "enclosed_key"


def test_any_bagit_tool_accepts_it(bundle):
    """The bundle is a valid BagIt bag for the Library of Congress' tool."""
    assert bagit.Bag(str(bundle)).validate()
    assert list_files(bundle) == ALL_FILES


def test_the_same_content_gives_the_same_bytes(bundle, tmp_path, signing_key):
    """No date and no order of work stands in a bundle."""
    again = write_bag(tmp_path / "again", signing_key)
    assert {name: (again / name).read_bytes() for name in ALL_FILES} == {name: (bundle / name).read_bytes() for name in ALL_FILES}


@pytest.mark.parametrize("name", ALL_FILES)
@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_one_changed_byte_is_found_in_every_file(bundle, public_key, name, where):
    """One flipped bit anywhere is refused, and the file is named."""
    size = (bundle / name).stat().st_size
    flip(bundle / name, {"first": 0, "middle": size // 2, "last": size - 1}[where])
    report = verify_bundle(bundle, public_key)
    assert not report.is_whole
    assert report.first_bad_file == name
    with pytest.raises((BundleAltered, SignatureInvalid, WrongKey)) as caught:
        validate_bundle(bundle, public_key)
    assert name in str(caught.value)


@pytest.mark.parametrize("where", [0, 40, -1])
@pytest.mark.parametrize("name", [KEY_NAME, STATEMENT_NAME, "index.html"])
def test_one_changed_byte_is_found_with_the_enclosed_key_too(bundle, name, where):
    """Also who has no key of their own sees which file was changed."""
    name = f"data/{name}" if name == "index.html" else name
    flip(bundle / name, 3 if where == 40 and name.startswith("data") else where)
    report = verify_bundle(bundle)
    assert not report.is_whole
    assert report.first_bad_file == name


def test_every_single_byte_of_the_statement_counts(bundle, public_key):
    """No byte of the envelope can change unseen, whether in payload, signature, key id or JSON syntax."""
    data = (bundle / STATEMENT_NAME).read_bytes()
    for offset in range(0, len(data), 7):
        (bundle / STATEMENT_NAME).write_bytes(data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :])
        assert verify_bundle(bundle, public_key).signature != "valid", offset


@pytest.mark.parametrize("name", ALL_FILES)
def test_a_missing_file_is_found(bundle, public_key, name):
    """Every file is needed."""
    (bundle / name).unlink()
    if name == STATEMENT_NAME:
        with pytest.raises(NotABundle):
            verify_bundle(bundle, public_key)
        return
    assert [(finding.kind, finding.name) for finding in verify_bundle(bundle, public_key).findings] == [("missing", name)]


@pytest.mark.parametrize("name", [name for name in ALL_FILES if name not in STATEMENT_FILES])
def test_a_truncated_file_is_called_truncated(bundle, public_key, name):
    """The finding tells how many bytes are left of how many."""
    data = (bundle / name).read_bytes()
    (bundle / name).write_bytes(data[:-5])
    found = verify_bundle(bundle, public_key).findings
    assert [(finding.kind, finding.name) for finding in found] == [("truncated", name)]
    assert f"{len(data)} bytes" in found[0].message


@pytest.mark.parametrize("change", [lambda data: b"~" + data[1:], lambda data: data[:-5], lambda data: data + b"more"])
def test_an_altered_file_is_named_once_with_both_hashes_and_sizes(bundle, public_key, change):
    """Whatever became of it: who looks for the right file needs what it should be and what it is."""
    before = (bundle / "data/index.html").read_bytes()
    after = change(before)
    (bundle / "data/index.html").write_bytes(after)
    with pytest.raises(BundleAltered) as caught:
        validate_bundle(bundle, public_key)
    told = str(caught.value)
    assert told.count("data/index.html") == 1
    for data in (before, after):
        assert f"sha256 {hashlib.sha256(data).hexdigest()}, {len(data)} bytes" in told


def test_a_file_that_is_larger_than_all_that_was_signed_is_not_read(bundle, public_key):
    """Its writer chose its size: hashing it could take for ever."""
    (bundle / "data/index.html").write_bytes(b"x" * 1_000_000)
    (finding,) = verify_bundle(bundle, public_key).findings
    assert finding.found is None
    assert "was changed: 1000000 bytes, too many to be read; signed was sha256" in finding.message


def test_an_added_file_is_found(bundle, public_key):
    """What was not signed does not belong into a bundle, hidden files and links included."""
    (bundle / "data" / ".hidden").write_text("x")
    (bundle / "data" / "link.json").symlink_to(bundle / "data" / "index.html")
    found = verify_bundle(bundle, public_key).findings
    assert [(finding.kind, finding.name) for finding in found] == [("extra", "data/.hidden"), ("not_a_file", "data/link.json")]
    with pytest.raises(BundleAltered, match=r"data/\.hidden"):
        validate_bundle(bundle, public_key)


def test_swapped_files_are_told_as_such(bundle, public_key):
    """Two files with each other's bytes are both named, and whose bytes they hold."""
    one, two = bundle / "data/index.html", bundle / "data/replay/replay.py"
    a, b = one.read_bytes(), two.read_bytes()
    one.write_bytes(b)
    two.write_bytes(a)
    found = verify_bundle(bundle, public_key).findings
    assert [(finding.kind, finding.name) for finding in found] == [("swapped", "data/index.html"), ("swapped", "data/replay/replay.py")]
    assert "holds the bytes of data/replay/replay.py" in found[0].message


def test_an_enclosed_key_that_was_exchanged_is_named_first(bundle, tmp_path):
    """Without the sender's key: what was signed says that this is not the key, so that is the finding, and no other."""
    make_signing_key(tmp_path / "attacker.pem")
    (bundle / KEY_NAME).write_bytes(public_pem(load_signer(tmp_path / "attacker.pem").public_key))
    with pytest.raises(BundleAltered) as caught:
        validate_bundle(bundle)
    assert caught.value.first == KEY_NAME
    assert [finding.partition(" ")[0] for finding in caught.value.findings] == [KEY_NAME]


def test_the_first_bad_file_is_named_and_the_others_are_counted(bundle, public_key):
    """In the order of their names."""
    for name in ("data/replay/replay.py", "data/index.html"):
        flip(bundle / name, 4)
    with pytest.raises(BundleAltered, match=r"is not what was signed: data/index\.html was changed.* \(1 more\)\."):
        validate_bundle(bundle, public_key)
    (bundle / "data/replay/replay.py").unlink()
    flip(bundle / "data/index.html", 4)
    with pytest.raises(BundleAltered) as caught:
        validate_bundle(bundle, public_key)
    assert (caught.value.first, "more" in str(caught.value)) == ("data/replay/replay.py", False)


def test_without_any_key_there_is_nothing_to_verify_with(bundle):
    """Neither enclosed nor given: that is said, and it is no finding of the bundle's files."""
    (bundle / KEY_NAME).unlink()
    with pytest.raises(NotABundle, match=f"holds no {KEY_NAME}, and no key was given"):
        verify_bundle(bundle)


def forge(bundle, key):
    """Change a file and sign everything again with ``key``, as an attacker would."""
    signer = load_signer(key)
    statement = json.loads(parse_envelope((bundle / STATEMENT_NAME).read_bytes()).payload)
    target = bundle / "data/index.html"
    target.write_bytes(b"<p>forged</p>\n")
    (bundle / KEY_NAME).write_bytes(public_pem(signer.public_key))
    lines = {f"data/{file.name}": digest_bytes((bundle / "data" / file.name).read_bytes()) for file in PAYLOAD}
    (bundle / "manifest-sha256.txt").write_bytes(build_manifest(lines))
    for subject in statement["subject"]:
        found = digest_bytes((bundle / subject["name"]).read_bytes())
        subject["digest"]["sha256"], subject["annotations"]["size_bytes"] = found.sha256, found.size_bytes
    payload = json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()
    envelope = sign_payload(payload, signer)
    (bundle / STATEMENT_NAME).write_bytes(envelope)
    tags = ["bag-info.txt", "bagit.txt", "manifest-sha256.txt", KEY_NAME, STATEMENT_NAME]
    (bundle / TAGMANIFEST_NAME).write_bytes(build_manifest({name: digest_bytes((bundle / name).read_bytes()) for name in tags}))


def test_a_bundle_signed_anew_with_another_key_is_refused(bundle, public_key, tmp_path):
    """A perfect forgery passes against the key that it encloses, and fails against the sender's: hence --key."""
    make_signing_key(tmp_path / "attacker.pem")
    forge(bundle, tmp_path / "attacker.pem")
    assert verify_bundle(bundle).is_whole
    assert verify_bundle(bundle, public_key).signature == "wrong_key"
    with pytest.raises(WrongKey) as caught:
        validate_bundle(bundle, public_key)
    assert caught.value.exit_code == 66


def test_a_forger_who_borrows_the_key_id_is_refused(bundle, public_key, tmp_path):
    """The key id in the envelope is a hint, no proof."""
    make_signing_key(tmp_path / "attacker.pem")
    forge(bundle, tmp_path / "attacker.pem")
    envelope = json.loads((bundle / STATEMENT_NAME).read_bytes())
    envelope["signatures"][0]["keyid"] = verify_bundle(bundle, public_key).trusted_keyid
    (bundle / STATEMENT_NAME).write_bytes(json.dumps(envelope, sort_keys=True, separators=(",", ":")).encode() + b"\n")
    assert verify_bundle(bundle, public_key).signature == "invalid"
    with pytest.raises(SignatureInvalid):
        validate_bundle(bundle, public_key)


def test_a_tar_verifies_like_the_folder(bundle, public_key, tmp_path):
    """A lab may keep the bundle as one file."""
    with tarfile.open(tmp_path / "bundle.tar", "w") as archive:
        archive.add(bundle, arcname="bundle")
    report = validate_bundle(tmp_path / "bundle.tar", public_key)
    assert report.is_whole
    assert report.files == len(ALL_FILES)
    flip(bundle / "data/index.html", 4)
    with tarfile.open(tmp_path / "bad.tar", "w") as archive:
        archive.add(bundle, arcname=".")
    assert verify_bundle(tmp_path / "bad.tar", public_key).first_bad_file == "data/index.html"


def test_a_truncated_tar_is_refused(bundle, public_key, tmp_path):
    """Half an archive is no bundle."""
    path = tmp_path / "bundle.tar"
    with tarfile.open(path, "w") as archive:
        archive.add(bundle, arcname="bundle")
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises((NotABundle, BundleAltered, SignatureInvalid)):
        validate_bundle(path, public_key)


def pack(path, *members):
    """A compressed archive of (header, size) pairs, all zeros."""
    zeros = (1 << 20) * b"\0"
    with gzip.open(path, "wb", compresslevel=9) as stream:
        for name, kind, size in members:
            member = tarfile.TarInfo(name)
            member.type, member.size = kind, size
            stream.write(member.tobuf(tarfile.USTAR_FORMAT))
            for _ in range(size // len(zeros)):
                stream.write(zeros)
        stream.write(1024 * b"\0")
    return path


@pytest.mark.parametrize(
    ("member", "said"),
    [
        (("bag/statement.dsse.json", tarfile.REGTYPE, 65 << 20), "statement.dsse.json is larger than"),
        (("bag/x", tarfile.XHDTYPE, 40 << 20), "a header of 41943040 bytes"),
        (("bag/x", tarfile.GNUTYPE_LONGNAME, 40 << 20), "a header of 41943040 bytes"),
    ],
)
def test_an_archive_that_unpacks_to_much_is_refused_in_little_memory(tmp_path, member, said):
    """A file of a few hundred kilobytes takes no more than its bounds."""
    bomb = pack(tmp_path / "bomb.tar.gz", member)
    assert bomb.stat().st_size < 1 << 20
    tracemalloc.start()
    try:
        with pytest.raises(NotABundle, match=said):
            verify_bundle(bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 150 << 20


def test_what_is_no_bundle_is_refused(tmp_path, bundle, public_key):
    """An empty path, a folder without a statement, a file that is no archive, a key that is none: each says so."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.tar").write_bytes(b"not a tar")
    for path in (tmp_path / "nowhere", tmp_path / "empty", tmp_path / "file.tar"):
        with pytest.raises(NotABundle):
            verify_bundle(path, public_key)
    with pytest.raises(InvalidKey):
        verify_bundle(bundle, bundle / "bagit.txt")
    shutil.copy(public_key, tmp_path / "copy.pem")
    assert verify_bundle(bundle, tmp_path / "copy.pem").is_whole


@pytest.mark.parametrize("names", [["a%.txt"], ["a\nb"], ["a", "a"]])
def test_names_that_tools_read_differently_are_refused(tmp_path, names):
    """No escapes in manifests, and no two files of one name."""
    with pytest.raises(NameNotPortable):
        write_payload(tmp_path, [PayloadFile(name, b"x") for name in names])


def test_a_key_is_private_and_never_overwritten(tmp_path):
    """Mode 0600; a second call refuses."""
    path = tmp_path / "deep" / "signing.pem"
    keyid = make_signing_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_signer(path).public_key.keyid == keyid
    assert public_key_path(path).read_bytes().startswith(b"-----BEGIN PUBLIC KEY-----")
    with pytest.raises(Exception, match="never overwritten"):
        make_signing_key(path)
