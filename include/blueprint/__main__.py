"""``python -m blueprint`` is the command line."""

from blueprint.cli.app import main

main()
