"""Records the session that the tests play back: the conformance suite, answered by the stand-in.

``python -m tests.simulation.isaac_sim.record_session`` after a change of what is asked of Isaac Sim, or of the conformance scene.
It is no recording of Isaac Sim, and its header says so.
"""

from pathlib import Path

from blueprint_pipeline.simulation.conformance import check_simulator
from blueprint_pipeline.simulation.isaac_sim.backend import IsaacSimSimulator
from blueprint_pipeline.simulation.isaac_sim.session import RecordingApi
from tests.simulation.isaac_sim.stand_in import MujocoStandIn

SESSION = Path(__file__).resolve().parents[2] / "resources" / "isaac_sim" / "conformance_stand_in.jsonl.gz"


def record(path):
    """Run the suite and write it down; returns its results."""
    with RecordingApi(MujocoStandIn(), path, "conformance suite, franka_panda") as api:
        return check_simulator(IsaacSimSimulator(api))


if __name__ == "__main__":
    assert all(result.passed for result in record(SESSION))
