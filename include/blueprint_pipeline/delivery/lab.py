"""Lab profiles: what each customer wants, and where it goes. Data in ``include/config/labs/<id>.yaml``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, HttpUrl

from blueprint_pipeline.config_file import ConfigFileInvalid, load_config
from blueprint_pipeline.config_folder import CONFIG_FOLDER
from blueprint_pipeline.dataset.formats import FormatName
from blueprint_pipeline.errors import InputError
from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.workspace.checksums import FileDigest, digest_file
from blueprint_pipeline.workspace.storage import Id

LABS_FOLDER = CONFIG_FOLDER / "labs"


class InvalidLabProfile(ConfigFileInvalid):
    """A lab's profile cannot be used."""

    code = "delivery.invalid_lab_profile"


class UnknownLab(InputError):
    """No profile has this id."""

    code = "delivery.unknown_lab"
    template = "There is no lab '{lab}'. Labs: {known}. Add a profile as include/config/labs/{lab}.yaml."

    lab: str
    known: Sequence[str]


class LabContact(FrozenModel):
    """Who answers at the lab."""

    name: str
    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")


class LabThresholds(FrozenModel):
    """What the lab agreed to take; below it nothing is packaged."""

    min_episodes: int = Field(ge=1)
    """Kept episodes in one delivery."""
    min_kept_ratio: float = Field(ge=0, le=1)
    """Kept of attempted episodes."""
    uncertified: Literal["refuse", "disclose"]
    """Where a certifying loader did not run: refuse the dataset, or deliver it and say so in the certificate."""


class LabWebhook(FrozenModel):
    """Where the lab is notified of a delivery."""

    url: HttpUrl
    secret_connection: Id
    """Name of the Airflow connection whose password signs the call (``whsec_…``). The secret itself never stands in a file."""


class LabProfile(FrozenModel):
    """One customer."""

    schema_version: Literal["1.0"] = "1.0"
    id: Id
    name: str
    contact: LabContact
    bucket: str = Field(min_length=1)
    """Folder or any fsspec URL (``gs://bucket/prefix``). Relative folders count from the working directory of the process."""
    tier: Literal["core", "plus", "full"]
    formats: tuple[FormatName, ...] = Field(min_length=1)
    commercial: bool
    """Whether the lab uses the data commercially: parts that forbid it block the delivery."""
    wants_failures: bool
    """Whether the lab buys failed episodes: honest failures are then drawn, and packed as a dataset of their own."""
    thresholds: LabThresholds
    pinned_keyid: str | None = None
    """Id of the only signing key that the lab trusts; ``None``: the key was not agreed on yet."""
    webhook: LabWebhook


def list_labs(folder: Path = LABS_FOLDER) -> list[str]:
    """Ids of all labs that have a profile, sorted."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def load_lab(lab: str, folder: Path = LABS_FOLDER) -> LabProfile:
    """Read one lab's profile.

    Raises:
        UnknownLab: No profile has this id.
        InvalidLabProfile: A key is unknown, missing or of the wrong kind, or the id is not the file's name.
    """
    if lab not in list_labs(folder):
        raise UnknownLab(lab, list_labs(folder))
    path = folder / f"{lab}.yaml"
    profile = load_config(path, LabProfile, InvalidLabProfile)
    if profile.id != lab:
        raise InvalidLabProfile(path, [f"id: '{profile.id}' is not the name of the file"])
    return profile


def digest_profile(lab: str, folder: Path = LABS_FOLDER) -> dict[str, FileDigest]:
    """The profile as an input of a stage, so that a changed profile makes a new bundle."""
    if lab not in list_labs(folder):
        raise UnknownLab(lab, list_labs(folder))
    return {f"config/labs/{lab}.yaml": digest_file(folder / f"{lab}.yaml")}
