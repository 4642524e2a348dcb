"""Ingest a reconstructed scene: copied byte by byte, checked, described in the world's frame."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from upath import UPath

from blueprint_pipeline.errors import IntegrityError, TransientError
from blueprint_pipeline.public_url import public_url
from blueprint_pipeline.scene.build_manifest import build_manifest
from blueprint_pipeline.scene.canonical_files import write_json
from blueprint_pipeline.scene.checks import check_files
from blueprint_pipeline.scene.findings import validate_findings
from blueprint_pipeline.scene.layout import INVENTORY_PATH, LAYOUT_PATH, build_inventory, build_layout
from blueprint_pipeline.scene.manifest import MANIFEST_PATH, SceneManifest
from blueprint_pipeline.scene.source import SourceScene
from blueprint_pipeline.scene.source_errors import SourceNotFound
from blueprint_pipeline.scene.source_folder import SourceFolder
from blueprint_pipeline.stage.contract import StageContext
from blueprint_pipeline.workspace.checksums import FileDigest, write_file
from blueprint_pipeline.workspace.storage import Id, SceneFolder

SOURCE_FOLDER = "regen3d"
SOURCE_MANIFEST_PATH = "input/source_manifest.json"


def _describe_digest(digest: FileDigest | None) -> str:
    return "was not there" if digest is None else f"had {digest.size_bytes} bytes, sha256 {digest.sha256}"


class SourceStillChanging(TransientError):
    """A file of the source changed while it was ingested."""

    code = "scene.source_still_changing"
    template = (
        "The source changed while it was being ingested: {file} {before} when it was hashed, and {now} when it was copied. "
        "Wait until the upload has finished, then run the stage again."
    )

    file: str
    hashed: FileDigest | None
    copied: FileDigest | None

    @property
    def before(self) -> str:
        """The file when it was hashed."""
        return _describe_digest(self.hashed)

    @property
    def now(self) -> str:
        """The file when it was copied."""
        return _describe_digest(self.copied)


class SourceChanged(IntegrityError):
    """A file of ``regen3d/`` is not the one that was ingested."""

    code = "scene.source_changed"
    template = "{file} {expected} and {found}. Restore it, or ingest the scene again."

    file: str
    expected_sha256: str | None
    found_sha256: str | None

    @property
    def expected(self) -> str:
        """The file when the scene was ingested."""
        digest = self.expected_sha256
        return "was not there when the scene was ingested" if digest is None else f"had sha256 {digest}"

    @property
    def found(self) -> str:
        """The file as it is now."""
        return "is missing now" if self.found_sha256 is None else f"has sha256 {self.found_sha256} now"


class SourceManifest(BaseModel):
    """``input/source_manifest.json``: every file that was ingested, by sha256."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: str = "1.0"
    scene_id: Id
    source: str
    """Where it came from: an URL without user and query, or the name of a local folder (never a path of this machine)."""
    source_scene_id: str
    files: dict[str, FileDigest]


def digest_source(source: str) -> dict[str, FileDigest]:
    """sha256 of every file of a source, by its name there: what makes ingesting it again unnecessary.

    Raises:
        SourceNotFound: There is no folder, or it is empty.
        SourceUnreachable: Its server does not answer.
        SourceRefused: It cannot be read from here.
    """
    return {f"{SOURCE_FOLDER}/{name}": digest for name, digest in SourceFolder(source).digests().items()}


def ingest(scene_id: str, source: str, context: StageContext) -> SceneManifest:
    """Copy, check and describe a scene; a scene with a blocking finding leaves nothing behind.

    Raises:
        SourceStillChanging: The copy is not what was hashed before it.
        SceneError: The first thing that is wrong; its message names the others.
    """
    folder = context.output(f"{SOURCE_FOLDER}/scene_info.json").parent
    shutil.rmtree(folder)
    try:
        copy = _Copy(SourceFolder(source), folder, _hashed_source(context.inputs))
        findings, scene = check_files(copy)
        listed = copy.finish()
        validate_findings(findings, public_url(source))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if scene is None:
        raise SourceNotFound(source)
    return _describe(scene_id, source, scene, listed, context)


class _Copy:
    """Files of a source, each copied as it is read: checked, hashed and written from one reading.

    A source may still be uploading: what is ingested must be what the key was made from.
    """

    def __init__(self, source: SourceFolder, folder: Path, hashed: Mapping[str, FileDigest]) -> None:
        self._source, self._folder, self._hashed = source, folder, hashed
        self._copied: dict[str, FileDigest] = {}
        self.names = source.names
        for name in sorted(hashed.keys() - self.names):
            raise SourceStillChanging(f"{SOURCE_FOLDER}/{name}", hashed[name], None)

    def read(self, name: str) -> bytes:
        """Bytes of a file, which is copied by the way.

        Raises:
            SourceStillChanging: It is not what was hashed.
        """
        data = self._source.read(name)
        digest = write_file(self._folder / name, data)
        if digest != self._hashed.get(name):
            raise SourceStillChanging(f"{SOURCE_FOLDER}/{name}", self._hashed.get(name), digest)
        self._copied[name] = digest
        return data

    def finish(self) -> dict[str, FileDigest]:
        """Copy what nobody has read; gives the digests of all files."""
        for name in sorted(self.names - self._copied.keys()):
            self.read(name)
        return dict(sorted(self._copied.items()))


def _hashed_source(inputs: Mapping[str, FileDigest]) -> dict[str, FileDigest]:
    """Digests of a source's files, by their names there, out of all that a key was made from."""
    prefix = f"{SOURCE_FOLDER}/"
    return {name.removeprefix(prefix): digest for name, digest in inputs.items() if name.startswith(prefix)}


def _describe(scene_id: str, source: str, scene: SourceScene, files: dict[str, FileDigest], context: StageContext) -> SceneManifest:
    manifest = build_manifest(scene_id, scene)
    listed = SourceManifest(scene_id=scene_id, source=_public_name(source), source_scene_id=scene.info.scene_id, files=files)
    written: Mapping[str, BaseModel | Mapping[str, object]] = {
        SOURCE_MANIFEST_PATH: listed,
        MANIFEST_PATH: manifest,
        LAYOUT_PATH: build_layout(manifest, scene),
        INVENTORY_PATH: build_inventory(manifest, scene),
    }
    for name, value in written.items():
        write_json(context.output(name), value)
    return manifest


def _public_name(source: str) -> str:
    path = UPath(source)
    return path.name if path.protocol in {"", "file", "local"} else public_url(source)


def validate_source(scene: SceneFolder) -> SourceManifest:
    """Check that ``regen3d/`` still holds the very files that were ingested.

    Raises:
        SourceChanged: A file is missing, other, or was added; it is named.
    """
    manifest = SourceManifest.model_validate_json(scene.read_bytes(SOURCE_MANIFEST_PATH))
    prefix = f"{SOURCE_FOLDER}/"
    there = [name.removeprefix(prefix) for name in scene.files_under(SOURCE_FOLDER)]
    for name in sorted({*there, *manifest.files}):
        if name not in manifest.files:
            raise SourceChanged(prefix + name, None, scene.digest(prefix + name).sha256)
        if name not in there:
            raise SourceChanged(prefix + name, manifest.files[name].sha256, None)
    for path, found in scene.digests(prefix + name for name in there).items():
        expected = manifest.files[path.removeprefix(prefix)]
        if found != expected:
            raise SourceChanged(path, expected.sha256, found.sha256)
    return manifest
