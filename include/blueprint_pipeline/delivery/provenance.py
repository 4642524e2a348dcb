"""What a dataset was made from and how: the contents of the signed statement."""

from collections.abc import Mapping
from importlib.metadata import version
from urllib.parse import quote

from pydantic import JsonValue

from blueprint_pipeline.cost.report import CostReport, describe_failures_cost
from blueprint_pipeline.delivery.lab import LabProfile
from blueprint_pipeline.delivery.sources import BundleSources
from blueprint_pipeline.delivery.statement import Provenance, descriptor
from blueprint_pipeline.episode.certificates import count_rules, describe_replays
from blueprint_pipeline.licence.bundle import BundleLicence
from blueprint_pipeline.price.table import PRICES_DIR
from blueprint_pipeline.quality.config_files import config_digests
from blueprint_pipeline.quality.report import GateReport
from blueprint_pipeline.quality.verdicts import VERDICTS
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.simulators import SIMULATORS
from blueprint_pipeline.workspace.checksums import FileDigest, digest_file, digest_files, list_files

_PACKAGES = ("mink", "ompl", "toppra", "numpy", "scipy", "trimesh", "manifold3d", "av", "pyarrow")


def build_provenance(
    sources: BundleSources,
    lab: LabProfile,
    licence: BundleLicence,
    profile: Mapping[str, FileDigest],
    *,
    code_version: str,
    image: str | None,
) -> Provenance:
    """Gather the statement's predicate.

    Args:
        sources: What the stages wrote.
        lab: The lab.
        licence: The computed licence.
        profile: Digest of the lab's profile, by name.
        code_version: Of this package.
        image: Digest of the container image, if there is one.
    """
    plan, cost = sources.plan, sources.cost
    return Provenance(
        code_version=code_version,
        request={
            "scene_id": plan.scene_id,
            "job_id": plan.job_id,
            "lab": lab.id,
            "robot": plan.robot.embodiment,
            "episodes": len(plan.episodes),
            "seed": plan.seed,
            "fps": plan.fps,
            "cameras": list(plan.cameras),
            "width": plan.width,
            "height": plan.height,
            "tier": sources.renders.tier,
            "formats": list(lab.formats),
        },
        seeds={attempt.record.episode_id: attempt.record.spec.seed for attempt in sources.sold_attempts()},
        dependencies=_dependencies(sources, licence, profile, code_version, image),
        quality={
            "tiers_version": sources.renders.tiers_version,
            "attempted": len(plan.episodes),
            "kept": len(sources.kept),
            "episodes_gated": _verdict_counts(sources.gates),
            "renders_gated": _verdict_counts(sources.renders),
            "model_sha256": sources.kept_attempts()[0].record.model_sha256,
            "simulator": sources.kept_attempts()[0].record.simulator.model_dump(mode="json"),
            "replay_certificates": _counts(count_rules(sources.kept_certificates())),
            "replays": describe_replays(sources.kept_certificates()),
            "failures": None
            if sources.failures is None
            else {"written": sources.failures.index.written, "kinds": _counts(sources.failures.index.kinds)},
        },
        certification={
            "certified": sources.certification.certified,
            "checks": {f"{check.check} ({check.dataset})": check.status for check in sources.certification.checks},
            "failures": None if sources.failures is None or not sources.failures.attempts else sources.failures.certification.certified,
        },
        cost={
            "usd_per_kept_episode": None if cost.usd_per_kept_episode is None else float(cost.usd_per_kept_episode),
            "certainty": cost.usd_per_kept_episode_certainty.value,
            "measured_usd": float(cost.total.measured_usd),
            "estimated_usd": float(cost.total.estimated_usd),
            "unknown_entries": cost.total.unknown_entries,
            "failures": _failures_cost(cost),
        },
        licence={"licence": licence.licence, "expression": licence.expression, "commercial_ok": licence.commercial_ok},
    )


def _dependencies(
    sources: BundleSources, licence: BundleLicence, profile: Mapping[str, FileDigest], code_version: str, image: str | None
) -> list[dict[str, JsonValue]]:
    scene, robot = sources.plan.scene_id, sources.plan.robot.embodiment
    simulator = sources.kept_attempts()[0].record.simulator
    found = [descriptor(f"scene:{scene}/{name}", digest.sha256) for name, digest in sources.source_files.items()]
    found += [
        descriptor(f"asset:{scene}/{part.name}", None, licence=part.licence, author=part.author, source=part.source)
        for part in licence.parts
        if part.role == "asset"
    ]
    folder = load_embodiment(robot).mjcf_path.parent
    found += [descriptor(f"robot:{robot}/{name}", digest.sha256) for name, digest in digest_files(folder, list_files(folder)).items()]
    tables = {f"config/prices/{table}.yaml": PRICES_DIR / f"{table}.yaml" for table in sources.cost.price_tables}
    prices = {name: digest_file(path) for name, path in tables.items() if path.is_file()}
    found += [descriptor(f"config:{name}", digest.sha256) for name, digest in {**config_digests(), **prices, **profile}.items()]
    found.append(descriptor(f"pkg:generic/blueprint-pipeline@{code_version}"))
    kind = "pypi" if SIMULATORS[simulator.name].python_package else "generic"
    found.append(descriptor(f"pkg:{kind}/{simulator.name}@{quote(simulator.version, safe='')}"))
    found += [descriptor(f"pkg:pypi/{name}@{version(name)}") for name in _PACKAGES]
    if image is not None:
        found.append(descriptor("image:job", image.removeprefix("sha256:")))
    return found


def _verdict_counts(report: GateReport) -> dict[str, JsonValue]:
    return {verdict: report.count(verdict) for verdict in VERDICTS}


def _failures_cost(cost: CostReport) -> JsonValue:
    """What failures cost, beside the kept episodes."""
    found = describe_failures_cost(cost.failures)
    return None if found is None else dict(found)


def _counts(counts: Mapping[str, int]) -> dict[str, JsonValue]:
    return dict(counts)
