"""The command line with toy stages in the flow: a program for tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # pods start this file by its path, where no PYTHONPATH leads to the tests

from tests.stage.toy_rows import add_toys

add_toys()

from blueprint_pipeline.cli.app import main  # noqa: E402 -- it reads the flow, which must have the toys by then

if __name__ == "__main__":  # its worker processes import it, too
    main()
