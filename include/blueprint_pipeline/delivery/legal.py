"""The legal folder of a bundle: computed licence, attribution, provenance of assets, texts of the licences."""

import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path, PurePosixPath

from blueprint_pipeline.delivery.bag import PayloadFile
from blueprint_pipeline.delivery.sources import BundleSources
from blueprint_pipeline.licence.bundle import (
    AttributedPart,
    BundleLicence,
    ComponentUse,
    build_asset_provenance,
    compute_licence,
    render_attribution,
)
from blueprint_pipeline.licence.policy import load_policy
from blueprint_pipeline.robot.embodiment import load_embodiment

_TEXTS = Path(__file__).parent / "licence_texts"
_PLANNERS = ("mink", "ompl", "toppra")


def compute_bundle_licence(sources: BundleSources) -> BundleLicence:
    """The licence of everything that is in a bundle, and of everything that made it."""
    simulator = sources.kept_attempts()[0].record.simulator
    uses = [ComponentUse(component=simulator.name, version=simulator.version, role="simulator")]
    uses += [ComponentUse(component=name, version=version(name), role="planner") for name in _PLANNERS]
    robot = load_embodiment(sources.plan.robot.embodiment)
    uses += [
        ComponentUse(component=f"{robot.name}_model", version="1", role="robot", licence=licence.spdx, source=licence.source)
        for licence in robot.licences
    ]
    return compute_licence(load_policy(), sources.assets, uses)


def list_legal_files(licence: BundleLicence, sources: BundleSources, code_version: str) -> list[PayloadFile]:
    """All files below ``legal/``."""
    meshes = {PurePosixPath(name): digest.sha256 for name, digest in sources.source_files.items() if name.endswith("/mesh.glb")}
    digests = {path.parent.name: sha256 for path, sha256 in meshes.items()}
    provenance = build_asset_provenance(sources.plan.scene_id, licence, digests, code_version)
    files = {
        "licence.json": licence.model_dump_json(indent=1).encode() + b"\n",
        "ATTRIBUTION.md": render_attribution(licence).encode(),
        "asset_provenance.json": json.dumps(provenance, indent=1, ensure_ascii=False).encode() + b"\n",
    }
    used = sorted({part.licence for part in licence.parts if part.in_bundle and part.licence})
    for spdx in used:
        files[f"LICENSES/{spdx}.txt"] = render_licence_text(spdx, [part for part in licence.parts if part.licence == spdx]).encode()
    return [PayloadFile(f"legal/{name}", data) for name, data in files.items()]


def render_licence_text(spdx: str, parts: Sequence[AttributedPart]) -> str:
    """The text of a licence with the copyright notices of those who gave under it; where the text is long, its address.

    Source: CC BY 4.0 section 3(a)(1)(C) takes a hyperlink for the text.
    """
    owners = "\n".join(f"Copyright (c) {part.author or 'the authors'} ({part.name})" for part in parts if part.in_bundle)
    path = _TEXTS / f"{spdx}.txt"
    if path.is_file():
        text = path.read_text(encoding="utf-8")
        return text.replace("{copyrights}", owners) if "{copyrights}" in text else f"{owners}\n\n{text}"
    url = next((part.licence_url for part in parts if part.licence_url), None)
    return f"{owners}\n\nLicensed under {spdx}{f', the text of which is at {url}' if url else ''}.\n"
