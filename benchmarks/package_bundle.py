"""Pack and verify a bundle: blueprint_pipeline against the usual ways, interleaved, CPU time.

Usage: PYTHONPATH=include python benchmarks/package_bundle.py [--megabytes 128] [--pairs 5] [--folder DIR] [--json]

Packing: sha256 of every file, ``tar.gz`` (level 6) and sha256 of it; a plain copy is the limit. Verifying: the snippet
that hashes in a loop of 4 KiB. The tree is 30 % tables and 70 % video, both stand-ins of random bytes (neither
compresses). CPU seconds of this process; wall time of verifying too, since it uses two threads.
"""

import argparse
import hashlib
import json
import shutil
import statistics
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from blueprint_pipeline.delivery.bag import PayloadFile, write_payload, write_signed_tags, write_statement
from blueprint_pipeline.delivery.signing import load_signer, make_signing_key, public_pem, sign_payload
from blueprint_pipeline.delivery.statement import Provenance, build_statement
from blueprint_pipeline.delivery.verify import verify_bundle
from blueprint_pipeline.workspace.checksums import list_files

EMPTY = Provenance(
    code_version="benchmark", request={}, seeds={}, dependencies=[], quality={"kept": 0}, certification={}, cost={}, licence={}
)


def make_tree(folder: Path, megabytes: int) -> None:
    """Small tables and large videos, as a dataset has them."""
    rng = np.random.default_rng(0)
    tables, videos = max(1, round(megabytes * 0.3 / 2)), max(1, round(megabytes * 0.7 / 10))
    for index in range(tables):
        path = folder / f"data/file-{index:03d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rng.bytes(2_000_000))
    for index in range(videos):
        path = folder / f"videos/file-{index:03d}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rng.bytes(10_000_000))


def pack_peer(tree: Path, target: Path) -> None:
    """Checksums, then an archive, then its checksum."""
    lines = [f"{hash_peer(tree / name)}  {name}" for name in list_files(tree)]
    (tree / "SHA256SUMS").write_text("\n".join(lines))
    with tarfile.open(target / "bundle.tar.gz", "w:gz", compresslevel=6) as archive:
        archive.add(tree, arcname="bundle")
    (tree / "SHA256SUMS").unlink()
    hash_peer(target / "bundle.tar.gz")


def pack_ours(tree: Path, target: Path, key: Path) -> None:
    """One pass, and one signature."""
    signer, bag = load_signer(key), target / "bundle"
    bag.mkdir()
    payload = write_payload(bag, [PayloadFile(name, tree / name) for name in list_files(tree)])
    tags = write_signed_tags(bag, payload, {}, public_pem(signer.public_key))
    write_statement(bag, sign_payload(build_statement({**payload, **tags}, EMPTY), signer), tags)


def verify_peer(bag: Path) -> None:
    """Compare every file with the manifest, one after the other."""
    for line in (bag / "manifest-sha256.txt").read_text().splitlines():
        expected, name = line.split("  ", 1)
        if hash_peer(bag / name) != expected:
            raise SystemExit(f"{name} differs")


def hash_peer(path: Path) -> str:
    """The snippet that everybody pastes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(4096), b""):
            digest.update(block)
    return digest.hexdigest()


def measure(work: Callable[[], object]) -> tuple[float, float]:
    """(CPU seconds, wall seconds) of one call."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def run(megabytes: int, pairs: int, folder: Path) -> dict[str, float]:
    """Medians over interleaved pairs."""
    tree, key = folder / "tree", folder / "key.pem"
    make_tree(tree, megabytes)
    make_signing_key(key)
    figures: dict[str, list[tuple[float, float]]] = {}
    for _ in range(pairs):
        for name, pack in (("peer", partial(pack_peer, tree)), ("ours", partial(pack_ours, tree, key=key))):
            out = folder / name
            out.mkdir()
            figures.setdefault(f"pack_{name}", []).append(measure(partial(pack, out)))
            if name == "ours":
                figures.setdefault("verify_peer", []).append(measure(partial(verify_peer, out / "bundle")))
                figures.setdefault("verify_ours", []).append(measure(partial(verify_bundle, out / "bundle", folder / "key.pub.pem")))
            shutil.rmtree(out)
        figures.setdefault("copy", []).append(measure(lambda: shutil.copytree(tree, folder / "copy")))
        shutil.rmtree(folder / "copy")
    cpu = {name: statistics.median(item[0] for item in found) for name, found in figures.items()}
    wall = {name: statistics.median(item[1] for item in found) for name, found in figures.items()}
    return {
        "megabytes": megabytes,
        "pairs": pairs,
        "pack_peer_cpu_s": round(cpu["pack_peer"], 3),
        "pack_ours_cpu_s": round(cpu["pack_ours"], 3),
        "copy_cpu_s": round(cpu["copy"], 3),
        "pack_cpu_ratio": round(cpu["pack_peer"] / cpu["pack_ours"], 1),
        "pack_over_copy_cpu": round(cpu["pack_ours"] / cpu["copy"], 2),
        "verify_peer_cpu_s": round(cpu["verify_peer"], 3),
        "verify_ours_cpu_s": round(cpu["verify_ours"], 3),
        "verify_cpu_ratio": round(cpu["verify_peer"] / cpu["verify_ours"], 2),
        "verify_wall_ratio": round(wall["verify_peer"] / wall["verify_ours"], 2),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=128)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where to write; a memory file system keeps the disk out of the figures")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        figures = run(options.megabytes, options.pairs, Path(folder))
    if options.json:
        json.dump(figures, sys.stdout, indent=1)
        return
    for name, value in figures.items():
        print(f"{name:>22} {value}")
    print("goals: pack_cpu_ratio >= 8, pack_over_copy_cpu <= 3, verify_wall_ratio >= 2")


if __name__ == "__main__":
    main()
