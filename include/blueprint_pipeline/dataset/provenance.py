"""Where an episode of a dataset comes from: its line in ``meta/blueprint_pipeline/episodes.jsonl``.

``info.json`` stays as LeRobot defines it, but for the render profile; what only we know stands here: enough to find, explain and replay
an episode.
"""

from collections.abc import Mapping
from pathlib import Path

import pyarrow.parquet as pq

from blueprint_pipeline.dataset.cameras import PinholeCamera
from blueprint_pipeline.dataset.errors import EpisodeUnusable
from blueprint_pipeline.episode.record import EpisodeRecord, ReplayCertificate
from blueprint_pipeline.quality.verdicts import EpisodeVerdict

SIDECAR_VERSION = "1.0"


def build_provenance(
    record: EpisodeRecord,
    certificate: ReplayCertificate,
    integration_state: list[float],
    verdict: EpisodeVerdict,
    cameras: Mapping[str, PinholeCamera],
) -> dict[str, object]:
    """The sidecar's line of one episode, without the time that its making took, so that it is the same when made again.

    Args:
        record: The episode as recorded.
        certificate: That it replays.
        integration_state: The simulator's saved state of frame 0 (MuJoCo's ``mjSTATE_INTEGRATION``), float64.
        verdict: What the final gates said.
        cameras: How a point becomes a pixel, by camera.
    """
    own = record.model_dump(mode="json", exclude={"schema_version"})
    return {
        "schema_version": SIDECAR_VERSION,
        **own,
        "success": record.outcome.success,
        "tries": record.tries,
        "cameras": {name: camera.model_dump(mode="json") for name, camera in cameras.items()},
        "integration_state": integration_state,
        "certificate": certificate.model_dump(mode="json", exclude={"episode_id", "schema_version"}),
        "gates": [gate.model_dump(mode="json") for gate in verdict.gates],
        "metrics": verdict.metrics,
    }


def load_integration_state(path: Path, episode_id: str) -> list[float]:
    """The state that a replay starts from.

    Raises:
        EpisodeUnusable: Row 0 has none.
    """
    values = pq.ParquetFile(path).read_row_group(0, columns=["integration_state"]).column(0)[0].as_py()
    if not values:
        raise EpisodeUnusable(episode_id, str(path), "integration_state of row 0", "absent", "the simulator's saved state")
    return [float(value) for value in values]
