"""Validates ``croissant.json`` with MLCommons' own library, apart from where it is written."""

import json
from pathlib import Path


def check_croissant(path: Path) -> list[str]:
    """What mlcroissant says is wrong with a file; nothing is fetched.

    Source: mlcroissant, ``Dataset`` (it reads and validates the JSON-LD).
    """
    import mlcroissant  # noqa: PLC0415 -- takes a CPU-second, and only the certification needs it

    if not path.is_file():
        return [f"{path.name} is missing"]
    try:
        dataset = mlcroissant.Dataset(json.loads(path.read_text(encoding="utf-8")))
    except (mlcroissant.ValidationError, ValueError) as error:
        return [" ".join(str(error).split())]
    return sorted(dataset.metadata.ctx.issues.errors)
