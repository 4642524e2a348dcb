"""The command line with toy stages in the flow: a program for tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from blueprint_pipeline.stage.flow import FLOW

for name in ("toy_intake", "toy_work", "toy_nothing"):
    FLOW[name] = "tests.stage.toy_stages"
for name in ("toy_plan", "toy_shard"):
    FLOW[name] = "tests.operators.toy_shards"

from blueprint_pipeline.cli.app import main  # noqa: E402 -- the flow is extended first

if __name__ == "__main__":  # its worker processes import it, too
    main()
