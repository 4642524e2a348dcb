"""What licences forbid, and what is wrong with the policy."""

from collections.abc import Sequence

from blueprint_pipeline.config_file import ConfigFileInvalid
from blueprint_pipeline.errors import GateError


class LicencePolicyInvalid(ConfigFileInvalid):
    """The policy of third parties' licences cannot be used."""

    code = "licence.invalid_policy"


class LicenceRefused(GateError):
    """The parts of a bundle may not be delivered to this lab."""

    code = "delivery.licence_refused"

    def __init__(self, lab: str, blockers: Sequence[str]) -> None:
        super().__init__(
            f"The bundle cannot go to lab {lab}: {'; '.join(blockers)}. Replace these parts, or record a grant for them.",
            lab=lab,
            blockers=list(blockers),
        )
