"""``python -m operators.check_scenes [FILE]``: whether every row of ``scenes.yaml`` can run; exit status 65 where one cannot."""

import sys
from pathlib import Path

from rich.console import Console

from blueprint_pipeline.errors import BlueprintError, InputError
from operators.scene_rows import SCENES_PATH, check_scene_rows


def main(arguments: list[str]) -> int:
    """Print what is wrong with each row."""
    console = Console(highlight=False, soft_wrap=True)
    path = Path(arguments[0]) if arguments else SCENES_PATH
    try:
        found = check_scene_rows(path)
    except BlueprintError as error:
        console.print(str(error), markup=False)
        return error.exit_code
    for problem in found.problems:
        console.print(problem, markup=False)
    console.print(f"{path}: {len(found.rows)} rows can run; problems: {len(found.problems)}.", markup=False)
    return InputError.exit_code if found.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
