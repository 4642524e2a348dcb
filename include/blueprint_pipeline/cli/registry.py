"""``bpp registry``: the revision of the database, its migration, claimed scenes, messages and runs."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from blueprint_pipeline.cli.output import JsonOption, show, table
from blueprint_pipeline.settings import load_settings

if TYPE_CHECKING:
    from rich.console import Console

    from blueprint_pipeline.registry.migrate import SchemaState

app = typer.Typer(help="Show and migrate the registry's database; show claimed scenes, messages and runs.", no_args_is_help=True)


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


@app.command(epilog="Example: bpp registry claims --json")
def claims(*, as_json: JsonOption = False) -> None:
    """Show which scenes are claimed, by which run and since when, and which leases are held."""
    from blueprint_pipeline.registry.database import open_registry

    with open_registry(load_settings().registry) as registry:
        scenes, leases = registry.scenes.claims(), registry.leases.active()
    rows = [[scene.source.scene_id, scene.source.lab, scene.running_run_id, _minute(scene.started_at)] for scene in scenes]

    def text(console: "Console") -> None:
        console.print(table("Claimed scenes", ["scene", "lab", "run", "since (UTC)"], rows))
        held = [[lease.name, lease.holder, _minute(lease.expires_at)] for lease in leases]
        console.print(table("Leases", ["work", "holder", "until (UTC)"], held))

    data = {"scenes": [scene.model_dump(mode="json") for scene in scenes], "leases": [lease.model_dump(mode="json") for lease in leases]}
    show(data, as_json=as_json, text=text)


@app.command(epilog="Example: bpp registry free-scene tabletop_nightly")
def free_scene(scene_id: Annotated[str, typer.Argument(help="The scene.")], *, as_json: JsonOption = False) -> None:
    """Take a scene from the run that claimed it, so that it is due again at once. End that run first: this does not stop it."""
    from blueprint_pipeline.registry.database import open_registry
    from blueprint_pipeline.registry.errors import SceneNotListed

    with open_registry(load_settings().registry) as registry:
        before = registry.scenes.find(scene_id)
        if before is None:
            raise SceneNotListed(scene_id)
        after = registry.scenes.free(scene_id)
    had = before.running_run_id
    done = f"{scene_id} is free; run {had} had claimed it." if had else f"No run has claimed {scene_id}."
    show({"freed_from": had, **after.model_dump(mode="json")}, as_json=as_json, text=lambda console: console.print(done, markup=False))


@app.command(epilog="Example: bpp registry messages --status waiting")
def messages(
    *,
    status: Annotated[str | None, typer.Option(help="waiting, held, sent or given_up; all if not given.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what people were told, what waits to be sent and what no channel took, newest first."""
    from blueprint_pipeline.registry.database import open_registry
    from blueprint_pipeline.registry.records import MessageStatus

    if status not in {None, *get_args(MessageStatus)}:
        raise typer.BadParameter(f"'{status}' is none of {', '.join(get_args(MessageStatus))}", param_hint="--status")
    with open_registry(load_settings().registry) as registry:
        found = registry.outbox.all_of(status=cast("MessageStatus | None", status))
    rows = [[_minute(item.created_at), item.status, item.channel or "", item.message.text, item.error or ""] for item in found]
    columns = ["when (UTC)", "state", "over", "message", "last error"]
    data = {"messages": [item.model_dump(mode="json") for item in found]}
    show(data, as_json=as_json, text=lambda console: console.print(table("Messages", columns, rows)))


@app.command(epilog="Example: bpp registry runs --hours 12")
def runs(*, hours: Annotated[float, typer.Option(min=0, help="How far back [h].")] = 24.0, as_json: JsonOption = False) -> None:
    """Show the runs of the last hours: how they ended, what was kept, what it cost, where it was delivered."""
    from blueprint_pipeline.registry.database import open_registry

    with open_registry(load_settings().registry) as registry:
        found = registry.runs.since(datetime.now(UTC) - timedelta(hours=hours))
    rows = [
        [
            run.scene_id,
            run.lab or "",
            run.status,
            run.code or "",
            "" if run.kept is None else f"{run.kept} of {run.attempted}",
            run.delivery_id or "",
        ]
        for run in found
    ]
    data = {"runs": [run.model_dump(mode="json") for run in found]}
    columns = ["scene", "lab", "state", "code", "kept", "delivery"]
    show(data, as_json=as_json, text=lambda console: console.print(table(f"Runs of the last {hours:g} h", columns, rows)))


def _minute(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M}"


def _where(state: "SchemaState") -> str:
    return f"The registry at {state.url} {'is empty' if state.revision is None else f'has revision {state.revision}'}"
