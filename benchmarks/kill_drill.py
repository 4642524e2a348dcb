"""Kill the flow at random moments with SIGKILL, start it again from the top, and compare with a run that was left alone.

``python benchmarks/kill_drill.py --kills 10 --episodes 8 --seed 1`` prints a table of the kills and whether the results are
byte-identical. Compared are all files of the scene's folder but records of time and use: ``commits/``, ``geniesim/usage/`` and
``geniesim/cost/``.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import blueprint_pipeline
from blueprint_pipeline.settings import environment_of_child

SCENE = "tabletop_scanned"
SOURCE = Path(blueprint_pipeline.__file__).parent / "scene" / "samples" / SCENE
RECORDS = ("commits/", "geniesim/usage/", "geniesim/cost/")


def flow(episodes: int, shard_size: int) -> list[tuple[str, Mapping[str, object]]]:
    """Every stage from the source to the dataset, in order, with its request."""
    shards = range(-(-episodes // shard_size))
    return [
        ("ingest_scene", {"source": str(SOURCE)}),
        *((name, {}) for name in ("estimate_physics", "process_meshes", "assemble_scene", "settle_scene")),
        ("plan_tasks", {"episodes": episodes, "shard_size": shard_size}),
        *(("simulate_shard", {"shard_index": shard}) for shard in shards),
        *((name, {}) for name in ("import_episodes", "gate_episodes")),
        ("record_approval", {"decisions": []}),
        *(("render_shard", {"shard_index": shard}) for shard in shards),
        *((name, {}) for name in ("gate_renders", "write_dataset")),
    ]


def run_stage(folder: Path, stage: str, request: Mapping[str, object], kill_after_s: float | None) -> tuple[int, list[dict[str, object]]]:
    """Run one stage in a process group of its own; kill the group after a while if asked. Exit status and log events."""
    path = folder / "request.json"
    path.write_text(json.dumps({"scene_id": SCENE, **request}))
    environment = environment_of_child({"BPP__LOG__FORMAT": "json", "PYTHONDONTWRITEBYTECODE": ""})
    process = subprocess.Popen(
        [sys.executable, "-m", "blueprint_pipeline", "stage", "run", stage, "--request", str(path)],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        _, stderr = process.communicate(timeout=kill_after_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        _, stderr = process.communicate()
    events = [json.loads(line) for line in stderr.splitlines() if line.startswith("{")]
    return process.returncode, events


def run_flow(folder: Path, stages: list[tuple[str, Mapping[str, object]]], kill_at_s: float | None) -> tuple[str | None, int]:
    """Run all stages from the first. The stage that was killed (``None``: none was), and how many were found done."""
    begun = time.monotonic()
    found = 0
    for stage, request in stages:
        left_s = None if kill_at_s is None else max(0.01, kill_at_s - (time.monotonic() - begun))
        status, events = run_stage(folder, stage, request, left_s)
        found += any(event["event"] == "stage already done" for event in events)
        if status == -signal.SIGKILL:
            return stage, found
        if status != 0:
            raise SystemExit(f"{stage} ended with {status}: {events[-1:]}")
    return None, found


def digests(folder: Path) -> dict[str, str]:
    """sha256 of every file of the scene that is a result."""
    root = folder / ".bpp/workspace/scenes" / SCENE
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    return {name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in names if not name.startswith(RECORDS)}


def main() -> None:
    """Run the drill and print its table; exit 1 if a byte differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--episodes", type=int, default=8)
    parser.add_argument("--shard-size", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    stages = flow(chosen.episodes, chosen.shard_size)
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        calm, harried = Path(one), Path(two)
        begun = time.monotonic()
        run_flow(calm, stages, None)
        whole_s = time.monotonic() - begun
        print(f"left alone: {whole_s:.0f} s, {len(digests(calm))} files")
        generator = random.Random(chosen.seed)
        for kill in range(chosen.kills):
            at_s = generator.uniform(0.02, 0.98) * whole_s
            stage, found = run_flow(harried, stages, at_s)
            print(f"kill {kill + 1:2d} at {at_s:6.1f} s in {stage or 'nothing: it was done'}; {found} stages were found done")
        _, found = run_flow(harried, stages, None)
        before, after = digests(calm), digests(harried)
        wrong = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        print(f"last run: {found} of {len(stages)} stages found done; {len(after)} files, {len(wrong)} differ {wrong[:5]}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
