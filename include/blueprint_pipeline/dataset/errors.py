"""What can be wrong with a dataset, or with what it is made of."""

from blueprint_pipeline.errors import InputError


class EpisodeUnusable(InputError):
    """A kept episode cannot become part of a dataset."""

    code = "dataset.episode_unusable"
    template = (
        "Episode {episode_id}: {path}: {field} is {found}, expected {expected}. Import and gate the episodes again; "
        "it should not have been kept."
    )

    episode_id: str
    path: str
    field: str
    found: object
    expected: object


class ProfilesMixed(InputError):
    """Episodes of one dataset were drawn with different render profiles."""

    code = "dataset.profiles_mixed"
    template = (
        "Episode {episode_id} was drawn with the render profile {found}, the episodes before it with {expected}: pictures of two kinds do "
        "not belong in one dataset. Render the shards again with one profile."
    )

    episode_id: str
    found: str | None
    expected: str | None


class RenderersMixed(InputError):
    """Episodes of one dataset were drawn by different renderers."""

    code = "dataset.renderers_mixed"
    template = (
        "Episode {episode_id} was drawn by {found}, the episodes before it by {expected}: their pixels differ, and one dataset "
        "has those of one. Set BPP__RENDER__BACKEND to one that all machines have, and render the shards again."
    )

    episode_id: str
    found: str
    expected: str


class NotADataset(InputError):
    """A folder is no dataset of a known format."""

    code = "dataset.not_a_dataset"
    template = "{folder} is not a dataset: {reason}. Known formats: {known}."

    folder: str
    reason: str
    known: list[str]
