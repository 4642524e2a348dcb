"""``bpp registry``: where the registry's database stands, and how it is brought to this version."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from blueprint_pipeline.cli.output import JsonOption, show
from blueprint_pipeline.settings import load_settings

if TYPE_CHECKING:
    from blueprint_pipeline.registry.migrate import SchemaState

app = typer.Typer(help="Show and migrate the registry's database.", no_args_is_help=True)


@app.command(epilog="Example: bpp registry status --json")
def status(*, as_json: JsonOption = False) -> None:
    """Say which revision the database has, and change nothing. Ends with 64 while a migration is due, with 78 if it is too new."""
    from blueprint_pipeline.registry.migrate import load_schema_state
    from blueprint_pipeline.registry.sessions import Database, build_engine

    state = load_schema_state(Database(build_engine(load_settings().registry.url)))
    due = f"A migration is due: {', '.join(state.pending)}. `bpp registry migrate` does it." if state.pending else "Nothing is due."
    show(asdict(state), as_json=as_json, text=lambda console: console.print(f"{_where(state)}. {due}", highlight=False, markup=False))
    if state.pending:
        raise typer.Exit(64)


@app.command(epilog="Example: bpp registry migrate")
def migrate(*, as_json: JsonOption = False) -> None:
    """Bring the database to the newest revision, once, however many try at the same time; at that revision, do nothing."""
    from blueprint_pipeline.registry.migrate import load_schema_state
    from blueprint_pipeline.registry.migrate import migrate as migrate_database
    from blueprint_pipeline.registry.sessions import Database, build_engine

    database = Database(build_engine(load_settings().registry.url))
    before = load_schema_state(database)
    migrate_database(database)
    after = load_schema_state(database)
    done = f"Migrated from {before.revision or 'empty'}" if before.pending else "Nothing was due"
    show(
        {"before": before.revision, **asdict(after)},
        as_json=as_json,
        text=lambda console: console.print(f"{_where(after)}. {done}.", highlight=False, markup=False),
    )


def _where(state: "SchemaState") -> str:
    return f"The registry at {state.url} {'is empty' if state.revision is None else f'has revision {state.revision}'}"
