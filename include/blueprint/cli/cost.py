"""``blueprint cost``."""

import typer

app = typer.Typer(no_args_is_help=True)


def cost() -> None:
    """Not wired yet."""
