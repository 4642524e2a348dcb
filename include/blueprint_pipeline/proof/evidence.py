"""Files what a proof found with the scene: ``evidence/<simulator>/<time>/`` with ``proof.json``, pictures, and the recorded session."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from blueprint_pipeline.compute.preflight import PreflightReport
from blueprint_pipeline.episode.record import KOfN
from blueprint_pipeline.errors import BlueprintError
from blueprint_pipeline.proof.proof import ProofRecord, prove_simulator
from blueprint_pipeline.simulation.protocol import Simulator
from blueprint_pipeline.task.plan import JobPlan
from blueprint_pipeline.workspace.storage import SceneFolder

PROOF_NAME = "proof.json"
SESSION_NAME = "session.jsonl.gz"
PREFLIGHT_ERROR_NAME = "preflight_error.json"

OpenSimulator = Callable[[Path], AbstractContextManager[Simulator]]
"""Opens the simulator; one that can record its session writes it to the path."""


def evidence_path(simulator: str) -> str:
    """Folder of a new proof, in the scene's folder."""
    return f"evidence/{simulator}/{datetime.now(UTC):%Y%m%dT%H%M%SZ}"


def file_proof(
    scene: SceneFolder,
    plan: JobPlan,
    open_simulator: OpenSimulator,
    where: str,
    *,
    rule: KOfN,
    preflight: PreflightReport | None,
    episode_id: str | None = None,
    image_digest: str | None = None,
    answered_by: Literal["simulator", "stand_in"] = "simulator",
) -> ProofRecord:
    """Prove a simulator on a scene, and file everything below ``where``; ``proof.json`` comes last.

    A simulator that cannot be opened leaves no proof: its error is passed to the caller.
    """
    local = scene.local("mjcf").parent
    scene.local("usd")

    def keep(name: str, data: bytes) -> None:
        scene.write_bytes(f"{where}/{name}", data)

    with TemporaryDirectory(prefix="blueprint-pipeline-prove-") as folder:
        session = Path(folder) / SESSION_NAME
        with open_simulator(session) as simulator:
            record = prove_simulator(
                simulator,
                local,
                plan,
                episode_id=episode_id,
                rule=rule,
                preflight=preflight,
                image_digest=image_digest,
                answered_by=answered_by,
                cache_dir=Path(folder) / "cache",
                keep=keep,
            )
        if session.is_file():
            keep(SESSION_NAME, session.read_bytes())
            record = record.model_copy(update={"session": SESSION_NAME})
    keep(PROOF_NAME, record.model_dump_json(indent=1).encode() + b"\n")
    return record


def file_preflight_error(scene: SceneFolder, where: str, error: BlueprintError) -> None:
    """File why a machine was refused before a simulator was started."""
    scene.write_bytes(f"{where}/{PREFLIGHT_ERROR_NAME}", json.dumps(error.as_dict(), indent=1).encode() + b"\n")
