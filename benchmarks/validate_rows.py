"""Validate dataset rows: blueprint against the usual pandera + pandas schema, same checks, interleaved, CPU time.

Usage: python benchmarks/validate_rows.py [--episodes 10000] [--pairs 5] [--json]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import pandera.pandas as pa

from blueprint.quality.row_checks import RowLimits, check_rows

FPS, FRAMES, JOINTS = 30, 300, 14
LIMITS = RowLimits(fps=FPS, lower=(-3.0,) * JOINTS, upper=(3.0,) * JOINTS, max_velocity=3.0, max_jerk=500.0)


def make_rows(episodes: int) -> pd.DataFrame:
    """Sine movements within the limits."""
    rng = np.random.default_rng(0)
    time_s = np.arange(FRAMES, dtype=np.float32) / FPS
    phase = rng.uniform(0, 2 * np.pi, (episodes, 1, JOINTS)).astype(np.float32)
    rate = rng.uniform(0.3, 1.5, (episodes, 1, JOINTS)).astype(np.float32)
    values = np.sin(phase + rate * time_s[None, :, None]).astype(np.float32).reshape(-1, JOINTS)
    frame = pd.DataFrame(values, columns=[f"joint_{joint}" for joint in range(JOINTS)])
    frame["episode_index"] = np.repeat(np.arange(episodes), FRAMES)
    frame["frame_index"] = np.tile(np.arange(FRAMES), episodes)
    frame["timestamp"] = np.tile(time_s, episodes)
    return frame


def peer_schema() -> pa.DataFrameSchema:
    """The checks as one writes them with pandera and pandas."""
    names = [f"joint_{joint}" for joint in range(JOINTS)]

    def grouped(order: int, most: float) -> Callable[[pd.DataFrame], pd.Series]:
        def check(frame: pd.DataFrame) -> pd.Series:
            change = frame[names]
            for _ in range(order):
                change = change.groupby(frame["episode_index"]).diff()
            return (change.abs().fillna(0) * FPS**order <= most).all(axis=1)

        return check

    columns = {name: pa.Column("float32", pa.Check.in_range(-3.0, 3.0), nullable=False) for name in names}
    columns |= {"episode_index": pa.Column("int64"), "frame_index": pa.Column("int64"), "timestamp": pa.Column("float32", nullable=False)}
    checks = [
        pa.Check(lambda frame: frame["frame_index"] == frame.groupby("episode_index").cumcount()),
        pa.Check(lambda frame: (frame["timestamp"] - frame["frame_index"] / FPS).abs() <= LIMITS.timestamp_tolerance_s),
        pa.Check(grouped(1, LIMITS.max_velocity)),
        pa.Check(grouped(3, LIMITS.max_jerk)),
    ]
    return pa.DataFrameSchema(columns, checks=checks)


def cpu_s(work: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=10_000)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    frame, schema = make_rows(args.episodes), peer_schema()
    names = [f"joint_{joint}" for joint in range(JOINTS)]
    values = np.ascontiguousarray(frame[names].to_numpy())
    index, order, stamp = (frame[name].to_numpy() for name in ("episode_index", "frame_index", "timestamp"))

    def ours() -> None:
        if check_rows(index, order, stamp, values, LIMITS):
            raise SystemExit("ours found a fault in sound rows")

    ratios, own = [], []
    for _ in range(args.pairs):
        peer_s, own_s = cpu_s(lambda: schema.validate(frame)), cpu_s(ours)
        ratios.append(peer_s / own_s)
        own.append(own_s)
    found = {
        "rows": len(frame),
        "pairs": args.pairs,
        "ratio_cpu_median": round(statistics.median(ratios), 1),
        "ratio_cpu_min": round(min(ratios), 1),
        "ratio_cpu_max": round(max(ratios), 1),
        "rows_per_cpu_s": round(len(frame) / statistics.median(own)),
    }
    print(json.dumps(found) if args.json else "\n".join(f"{name}: {value}" for name, value in found.items()))


if __name__ == "__main__":
    main()
