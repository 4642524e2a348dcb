"""What can be wrong with stored files and commits."""

from blueprint_pipeline.errors import ConfigurationError, IntegrityError, InternalError, TransientError


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


class CommitUnreadable(IntegrityError):
    """A commit record is damaged, or another version of this package wrote it."""

    code = "workspace.commit_unreadable"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"The commit record {path} cannot be read: {reason}. Remove it: that stage then counts as not done, and is done anew.",
            path=path,
        )


class InputMissing(IntegrityError):
    """A stage was started before what it reads was there."""

    code = "workspace.input_missing"

    def __init__(self, stage: str, path: str) -> None:
        super().__init__(f"Stage {stage} reads {path}, and nothing is there. Run the stages before it first.", stage=stage, path=path)


class NothingWritten(InternalError):
    """A stage ended well and left no output: that is a failure, not a success."""

    code = "workspace.nothing_written"

    def __init__(self, stage: str) -> None:
        super().__init__(f"Stage {stage} ended without an error and wrote no file. This is a defect of the stage: report it.", stage=stage)


class LeaseHeld(TransientError):
    """Another process runs the same stage on the same scene now."""

    code = "workspace.lease_held"

    def __init__(self, name: str, holder: str, expires_at: str) -> None:
        super().__init__(
            f"{name} is being run by {holder}; its lease ends at {expires_at} unless renewed. Wait, or end that process.",
            name=name,
            holder=holder,
            expires_at=expires_at,
        )


class StorageUnreachable(TransientError):
    """The workspace's object store did not answer, after retries."""

    code = "workspace.storage_unreachable"

    def __init__(self, location: str, reason: str) -> None:
        super().__init__(
            f"{location} could not be read or written after retries: {reason}. Finished units are kept; run the stage again.",
            location=location,
            reason=reason,
        )


class StorageRefused(ConfigurationError):
    """The workspace's object store says no, and would say no again."""

    code = "workspace.storage_refused"

    def __init__(self, location: str, reason: str) -> None:
        super().__init__(
            f"{location} cannot be used: {reason}. Expected a bucket that is there, and rights to list, read, write and delete in it: "
            "check BPP__WORKSPACE__URL and the roles of this process's service account.",
            location=location,
            reason=reason,
        )
