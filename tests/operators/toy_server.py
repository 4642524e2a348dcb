"""The fork server with toy stages in the flow: a program for tests."""

import sys

from blueprint_pipeline.cli.fork_server import main
from tests.operators import toy_pipeline  # noqa: F401 -- importing it puts the toys into the flow

if __name__ == "__main__":  # worker processes of its jobs import it, too
    main(sys.argv[1:])
