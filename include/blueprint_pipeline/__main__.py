"""``python -m blueprint_pipeline`` is the command line."""

from blueprint_pipeline.cli.app import main

main()
