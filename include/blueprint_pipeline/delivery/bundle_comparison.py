"""Compares what lies in a bundle with what was signed, entry by entry."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Literal

from pydantic import BaseModel, ConfigDict

from blueprint_pipeline.delivery.bundle_source import BundleSource, Entry
from blueprint_pipeline.workspace.checksums import FileDigest

_MOST_STRANGERS = 1000
"""So many entries that nobody signed are listed; then looking ends, for their number is whatever their writer chose."""


class BundleFinding(BaseModel):
    """One file that is not as it was signed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["changed", "truncated", "swapped", "missing", "extra", "doubled", "not_a_file", "special_bits", "outside"]
    name: str
    message: str
    expected: FileDigest | None = None
    found: FileDigest | None = None
    """``None`` where nothing was hashed: there is no file, nobody signed it, or it is larger than all that was signed."""


class BundleComparison:
    """Compares what lies in a bundle with what was signed.

    Args:
        expected: Digest of every file by name.
    """

    def __init__(self, expected: Mapping[str, FileDigest]) -> None:
        self._expected = expected
        self._folders = {str(folder) for name in expected for folder in PurePosixPath(name).parents}
        self._largest_bytes = max((digest.size_bytes for digest in expected.values()), default=0)
        self._names_by_sha256 = {digest.sha256: name for name, digest in expected.items()}
        self._seen: set[str] = set()
        self._findings: list[BundleFinding] = []
        self._broken_off = False
        self.files = 0
        self.size_bytes = 0

    def read(self, source: BundleSource) -> None:
        """Look at every entry, until there are too many that nobody signed."""
        strangers = 0
        for entry, found in source.entries(self._is_hashed):
            if entry.kind == "file":
                self.files += 1
                self.size_bytes += entry.size_bytes
            finding = self._judge(entry, found)
            self._seen |= {entry.name} & self._expected.keys()
            if finding is None:
                continue
            self._findings.append(finding)
            strangers += entry.name not in self._expected
            if strangers == _MOST_STRANGERS:
                self._broken_off = True
                return

    def findings(self) -> list[BundleFinding]:
        """Everything that is not as signed, sorted by name."""
        missing = [] if self._broken_off else sorted(self._expected.keys() - self._seen)
        lost = [BundleFinding(kind="missing", name=name, message=f"{name} is missing", expected=self._expected[name]) for name in missing]
        return sorted([*self._findings, *lost], key=lambda finding: finding.name)

    def _is_hashed(self, entry: Entry) -> bool:
        """Whether its bytes must be known: those of a file that was signed, and never more than the largest signed file has."""
        return entry.kind == "file" and entry.name in self._expected and entry.size_bytes <= self._largest_bytes

    def _judge(self, entry: Entry, found: FileDigest | None) -> BundleFinding | None:
        expected = self._expected.get(entry.name)
        if entry.kind != "file" or expected is None:
            return self._judge_unsigned(entry)
        name = _printable(entry.name)
        if entry.name in self._seen:
            return BundleFinding(kind="doubled", name=name, message=f"{name} is there twice", expected=expected)
        if found != expected:
            return self._differing(entry, expected, found)
        if entry.special_bits:
            message = f"{name} is setuid, setgid or sticky: as a program it would run with the rights of its owner"
            return BundleFinding(kind="special_bits", name=name, message=message, expected=expected)
        return None

    def _judge_unsigned(self, entry: Entry) -> BundleFinding | None:
        name = _printable(entry.name)
        if entry.kind == "outside":
            return BundleFinding(kind="outside", name=name, message=f"{name!r} would not be unpacked below the bundle's folder")
        if entry.kind == "other":
            return BundleFinding(kind="not_a_file", name=name, message=f"{name} is a link or a device, not a plain file")
        if entry.kind == "folder" and entry.name in self._folders:
            return None
        what = "is a folder of nothing that was signed" if entry.kind == "folder" else "was not signed: it was added later"
        return BundleFinding(kind="extra", name=name, message=f"{name} {what}")

    def _differing(self, entry: Entry, expected: FileDigest, found: FileDigest | None) -> BundleFinding:
        kind: Literal["changed", "truncated", "swapped"]
        name, known_as = entry.name, self._names_by_sha256.get(found.sha256) if found else None
        now = f"sha256 {found.sha256}, {entry.size_bytes} bytes" if found else f"{entry.size_bytes} bytes, too many to be read"
        tail = f"{now}; signed was sha256 {expected.sha256}, {expected.size_bytes} bytes"
        if known_as is not None:
            kind, message = "swapped", f"{name} holds the bytes of {known_as}: {tail}"
        elif entry.size_bytes < expected.size_bytes:
            kind, message = "truncated", f"{name} is cut short: {tail}"
        else:
            kind, message = "changed", f"{name} was changed: {tail}"
        return BundleFinding(kind=kind, name=name, message=message, expected=expected, found=found)


def _printable(name: str) -> str:
    """A name as it can be shown: bytes that are no UTF-8, and characters that would steer a terminal, are escaped."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
