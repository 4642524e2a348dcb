"""Loads demonstrations with robomimic's own reader, and compares every frame with what was simulated.

Runs in the certifying environment: ``python -m blueprint_pipeline.dataset.certify.in_robomimic REQUEST ANSWERS``.
"""

from typing import Any

import numpy as np
import pyarrow.parquet as pq

from blueprint_pipeline.dataset.certify.in_expected import require
from blueprint_pipeline.dataset.certify.in_program import certify_loaded, read_by, run
from blueprint_pipeline.dataset.certify.request import Answer, CertifyRequest

_OBSERVED = {"joint_pos": "robot_qpos", "joint_vel": "robot_qvel", "gripper_pos": "gripper_width_m"}
"""Observations, and the recording's columns that they hold as float32."""


def load(request: CertifyRequest) -> Any:
    """All frames, as a training loop of robomimic sees them."""
    from robomimic.utils.dataset import SequenceDataset

    with read_by("robomimic"):
        return SequenceDataset(
            hdf5_path=str(request.dataset / "dataset.hdf5"),
            obs_keys=tuple(_OBSERVED),
            dataset_keys=("actions", "rewards", "dones"),
            load_next_obs=True,
            hdf5_cache_mode=None,
        )


def check_loads(dataset: Any, request: CertifyRequest) -> str:
    """As many demonstrations and frames as were written."""
    found = (dataset.n_demos, len(dataset))
    expected = (len(request.episodes), sum(episode.frames for episode in request.episodes))
    require(found == expected, f"demonstrations and frames are {found}, expected {expected}")
    return f"loaded {found[0]} demonstrations, {found[1]} frames"


def check_frames(dataset: Any, request: CertifyRequest) -> str:
    """Every frame, with the one after it."""
    number = 0
    for index, episode in enumerate(request.episodes):
        table = pq.read_table(episode.states, columns=list(_OBSERVED.values()))
        rows = {name: np.array(table.column(column).to_pylist(), dtype=np.float32) for name, column in _OBSERVED.items()}
        with read_by("robomimic"):
            for frame in range(episode.frames):
                item = dataset[number]
                for name, values in rows.items():
                    same = np.array_equal(item["obs"][name][0], values[frame]) and np.array_equal(
                        item["next_obs"][name][0], values[frame + 1]
                    )
                    require(same, f"demonstration {index}, frame {frame}: {name} is not the recording's")
                last = frame == episode.frames - 1
                ends = (float(item["dones"][0]), float(item["rewards"][0]))
                require(ends == (float(last), float(last and episode.success)), f"demonstration {index}, frame {frame}: ends are {ends}")
                number += 1
    return f"{number} frames, and what follows each, equal the recordings' states as float32"


def certify(request: CertifyRequest) -> list[Answer]:
    """Every answer; if the file cannot be loaded, that is the only one."""
    return certify_loaded(
        "robomimic.loads",
        lambda: load(request),
        lambda dataset: check_loads(dataset, request),
        {"robomimic.frames_match_states": lambda dataset: check_frames(dataset, request)},
    )


if __name__ == "__main__":
    run(certify)
