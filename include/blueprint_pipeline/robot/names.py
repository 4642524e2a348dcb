"""Which robots there are, without reading more of their records than that: Airflow asks whenever it reads its DAG files."""

from pathlib import Path

RECORDS = Path(__file__).parent
"""Below it each robot has a folder of its name, with its record in it."""
RECORD = "embodiment.yaml"
ROBOT_PREFIX = "robot/"
"""Stands before every name of the robot once it is mounted in a scene."""
DEFAULT_ROBOT = "franka_panda"
"""Acts where nobody chooses."""


def robot_names() -> tuple[str, ...]:
    """Names of all robots on record, sorted; whoever asks for one that cannot act is told why."""
    return tuple(sorted(path.parent.name for path in RECORDS.glob(f"*/{RECORD}")))
