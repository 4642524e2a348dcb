"""What can be wrong with stored files and commits."""

from blueprint_pipeline.errors import IntegrityError


class FileChanged(IntegrityError):
    """A recorded file is not what it was when it was recorded."""

    code = "workspace.file_changed"

    def __init__(self, path: str, expected_sha256: str, found_sha256: str | None) -> None:
        found = "is missing" if found_sha256 is None else f"now has sha256 {found_sha256}"
        super().__init__(
            f"{path} {found}; it was recorded with sha256 {expected_sha256}. "
            "Restore the file, or run again the stage that made it (for regen3d/: ingest the scene anew).",
            path=path,
            expected_sha256=expected_sha256,
            found_sha256=found_sha256,
        )


class InputMissing(IntegrityError):
    """A stage was started before what it reads was there."""

    code = "workspace.input_missing"

    def __init__(self, stage: str, path: str) -> None:
        super().__init__(f"Stage {stage} reads {path}, and nothing is there. Run the stages before it first.", stage=stage, path=path)
