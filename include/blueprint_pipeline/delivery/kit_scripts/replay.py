"""Execute the episodes of this folder again: are the states equal, and was the task done?

Usage: python replay.py [EPISODE ...]      needs mujoco (the version in kit.json), numpy and pyarrow, and nothing else
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.dont_write_bytecode = True  # a file that nobody signed would make the bundle one that was altered
    from blueprint_kit.replay import main

    sys.exit(main(Path(__file__).resolve().parent, sys.argv[1:]))
