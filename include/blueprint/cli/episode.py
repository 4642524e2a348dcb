"""``blueprint episode``."""

import typer

app = typer.Typer(no_args_is_help=True)


def episode() -> None:
    """Not wired yet."""
