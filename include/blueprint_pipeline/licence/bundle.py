"""The licence of a bundle, computed from the licences of everything in it and of everything that made it.

What lies in a bundle (scene assets, the robot's model) passes its licence on to it: the most restrictive decides, and
all who want to be named are. What only made it (simulator, planner, models) is listed, and blocks where its licence
forbids commercial output. Unknown blocks. This is arithmetic over a policy, not legal advice.
"""

from collections.abc import Sequence
from typing import Literal

from blueprint_pipeline.errors import GateError
from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.licence.policy import LicenceBlocker, LicenceRule, ThirdPartyPolicy, check_licences


class LicenceRefused(GateError):
    """The parts of a bundle may not be delivered to this lab."""

    code = "delivery.licence_refused"
    template = "The bundle cannot go to lab {lab}: {blockers:; }. Replace these parts, or record a grant for them."

    lab: str
    blockers: Sequence[str]


class AssetOrigin(FrozenModel):
    """Where one asset of the scene comes from, as its source states."""

    asset_id: str
    licence: str | None
    """As stated; ``None``: nothing is stated."""
    author: str | None
    source: str | None
    changes: str | None


class ComponentUse(FrozenModel):
    """One program, model or asset pack that had a part in the data."""

    component: str
    """Name in the policy."""
    version: str
    role: Literal["simulator", "robot", "planner", "model"]
    licence: str | None = None
    """As its own record states it; ``None``: the policy says it of the component."""
    source: str | None = None
    """Where it comes from, as its own record states it."""


class AttributedPart(FrozenModel):
    """One line of the attribution table."""

    name: str
    role: Literal["asset", "simulator", "robot", "planner", "model"]
    in_bundle: bool
    """Whether (changed) files of it lie in the bundle; else it only made what does."""
    licence: str | None
    """SPDX id."""
    licence_url: str | None
    commercial_ok: bool
    author: str | None
    source: str | None
    changes: str | None


class BundleLicence(FrozenModel):
    """``legal/licence.json``."""

    schema_version: Literal["1.0"] = "1.0"
    policy_version: str
    licence: str | None
    """SPDX id of the most restrictive licence in the bundle; ``None`` where a licence is unknown."""
    expression: str
    """SPDX expression of all licences in the bundle."""
    commercial_ok: bool
    attribution_required: bool
    share_alike: bool
    blockers: tuple[LicenceBlocker, ...]
    parts: tuple[AttributedPart, ...]
    statement: str = "The data was simulated. It shows no persons and holds no personal data."


def compute_licence(policy: ThirdPartyPolicy, assets: Sequence[AssetOrigin], components: Sequence[ComponentUse]) -> BundleLicence:
    """Compute the licence of a bundle; what stands against selling it is listed, not raised."""
    parts = [_asset_part(policy, asset) for asset in sorted(assets, key=lambda asset: asset.asset_id)]
    parts += [_component_part(policy, component) for component in sorted(components, key=lambda item: (item.role, item.component))]
    blockers = check_licences(
        policy,
        [(asset.asset_id, asset.licence) for asset in assets] + [(use.component, use.licence) for use in components if use.licence],
        [(use.component, use.version) for use in components if not use.licence],
    )
    rules = [rule for part in parts if part.in_bundle and part.licence and (rule := policy.licence(part.licence))]
    blockers += _share_alike_conflicts(rules)
    unknown = any(part.in_bundle and part.licence is None for part in parts)
    return BundleLicence(
        policy_version=policy.version,
        licence=None if unknown or not rules else max(rules, key=_restriction).id,
        expression=" AND ".join(sorted({rule.id for rule in rules} | ({"LicenseRef-unknown"} if unknown else set()))),
        commercial_ok=not blockers,
        attribution_required=any(rule.attribution for rule in rules),
        share_alike=any(rule.share_alike for rule in rules),
        blockers=tuple(sorted(blockers, key=lambda blocker: (blocker.kind, blocker.name))),
        parts=tuple(parts),
    )


def validate_licence(licence: BundleLicence, *, lab: str, commercial: bool) -> None:
    """Refuse a bundle that the lab may not use as it means to.

    Raises:
        LicenceRefused: A part's licence is unknown (no lab may have it), or non-commercial and the lab is commercial.
    """
    found = [blocker for blocker in licence.blockers if commercial or blocker.problem == "unknown"]
    if found:
        raise LicenceRefused(
            lab, [f"{item.name} is {item.problem.replace('_', '-')} ({item.licence or 'no licence'}; {item.evidence})" for item in found]
        )


def render_attribution(licence: BundleLicence) -> str:
    """The attribution table, as Markdown."""
    lines = [
        "# Attribution\n",
        f"Licence of the data: **{licence.licence or 'unknown'}** (all licences in it: `{licence.expression}`). {licence.statement}\n",
        "| part | role | in the bundle | licence | author | source | changes |",
        "|---|---|---|---|---|---|---|",
    ]
    for part in licence.parts:
        cells = [part.name, part.role, "yes" if part.in_bundle else "no", part.licence or "unknown", part.author, part.source, part.changes]
        lines.append("| " + " | ".join((cell or "-").replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def build_asset_provenance(scene_id: str, licence: BundleLicence, digests: dict[str, str], version: str) -> dict[str, object]:
    """``asset_provenance.json`` as readers of the predecessor know it; times are ``null``, so that the bytes stay the same.

    Args:
        scene_id: The scene.
        licence: The computed licence.
        digests: sha256 of each asset's source file, by asset id.
        version: Version of this pipeline.
    """
    assets = [part for part in licence.parts if part.role == "asset"]
    unknown = sum(part.licence is None for part in assets)
    allowed = sum(part.commercial_ok for part in assets)
    return {
        "scene_id": scene_id,
        "version": "1.0.0",
        "generated_at": None,
        "license": {
            "type": licence.licence,
            "commercial_ok": licence.commercial_ok,
            "blockers": [f"{item.name}: {item.problem} ({item.evidence})" for item in licence.blockers],
        },
        "summary": {
            "total_assets": len(assets),
            "commercial_ok": allowed,
            "non_commercial": len(assets) - allowed - unknown,
            "unknown_license": unknown,
        },
        "pipeline": {"name": "blueprint_pipeline", "version": version},
        "assets": [_asset_entry(part, digests.get(part.name)) for part in assets],
    }


def _asset_entry(part: AttributedPart, sha256: str | None) -> dict[str, object]:
    return {
        "asset_id": part.name,
        "asset_path": f"assets/{part.name}/visual.glb",
        "license": {"type": part.licence, "url": part.licence_url, "commercial_ok": part.commercial_ok},
        "source": {"type": "reconstruction", "id": part.source, "url": None, "creator": part.author, "creation_date": None},
        "transformations": [] if part.changes is None else [{"step": part.changes, "tool": None, "version": None, "timestamp": None}],
        "verification": {"content_hash": sha256, "timestamp": None},
        "metadata": {"category": None, "description": None},
    }


def _asset_part(policy: ThirdPartyPolicy, asset: AssetOrigin) -> AttributedPart:
    rule = policy.licence(asset.licence) if asset.licence else None
    return AttributedPart(
        name=asset.asset_id,
        role="asset",
        in_bundle=True,
        licence=rule.id if rule else None,
        licence_url=rule.url if rule else None,
        commercial_ok=bool(rule and rule.commercial_ok),
        author=asset.author,
        source=asset.source,
        changes=asset.changes,
    )


def _component_part(policy: ThirdPartyPolicy, use: ComponentUse) -> AttributedPart:
    if use.licence:
        stated = policy.licence(use.licence)
        return AttributedPart(
            name=f"{use.component} {use.version}",
            role=use.role,
            in_bundle=use.role == "robot",
            licence=stated.id if stated else None,
            licence_url=stated.url if stated else None,
            commercial_ok=bool(stated and stated.commercial_ok),
            author=None,
            source=use.source,
            changes=None,
        )
    rule = policy.component(use.component, use.version)
    licence = policy.licence(rule.licence) if rule else None
    return AttributedPart(
        name=f"{use.component} {use.version}",
        role=use.role,
        in_bundle=use.role == "robot",
        licence=rule.licence if rule else None,
        licence_url=licence.url if licence else None,
        commercial_ok=bool(rule and rule.commercial_ok),
        author=None,
        source=rule.evidence if rule else None,
        changes=None,
    )


def _restriction(rule: LicenceRule) -> tuple[bool, bool, bool, bool, str]:
    """How much a licence asks for; between equals the content licence names the data, then the alphabet decides."""
    return (not rule.commercial_ok, rule.share_alike, rule.attribution, rule.id.startswith("CC-"), rule.id)


def _share_alike_conflicts(rules: Sequence[LicenceRule]) -> list[LicenceBlocker]:
    """Two licences that each demand to be the only one cannot both be kept."""
    demanding = sorted({rule.id for rule in rules if rule.share_alike})
    if len(demanding) <= 1:
        return []
    evidence = f"{' and '.join(demanding)} each ask that the whole carries them alone"
    return [LicenceBlocker(name="the bundle", kind="asset", licence=" AND ".join(demanding), problem="unknown", evidence=evidence)]
