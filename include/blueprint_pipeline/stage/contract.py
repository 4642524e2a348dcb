"""What a stage is: a plain function, a typed request in, a typed result out, files through the workspace.

A stage knows nothing of Airflow, and nothing of where it runs. It reads from ``context.scene`` (or
``context.input(name)``), writes below ``context.staging`` under the names that the files will have in the scene's
folder, and returns. The runner (``blueprint_pipeline.stage.runner``) verifies, promotes and commits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict

import blueprint_pipeline
from blueprint_pipeline.errors import Interrupted
from blueprint_pipeline.settings import Settings
from blueprint_pipeline.workspace.checksums import FileDigest
from blueprint_pipeline.workspace.commits import KeptUnit, UnitUsage
from blueprint_pipeline.workspace.folder_commits import COMMIT_NAME
from blueprint_pipeline.workspace.storage import Id, SceneFolder


class StageRequest(BaseModel):
    """What a run chooses for one stage. Subclasses add fields; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scene_id: Id


class StageResult(BaseModel):
    """What a stage tells the next one and the person who watches: small, JSON, no paths of this machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StageContext:
    """What the runner gives to a stage.

    Attributes:
        scene: The scene's folder.
        staging: Local folder whose tree mirrors the scene's folder; it survives a kill, so that finished units are found again.
        cache_dir: Local folder for what can be made again (mesh caches), shared by all scenes.
        settings: Settings of the process.
        progress: Call it with (done, total) on long work.
        inputs: Digests that the key of this work was made from, by name: of the scene's files, of configuration
            (``config/tiers.yaml``), and of what is read from outside.
        code_version: ``<version>+<hash>`` of the stage's code.
        kept: What the stage found made and kept, in its own words (:meth:`keep`); goes into the commit.
    """

    def __init__(
        self,
        scene: SceneFolder,
        *,
        staging: Path,
        cache_dir: Path,
        settings: Settings,
        progress: Callable[[int, int], None],
        is_stopping: Callable[[], bool],
        inputs: Mapping[str, FileDigest] = MappingProxyType({}),
        code_version: str = blueprint_pipeline.__version__,
    ) -> None:
        self.scene = scene
        self.staging = staging
        self.cache_dir = cache_dir
        self.settings = settings
        self.progress = progress
        self.inputs = inputs
        self.code_version = code_version
        self.kept: list[KeptUnit] = []
        self._is_stopping = is_stopping

    def input(self, name: str) -> Path:
        """A local path of a file or folder of the scene, to read."""
        return self.scene.local(name)

    def digests_under(self, *names: str) -> dict[str, FileDigest]:
        """sha256 and size of the scene's files and folders of these names; those that the key was made from are not read again."""
        files = [file for name in names for file in self.scene.files_under(name)]
        return {file: self.inputs.get(file) or self.scene.digest(file) for file in files}

    def output(self, name: str) -> Path:
        """The local path to write ``name`` at; its folder is made."""
        path = self.staging / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def publish(self, name: str) -> None:
        """Make a finished unit (a file or folder below ``staging``) visible now, so that a kill cannot lose it.

        Files of a folder become visible in sorted order, ``*.json`` last, and its commit after them: then the unit is whole.
        """
        source = self.staging / name
        files = [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file())
        for path in sorted(files, key=lambda path: (path.name == COMMIT_NAME, path.suffix == ".json", path.as_posix())):
            self.scene.publish_file(path, path.relative_to(self.staging).as_posix())

    def keep(self, folder: str, made: UnitUsage) -> None:
        """Say that a folder of an earlier run stays, and what making it took: the price of this run has it too."""
        self.kept.append(KeptUnit(folder=folder, machine=made.machine, finished_at=made.finished_at, usage=made.usage))

    def stop_if_asked(self) -> None:
        """Call between units.

        Raises:
            Interrupted: SIGTERM came; what was published stays, a new run resumes there.
        """
        if self._is_stopping():
            raise Interrupted("The stage's process")


def name_unit(selection: str, unit: str = "") -> str:
    """Unit of a stage that works on a selection of episodes: what it does with those that are kept has the plain name.

    >>> name_unit("kept", "shard_0000"), name_unit("failures", "shard_0000"), name_unit("failures")
    ('shard_0000', 'shard_0000.failures', 'failures')
    """
    return unit if selection == "kept" else ".".join(filter(None, (unit, selection)))


Request = TypeVar("Request", bound=StageRequest)
Result = TypeVar("Result", bound=StageResult)


@dataclass(frozen=True, kw_only=True)
class Stage(Generic[Request, Result]):
    """A stage of the flow, as data."""

    name: str
    """``verb_noun``, also the task id."""
    description: str
    request: type[Request]
    result: type[Result]
    run: Callable[[Request, StageContext], Result]
    reads: Callable[[Request], Sequence[str]]
    """Files and folders of the scene that the stage reads; each must be there; their hashes are part of the key."""
    writes: Callable[[Request], Sequence[str]]
    """Files and folders of the scene that belong to the stage: all files in them are recorded as its outputs, and what
    a former run left there is removed."""
    keeps: bool = False
    """The stage looks at what a former run left, whatever its key: it keeps the folders that are its own work by their commits
    (:mod:`blueprint_pipeline.workspace.folder_commits`), and removes the rest itself."""
    replaces_at_end: bool = False
    """What a former run left stays until this one has ended well: a bad source does not take a good scene away."""
    external_inputs: Callable[[Request, Settings], dict[str, FileDigest]] = lambda _request, _settings: {}
    """What the stage reads from outside of the scene's folder (the source of an intake, a signing key), by digest: part of the key.
    The configuration files that it reads stand in its row (:mod:`blueprint_pipeline.stage.flow`)."""
    complete: Callable[[Request, Settings], Request] = lambda request, _: request
    """Writes into the request what it leaves to the settings and the result depends on, so that it is part of the key."""
    leaves_out: Callable[[Request], Sequence[str]] = lambda _: ()
    """Code that a request makes the stage not load, though a table that it loads from names it (``module:attribute``): the engines of the
    other simulators. All else that such tables name is part of the key."""
    unit: Callable[[Request], str] = lambda _: ""
    """Names the part of the stage that a request does (a shard); empty where there is only one."""
