"""Four of the twenty faults of ``tests.e2e.faults``, of the kinds that differ most: the table itself takes a quarter of an hour."""

import pytest

from tests.e2e.fault_lab import FaultLab
from tests.e2e.faults import EPISODES, FAULTS, SHARD_SIZE, left_alone, suffer

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1500), pytest.mark.xdist_group("kubernetes")]

CHOSEN = ("pod killed without grace", "Spot preemption of the node", "token expires", "scheduler and triggerer killed")


@pytest.fixture(scope="module")
def lab(tmp_path_factory, database_url):
    """Airflow in parts over a control plane, and what a run left alone records."""
    found = FaultLab(tmp_path_factory.mktemp("faults"), database_url)
    try:
        found.start().prepare(EPISODES, SHARD_SIZE)
        found.calm = left_alone(found)
        yield found
    finally:
        found.stop()


@pytest.mark.parametrize("name", CHOSEN)
def test_a_fault_ends_in_the_right_state(lab, name):
    """The run succeeds, no twin pod, every episode once and with the same bytes as without the fault."""
    row = suffer(lab, [fault.name for fault in FAULTS].index(name), seed=7, calm=lab.calm)
    assert row.is_right, row
