"""Which licences may stand behind sold data: the policy, its reader, and what it says of a set of assets and components.

The policy is data (``include/config/third_party_policy.yaml``). What it does not list is unknown, and unknown blocks.
"""

import re
from collections.abc import Iterable
from functools import cache
from typing import Literal

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version
from pydantic import field_validator

from blueprint_pipeline.config_file import ConfigFileInvalid, load_config
from blueprint_pipeline.config_folder import CONFIG_FOLDER
from blueprint_pipeline.frozen import FrozenModel

POLICY_FILE = "third_party_policy.yaml"


class LicencePolicyInvalid(ConfigFileInvalid):
    """The policy of third parties' licences cannot be used."""

    code = "licence.invalid_policy"


class LicenceRule(FrozenModel):
    """What one licence allows."""

    id: str
    """SPDX id, or ``LicenseRef-...``."""
    commercial_ok: bool
    attribution: bool
    """Whether the author must be named beside the data."""
    share_alike: bool
    """Whether what is made from it must carry the same licence."""
    url: str


class ComponentRule(FrozenModel):
    """What one program, model or asset pack allows."""

    component: str
    versions: str
    """A version specifier as in PEP 440 (``<0.8``), or ``*``."""
    licence: str
    commercial_ok: bool
    evidence: str
    """Where the licence was read."""

    @field_validator("versions")
    @classmethod
    def _parses(cls, value: str) -> str:
        if value != "*":
            try:
                SpecifierSet(value)
            except InvalidSpecifier as error:
                raise ValueError(f"'{value}' is no version specifier") from error
        return value

    def covers(self, version: str) -> bool:
        """Whether the rule speaks of this version; one that cannot be read is covered by ``*`` only."""
        if self.versions == "*":
            return True
        try:
            return SpecifierSet(self.versions).contains(Version(version), prereleases=True)
        except InvalidVersion:
            return False


class ThirdPartyPolicy(FrozenModel):
    """``third_party_policy.yaml``."""

    schema_version: Literal["1.0"]
    version: str
    licences: tuple[LicenceRule, ...]
    components: tuple[ComponentRule, ...]

    def licence(self, name: str) -> LicenceRule | None:
        """The rule of a licence by SPDX id or a common way to write it (``CC BY 4.0``); ``None``: unknown."""
        wanted = _canonical(name)
        return next((rule for rule in self.licences if _canonical(rule.id) == wanted), None)

    def component(self, name: str, version: str) -> ComponentRule | None:
        """The rule of a component in a version; ``None``: unknown. A rule that forbids goes before one that allows."""
        found = [rule for rule in self.components if rule.component == name and rule.covers(version)]
        return min(found, key=lambda rule: rule.commercial_ok, default=None)


class LicenceBlocker(FrozenModel):
    """Why something may not be sold."""

    name: str
    """The asset's id, or the component with its version."""
    kind: Literal["asset", "component"]
    licence: str | None
    problem: Literal["unknown", "non_commercial"]
    evidence: str


def check_licences(
    policy: ThirdPartyPolicy, assets: Iterable[tuple[str, str | None]], components: Iterable[tuple[str, str]] = ()
) -> list[LicenceBlocker]:
    """What stands against selling data made from these assets with these components.

    Args:
        policy: The policy.
        assets: ``(asset id, licence)``; ``None`` where nothing is stated.
        components: ``(component, version)``.
    """
    blockers = []
    for asset, licence in assets:
        rule = policy.licence(licence) if licence else None
        if rule is None:
            evidence = f"licence '{licence}' is not in the policy" if licence else "no licence is stated"
            blockers.append(LicenceBlocker(name=asset, kind="asset", licence=licence, problem="unknown", evidence=evidence))
        elif not rule.commercial_ok:
            blockers.append(LicenceBlocker(name=asset, kind="asset", licence=rule.id, problem="non_commercial", evidence=rule.url))
    for component, version in components:
        found, name = policy.component(component, version), f"{component} {version}"
        if found is None:
            evidence = "not in the policy"
            blockers.append(LicenceBlocker(name=name, kind="component", licence=None, problem="unknown", evidence=evidence))
        elif not found.commercial_ok:
            blocker = LicenceBlocker(name=name, kind="component", licence=found.licence, problem="non_commercial", evidence=found.evidence)
            blockers.append(blocker)
    return blockers


def _canonical(name: str) -> str:
    return re.sub(r"[\s_-]+", "-", name.strip()).upper()


@cache
def load_policy() -> ThirdPartyPolicy:
    """Read the policy that ships with the package.

    Raises:
        LicencePolicyInvalid: The file is missing or not in its format.
    """
    return load_config(CONFIG_FOLDER / POLICY_FILE, ThirdPartyPolicy, LicencePolicyInvalid)
