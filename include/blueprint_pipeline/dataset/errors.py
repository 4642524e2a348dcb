"""What can be wrong with a dataset, or with what it is made of."""

from blueprint_pipeline.errors import GateError, InputError, IntegrityError, InternalError


class EpisodeUnusable(InputError):
    """A kept episode cannot become part of a dataset."""

    code = "dataset.episode_unusable"

    def __init__(self, episode_id: str, path: str, field: str, found: object, expected: object) -> None:
        super().__init__(
            f"Episode {episode_id}: {path}: {field} is {found}, expected {expected}. "
            "Import and gate the episodes again; it should not have been kept.",
            episode_id=episode_id,
            path=path,
            field=field,
            found=found,
            expected=expected,
        )


class VideoMismatch(InputError):
    """A video is not what a dataset needs: one stream, one keyframe at its start, no B-frames, constant rate."""

    code = "dataset.video_mismatch"

    def __init__(self, path: str, field: str, found: object, expected: object) -> None:
        super().__init__(
            f"{path}: {field} is {found}, expected {expected}. Render the episode again; videos are remuxed here, never encoded.",
            path=path,
            field=field,
            found=found,
            expected=expected,
        )


class NothingKept(GateError):
    """No episode passed its gates: an empty dataset is a failure."""

    code = "dataset.nothing_kept"

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path} keeps no episode, so there is nothing to write. `bpp episode show` says why each was rejected.", path=path
        )


class LicenceUnknown(InputError):
    """An asset has no licence: the dataset's licence is computed, never guessed."""

    code = "dataset.licence_unknown"

    def __init__(self, asset_id: str) -> None:
        super().__init__(
            f"Asset {asset_id} has no licence in the scene manifest. Add it to the scene's ATTRIBUTION and ingest the scene again.",
            asset_id=asset_id,
        )


class WrittenDataDiffer(InternalError):
    """What was read back is not what was written."""

    code = "dataset.written_data_differ"

    def __init__(self, path: str, field: str, found: object, expected: object) -> None:
        super().__init__(
            f"{path} was read back with {field} {found}, written with {expected}. "
            "This is a defect of the writer or of the disk: report it.",
            path=path,
            field=field,
            found=found,
            expected=expected,
        )


class NotADataset(InputError):
    """A folder is no LeRobot dataset."""

    code = "dataset.not_a_dataset"

    def __init__(self, folder: str, reason: str) -> None:
        super().__init__(
            f"{folder} is not a LeRobot dataset: {reason}. Expected a folder with meta/info.json of v3.0 or v2.1.", folder=folder
        )


class DatasetRefused(GateError):
    """A certifying check looked at the dataset and found it wrong."""

    code = "dataset.refused"

    def __init__(self, report: str, failed: list[str]) -> None:
        super().__init__(
            f"The dataset fails {len(failed)} certifying check(s): {'; '.join(failed)}. Details in {report}.", report=report, failed=failed
        )


class CertifierBroken(InternalError):
    """A certifying script ended without its report."""

    code = "dataset.certifier_broken"

    def __init__(self, script: str, exit_code: int, last_lines: str) -> None:
        super().__init__(
            f"{script} ended with exit code {exit_code} and no report; its last words: {last_lines}. "
            "Rebuild the environment with `make certify-env`.",
            script=script,
            exit_code=exit_code,
        )


class DatasetChanged(IntegrityError):
    """A grader changed the dataset that it was to look at."""

    code = "dataset.changed"

    def __init__(self, grader: str, paths: list[str]) -> None:
        super().__init__(
            f"{grader} changed {', '.join(paths)} while it graded. Write the dataset again and run without this grader.",
            grader=grader,
            paths=paths,
        )
