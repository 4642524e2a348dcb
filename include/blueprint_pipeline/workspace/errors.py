"""What can be wrong with stored files and commits."""

from blueprint_pipeline.errors import InputError, IntegrityError


class FileMissing(InputError):
    """A scene has no such file: there is no such scene, or the stage that makes it did not run."""

    code = "workspace.file_missing"
    template = (
        "There is no {path}. Either this workspace has no scene '{scene_id}', or the stage that makes the file has not run yet; "
        "`bpp stage list` shows the order of the stages."
    )

    scene_id: str
    path: str


class FileChanged(IntegrityError):
    """A recorded file is not what it was when it was recorded."""

    code = "workspace.file_changed"
    template = (
        "{path} {found}; it was recorded with sha256 {expected_sha256}. Restore the file, or run the stage again that made it "
        "(for regen3d/: ingest the scene again)."
    )

    path: str
    expected_sha256: str
    found_sha256: str | None

    @property
    def found(self) -> str:
        """The file as it is now."""
        return "is missing" if self.found_sha256 is None else f"now has sha256 {self.found_sha256}"


class InputMissing(IntegrityError):
    """A stage was started before what it reads was there."""

    code = "workspace.input_missing"
    template = (
        "Stage {stage} reads {path}, which does not exist. Run the stages before it first; a task that was marked as success by hand made "
        "nothing: clear it."
    )

    stage: str
    path: str
