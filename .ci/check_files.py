# ruff: noqa: INP001 -- programs of the pipeline, no package
"""Parse every file that has a grammar, import every module, look for secrets: what a broken commit shows first.

``check_files.py [--parse-only]``. Ends with 1 and one line a finding.
"""

import argparse
import importlib
import json
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
SECRETS_BASELINE = ".secrets.baseline"
BASELINE_MOVED = 3
"""Exit status of detect-secrets: nothing new, known findings moved to other lines, which it wrote to the baseline."""
PACKAGES = {"include/blueprint_pipeline": "blueprint_pipeline", "operators": "operators", "plugins": "plugins"}


def tracked_files() -> list[str]:
    """All files that git knows and that are there."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")  # noqa: S607 -- git lies elsewhere on every machine
    return sorted(name for name in names if name and (ROOT / name).is_file())


def load_yaml(text: str) -> None:
    """All documents of a YAML file."""
    list(yaml.safe_load_all(text))


PARSERS: dict[str, Callable[[str], object]] = {
    ".json": json.loads,
    ".yaml": load_yaml,
    ".yml": load_yaml,
    ".toml": tomllib.loads,
    ".py": lambda text: compile(text, "<file>", "exec", dont_inherit=True),
}
BROKEN_ON_PURPOSE = ("/broken/", "helm/")
"""Test data that must not parse, and templates that are no YAML before they are rendered."""


def unparsable(names: list[str]) -> Iterator[str]:
    """Files that their own parser refuses."""
    for name in names:
        parse = PARSERS.get(Path(name).suffix)
        if parse is None or any(part in f"/{name}" for part in BROKEN_ON_PURPOSE):
            continue
        try:
            parse((ROOT / name).read_text(encoding="utf-8"))
        except (ValueError, SyntaxError, yaml.YAMLError) as error:
            yield f"{name}: {str(error).splitlines()[0]}"


def unimportable(names: list[str]) -> Iterator[str]:
    """Modules that do not import."""
    for name in names:
        folder = next((folder for folder in PACKAGES if name.startswith(f"{folder}/") and name.endswith(".py")), None)
        if folder is None or "migrations/" in name or Path(name).stem == "__main__":
            continue
        inner = Path(name).relative_to(folder).with_suffix("").parts
        module = ".".join([PACKAGES[folder], *(part for part in inner if part != "__init__")])
        try:
            importlib.import_module(module)
        except Exception as error:  # noqa: BLE001 -- an import runs any code: whatever it raises is the finding, and the rest is looked at too
            yield f"{name}: {type(error).__name__}: {error}"


def secrets(names: list[str]) -> Iterator[str]:
    """What looks like a secret and is not in the audited baseline."""
    looked_at = [name for name in names if Path(name).suffix not in {".lock", ".obj", ".glb", ".png"} and "requirements" not in name]
    command = [sys.executable, "-m", "detect_secrets.pre_commit_hook", "--baseline", SECRETS_BASELINE, *looked_at]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="backslashreplace", check=False)
    if ended.returncode not in (0, BASELINE_MOVED):
        yield from (ended.stdout or ended.stderr).strip().splitlines()


def main() -> int:
    """Print findings; 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parse-only", action="store_true", help="import nothing and look for no secrets")
    chosen = parser.parse_args()
    names = tracked_files()
    findings = list(unparsable(names))
    if not chosen.parse_only:
        findings += [*unimportable(names), *secrets(names)]
    for finding in findings:
        sys.stderr.write(f"{finding}\n")
    sys.stdout.write(f"{len(names)} files looked at, {len(findings)} findings\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
