"""Archives and folders made to harm whoever verifies or unpacks them are refused, in bounded memory and time."""

import bz2
import gzip
import io
import json
import lzma
import os
import random
import shutil
import tarfile
import tempfile
import tracemalloc
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from blueprint_pipeline.delivery import bundle_archive, bundle_source
from blueprint_pipeline.delivery.bag import STATEMENT_NAME
from blueprint_pipeline.delivery.bundle_source import TAG_NAMES, NotABundle
from blueprint_pipeline.delivery.signing import load_signer, make_signing_key, parse_envelope, sign_payload
from blueprint_pipeline.delivery.verify import SignatureInvalid, validate_bundle, verify_bundle
from blueprint_pipeline.workspace.checksums import digest_files, list_files
from tests.delivery.conftest import write_bag

_MIB = 1 << 20
_HUGE_BYTES = 1 << 40
"""Of a file with a hole: to hash it would take an hour."""


@dataclass(frozen=True)
class Packed:
    """A signed bundle as folder and archive. Read only."""

    folder: Path
    public_key: Path
    archive: bytes


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """A bundle that no test changes."""
    folder = tmp_path_factory.mktemp("packed")
    make_signing_key(folder / "signing.pem")
    bundle = write_bag(folder / "bundle", folder / "signing.pem")
    return Packed(bundle, folder / "signing.pub.pem", pack(bundle, folder / "bundle.tar").read_bytes())


def add(archive, name, data=b"", **fields):
    """One member."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    for field, value in fields.items():
        setattr(member, field, value)
    archive.addfile(member, io.BytesIO(data))


def pack(bundle, path, *, top="bundle", extra=(), **options):
    """An archive of a bundle, and of further members given as (name, data, fields)."""
    with tarfile.open(path, "w", **options) as archive:
        archive.add(bundle, arcname=top)
        for name, data, fields in extra:
            add(archive, name, data, **fields)
    return path


def kinds(path, public_key):
    """Which findings there are, by kind and name."""
    return [(finding.kind, finding.name) for finding in verify_bundle(path, public_key).findings]


@pytest.mark.parametrize(
    ("name", "fields", "expected"),
    [
        ("../x", {}, ("outside", "../x")),
        ("bundle/../../x", {}, ("outside", "bundle/../../x")),
        ("bundle/data/../index.html", {}, ("outside", "bundle/data/../index.html")),
        ("/etc/x", {}, ("outside", "/etc/x")),
        ("//x", {}, ("outside", "//x")),
        ("bundle//data/index.html", {}, ("outside", "bundle//data/index.html")),
        ("other/data/index.html", {}, ("outside", "other/data/index.html")),
        ("data/index.html", {}, ("outside", "data/index.html")),
        ("x", {}, ("outside", "x")),
        ("bundle", {}, ("outside", "bundle")),
        ("elsewhere", {"type": tarfile.DIRTYPE}, ("outside", "elsewhere")),
        ("bundle/data/x", {}, ("extra", "data/x")),
        ("bundle/data", {}, ("extra", "data")),
        ("bundle/data\\x", {}, ("extra", "data\\x")),
        ("bundle/empty", {"type": tarfile.DIRTYPE}, ("extra", "empty")),
        ("bundle/data/empty/deep", {"type": tarfile.DIRTYPE}, ("extra", "data/empty/deep")),
        ("bundle/link", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, ("not_a_file", "link")),
        ("bundle/link", {"type": tarfile.LNKTYPE, "linkname": "bundle/bagit.txt"}, ("not_a_file", "link")),
        ("bundle/bagit.txt", {"type": tarfile.SYMTYPE, "linkname": "x"}, ("not_a_file", "bagit.txt")),
        ("bundle/pipe", {"type": tarfile.FIFOTYPE}, ("not_a_file", "pipe")),
        ("bundle/device", {"type": tarfile.CHRTYPE}, ("not_a_file", "device")),
        ("bundle/bagit.txt", {}, ("doubled", "bagit.txt")),
        ("bundle/\x1b[2J", {}, ("extra", "\\x1b[2J")),
        ("bundle/\udcff", {}, ("extra", "\\xff")),
    ],
)
def test_one_member_that_does_not_belong_is_named(packed, tmp_path, name, fields, expected):
    """Whatever leaves the folder, lies beside it, is no plain file, or comes twice."""
    for top in ("bundle", "./bundle"):
        path = pack(packed.folder, tmp_path / "evil.tar", top=top, extra=[(name, b"", fields)])
        assert kinds(path, packed.public_key) == [expected]


@pytest.mark.parametrize("compression", ["", ":gz", ":bz2"])
@pytest.mark.parametrize("top", ["bundle", ".", "./deliveries", "data"])
def test_honest_archives_pass(bundle, public_key, tmp_path, compression, top):
    """However they are compressed, and whatever their one top folder is called."""
    with tarfile.open(tmp_path / "bundle.tar", f"w{compression}") as archive:
        archive.add(bundle, arcname=top)
    assert validate_bundle(tmp_path / "bundle.tar", public_key).is_whole


def test_special_bits_are_refused(bundle, public_key, tmp_path):
    """A signed script that would run as root is not the script that was signed."""
    (bundle / "data/replay/replay.py").chmod(0o4755)
    assert kinds(bundle, public_key) == [("special_bits", "data/replay/replay.py")]
    assert kinds(pack(bundle, tmp_path / "bits.tar"), public_key) == [("special_bits", "data/replay/replay.py")]


def test_an_empty_folder_is_found(bundle, public_key):
    """A bundle has no folder in which nothing lies that was signed."""
    (bundle / "data" / "deep" / "er").mkdir(parents=True)
    assert kinds(bundle, public_key) == [("extra", "data/deep"), ("extra", "data/deep/er")]


def test_a_linked_folder_is_not_followed(bundle, public_key, tmp_path):
    """Nor is a link in the place of a tag file."""
    outside = (bundle / "data").rename(tmp_path / "outside")
    (bundle / "data").symlink_to(outside)
    assert ("not_a_file", "data") in kinds(bundle, public_key)
    (bundle / STATEMENT_NAME).rename(tmp_path / STATEMENT_NAME)
    (bundle / STATEMENT_NAME).symlink_to(tmp_path / STATEMENT_NAME)
    with pytest.raises(NotABundle, match=r"holds no statement\.dsse\.json"):
        verify_bundle(bundle, public_key)


@pytest.mark.parametrize(("name", "kind"), [("data/extra.bin", "extra"), ("data/index.html", "changed")])
def test_no_byte_is_hashed_of_what_its_name_or_size_refuses(bundle, public_key, name, kind):
    """A terabyte that nobody signed is refused at once."""
    with (bundle / name).open("ab") as stream:
        stream.truncate(_HUGE_BYTES)
    assert kinds(bundle, public_key) == [(kind, name)]


def test_a_flood_of_strangers_ends(bundle, public_key, tmp_path):
    """The list of findings is bounded."""
    path = pack(bundle, tmp_path / "flood.tar", extra=[(f"bundle/{number}", b"", {}) for number in range(3000)])
    assert len(verify_bundle(path, public_key).findings) == 1000


def test_what_was_not_looked_at_is_not_called_missing(bundle, public_key, tmp_path):
    """The flood comes first, and looking ends before the files that were signed."""
    with tarfile.open(tmp_path / "flood.tar", "w") as archive:
        for number in range(1000):
            add(archive, f"bundle/{number}")
        archive.add(bundle, arcname="bundle")
    assert {kind for kind, _ in kinds(tmp_path / "flood.tar", public_key)} == {"extra"}


def test_another_bundle_beside_it_is_refused(bundle, public_key, tmp_path):
    """It must be clear which one was signed."""
    path = pack(bundle, tmp_path / "two.tar", extra=[("other/bagit.txt", b"x", {})])
    with pytest.raises(NotABundle, match="tag files of several bundles, in 'bundle' and 'other'"):
        verify_bundle(path, public_key)


def test_what_follows_the_end_of_the_archive_is_found(bundle, public_key, tmp_path):
    """`tar --ignore-zeros` would unpack the second archive over the first."""
    path = pack(bundle, tmp_path / "one.tar")
    (tmp_path / "more").mkdir()
    path.write_bytes(path.read_bytes() + pack(tmp_path / "more", tmp_path / "two.tar").read_bytes())
    assert [kind for kind, _ in kinds(path, public_key)] == ["outside"]


def test_a_second_signature_is_refused(bundle, public_key, tmp_path):
    """A stranger who signs too could later say that the bundle is theirs."""
    make_signing_key(tmp_path / "other.pem")
    envelope = json.loads((bundle / STATEMENT_NAME).read_bytes())
    payload = parse_envelope((bundle / STATEMENT_NAME).read_bytes()).payload
    envelope["signatures"] += json.loads(sign_payload(payload, load_signer(tmp_path / "other.pem")))["signatures"]
    (bundle / STATEMENT_NAME).write_bytes(json.dumps(envelope, sort_keys=True, separators=(",", ":")).encode() + b"\n")
    with pytest.raises(SignatureInvalid, match="2 signatures"):
        validate_bundle(bundle, public_key)


def headers(count):
    """So many members of no bytes."""
    member = tarfile.TarInfo("bundle/x").tobuf(tarfile.USTAR_FORMAT)
    return b"".join([member] * count)


def sized_member(size_bytes):
    """The header of a file of so many bytes that nobody signed."""
    member = tarfile.TarInfo("bundle/x")
    member.size = size_bytes
    return member.tobuf(tarfile.USTAR_FORMAT)


def sparse_member():
    """A member in GNU's old sparse format that says to be large."""
    member = tarfile.TarInfo("bundle/x")
    member.type = tarfile.GNUTYPE_SPARSE
    return member.tobuf(tarfile.GNU_FORMAT)


def pax_member(**records):
    """An extended header, and the member that it speaks of."""
    member = tarfile.TarInfo("bundle/x")
    member.pax_headers = records
    return member.create_pax_header(member.get_info(), "utf-8")


BOMBS = {
    "headers.tar.gz": (lambda: gzip.compress(headers(100_000)), "expands to more than 100 times"),
    "zeros.tar.gz": (lambda: gzip.compress(tarfile.TarInfo("x").tobuf() + bytes(300 * _MIB)), None),
    "headers.tar.bz2": (lambda: bz2.compress(headers(100_000)), "expands to more than 100 times"),
    "skipped.tar.gz": (lambda: gzip.compress(sized_member(300 * _MIB) + bytes(300 * _MIB)), "expands to more than 100 times"),
    "headers.tar.xz": (lambda: lzma.compress(headers(10)), "xz or zstd"),
    "many.tar": (lambda: headers(10_000), "holds no statement"),
    "nested.tar": (lambda: pax_member(comment="y" * 500)[:1536] * 3000, None),
    "sparse.tar": (sparse_member, "a sparse file"),
    "pax_sparse.tar": (lambda: pax_member(**{"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}), "a sparse file"),
    "global.tar": (lambda: tarfile.TarInfo.create_pax_global_header({"comment": "x"}), "a global header"),
    "digits.tar": (lambda: pax_member(comment="x").replace(b"13 comment=x", b"9" * 12), None),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_little_memory(tmp_path, name):
    """A few hundred kilobytes never take more than a fixed amount."""
    make, said = BOMBS[name]
    (tmp_path / name).write_bytes(make())
    tracemalloc.start()
    try:
        with pytest.raises(NotABundle, match=said):
            verify_bundle(tmp_path / name)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * _MIB


@pytest.mark.parametrize("is_packed", [False, True], ids=["folder", "archive"])
def test_tag_files_may_be_as_large_as_the_bound_together(bundle, public_key, tmp_path, monkeypatch, is_packed):
    """One byte more in all of them is refused, however small each is."""
    path = pack(bundle, tmp_path / "bundle.tar") if is_packed else bundle
    size_bytes = sum((bundle / name).stat().st_size for name in TAG_NAMES if (bundle / name).exists())
    for bound_bytes in (size_bytes, size_bytes - 1):
        for module in (bundle_archive, bundle_source):
            monkeypatch.setattr(module, "MAX_TAG_BYTES", bound_bytes)
        if bound_bytes == size_bytes:
            assert verify_bundle(path, public_key).is_whole
        else:
            with pytest.raises(NotABundle, match=f"is larger than {bound_bytes} bytes"):
                verify_bundle(path, public_key)


@pytest.mark.parametrize(("length", "fits"), [(2**16 - 1, True), (2**16, False)])
def test_a_long_name_may_take_as_much_as_the_bound(bundle, public_key, tmp_path, length, fits):
    """64 KiB with the zero at its end."""
    name = f"bundle/{'x' * (length - len('bundle/'))}"
    path = pack(bundle, tmp_path / "long.tar", extra=[(name, b"", {})], format=tarfile.GNU_FORMAT)
    if fits:
        assert kinds(path, public_key) == [("extra", name.removeprefix("bundle/"))]
    else:
        with pytest.raises(NotABundle, match="a header of 65537 bytes"):
            verify_bundle(path, public_key)


def test_a_large_packed_bundle_is_read_to_its_end(bundle, public_key, tmp_path):
    """However much it unpacks to, as long as its packed bytes account for that: videos and tables hardly shrink."""
    large = random.Random(0).randbytes(20 * _MIB)
    with tarfile.open(tmp_path / "large.tar.gz", "w:gz", compresslevel=1) as archive:
        archive.add(bundle, arcname="bundle")
        add(archive, "bundle/data/large", large)
    assert kinds(tmp_path / "large.tar.gz", public_key) == [("extra", "data/large")]


@pytest.mark.parametrize(("zeros", "fits"), [(15 * _MIB, True), (64 * _MIB, False)])
def test_zeros_at_the_end_of_a_packed_bundle_have_a_limit(bundle, public_key, tmp_path, zeros, fits):
    """Tools pad archives; what is padded far beyond its size is a bomb."""
    path = tmp_path / "padded.tar.gz"
    path.write_bytes(gzip.compress(pack(bundle, tmp_path / "bundle.tar").read_bytes() + bytes(zeros)))
    if fits:
        assert verify_bundle(path, public_key).is_whole
    else:
        with pytest.raises(NotABundle, match="expands to more than 100 times"):
            verify_bundle(path, public_key)


change = st.tuples(st.sampled_from(["flip", "cut", "insert", "copy"]), st.floats(0, 1), st.binary(min_size=1, max_size=600))


def mutate(data, changes):
    """The archive after some changes, each at a share of its length."""
    for kind, share, content in changes:
        at = min(int(share * len(data)), len(data) - 1)
        if kind == "flip":
            data = data[:at] + bytes([data[at] ^ (content[0] or 1)]) + data[at + 1 :]
        elif kind == "cut":
            data = data[:at] + data[at + len(content) :]
        elif kind == "insert":
            data = data[:at] + content + data[at:]
        else:
            block = at // tarfile.BLOCKSIZE * tarfile.BLOCKSIZE
            data = data[:block] + data[block : block + 3 * tarfile.BLOCKSIZE] + data[block:]
    return data


@given(changes=st.lists(change, min_size=1, max_size=4), compressed=st.booleans())
@settings(max_examples=150, deadline=None)
def test_a_mutated_archive_is_refused_or_unpacks_to_what_was_signed(packed, changes, compressed):
    """Any bytes end in a report or in our own error; where the report says whole, an ordinary tool unpacks the signed bytes and no more."""
    mutated = mutate(packed.archive, changes)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mutated.tar"
        path.write_bytes(gzip.compress(mutated) if compressed else mutated)
        try:
            report = verify_bundle(path, packed.public_key)
        except NotABundle:
            return
        if report.is_whole:
            with tarfile.open(path) as archive:
                archive.extractall(Path(folder) / "out", filter="data")
            out = Path(folder) / "out" / "bundle"
            assert [path.name for path in out.parent.iterdir()] == ["bundle"]
            assert digest_files(out, list_files(out)) == digest_files(packed.folder, list_files(packed.folder))


@given(data=st.binary(max_size=3000), magic=st.sampled_from([b"", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\0"]))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_refused(data, magic):
    """What is no archive says so."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.tar"
        path.write_bytes(magic + data)
        with pytest.raises(NotABundle):
            verify_bundle(path)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=8
)
signatures = st.lists(st.fixed_dictionaries({"keyid": anything, "sig": anything}), max_size=3) | anything
envelopes = st.fixed_dictionaries({"payload": anything, "payloadType": anything, "signatures": signatures}) | anything


@given(envelope=envelopes)
@example(envelope={"payload": "", "payloadType": float("inf"), "signatures": []})
@settings(max_examples=200, deadline=None)
def test_any_statement_ends_in_a_report(packed, envelope):
    """Whatever JSON stands in the place of the envelope: the signature does not hold, and the reason is told."""
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(shutil.copytree(packed.folder, Path(folder) / "bundle"))
        (bundle / STATEMENT_NAME).write_bytes(canonical(envelope))
        report = verify_bundle(bundle, packed.public_key)
        assert report.signature != "valid"
        assert report.signature_message


def canonical(value):
    """Bytes that :func:`parse_envelope` takes to be in canonical form, if they can be."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace") + b"\n"


@pytest.mark.parametrize("data", [b"[" * 100_000, b'{"payload":' * 50_000, b"9" * 6000])
def test_a_deep_or_long_statement_ends_in_a_report(bundle, public_key, data):
    """Parsers have limits of their own, which are no crash."""
    (bundle / STATEMENT_NAME).write_bytes(data)
    assert verify_bundle(bundle, public_key).signature == "invalid"


def test_a_pipe_in_the_place_of_a_file_is_not_opened(bundle, public_key):
    """To read it would wait for ever."""
    target = bundle / "data" / "index.html"
    target.unlink()
    os.mkfifo(target)
    assert kinds(bundle, public_key) == [("not_a_file", "data/index.html")]
