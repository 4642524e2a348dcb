"""The licence of a dataset follows from those of what is seen in it; it is never guessed."""

from collections.abc import Sequence
from dataclasses import dataclass

from blueprint_pipeline.errors import InputError
from blueprint_pipeline.licence.attribution import UNKNOWN
from blueprint_pipeline.robot.embodiment import Embodiment
from blueprint_pipeline.scene.manifest import SceneManifest

HUGGING_FACE_IDS = {
    "Apache-2.0": "apache-2.0",
    "BSD-2-Clause": "bsd-2-clause",
    "BSD-3-Clause": "bsd-3-clause",
    "CC-BY-3.0": "cc-by-3.0",
    "CC-BY-4.0": "cc-by-4.0",
    "CC-BY-NC-4.0": "cc-by-nc-4.0",
    "CC-BY-NC-SA-4.0": "cc-by-nc-sa-4.0",
    "CC-BY-ND-4.0": "cc-by-nd-4.0",
    "CC-BY-SA-4.0": "cc-by-sa-4.0",
    "CC0-1.0": "cc0-1.0",
    "MIT": "mit",
    "MPL-2.0": "mpl-2.0",
}
"""SPDX id to the Hub's own id.

Source: Hugging Face documentation, "Licenses"."""


class LicenceUnknown(InputError):
    """An asset has no licence: the dataset's licence is computed, never guessed."""

    code = "dataset.licence_unknown"
    template = "Asset {asset_id} has no licence in the scene manifest. Add it to the scene's ATTRIBUTION and ingest the scene again."

    asset_id: str


@dataclass(frozen=True)
class AssetLicence:
    """What one asset may be used under."""

    asset_id: str
    licence: str
    """SPDX id."""
    attribution: str
    """Who made it and where it comes from."""


@dataclass(frozen=True)
class DatasetLicence:
    """What a whole dataset may be used under."""

    assets: tuple[AssetLicence, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """SPDX ids of all assets, each once, sorted."""
        return tuple(sorted({asset.licence for asset in self.assets}))

    @property
    def expression(self) -> str:
        """SPDX expression: all of them hold at once.

        Source: SPDX specification 3.0, annex "SPDX license expressions".
        """
        return " AND ".join(self.ids)


def build_licence(assets: Sequence[tuple[str, str | None, str]]) -> DatasetLicence:
    """Compute the licence of a dataset.

    Args:
        assets: ``(asset id, SPDX id, attribution)`` of everything that is seen in the videos, the robot included.

    Raises:
        LicenceUnknown: An asset states none, or there is no asset at all.
    """
    if not assets:
        raise LicenceUnknown("(none listed)")
    found = []
    for asset_id, licence, attribution in assets:
        if not licence or licence == UNKNOWN:
            raise LicenceUnknown(asset_id)
        found.append(AssetLicence(asset_id, licence, attribution))
    return DatasetLicence(tuple(found))


def collect_licences(manifest: SceneManifest, robot: Embodiment) -> DatasetLicence:
    """The licence of what is seen in a scene: its objects and background as the scene manifest has them, and the robot.

    Raises:
        LicenceUnknown: An asset states none.
    """
    assets: list[tuple[str, str | None, str]] = []
    for item in manifest.objects:
        changes = f"changes: {item.asset.changes}" if item.asset.changes else None
        assets.append((item.id, item.asset.licence, "; ".join(part for part in (item.asset.author, item.asset.source, changes) if part)))
    if manifest.background is not None:
        assets.append(("background", manifest.background.licence, manifest.background.licence_statement or ""))
    assets += [(robot.name, licence.spdx, licence.source) for licence in robot.licences]
    return build_licence(assets)
