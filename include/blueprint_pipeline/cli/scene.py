"""``bpp scene``: check a reconstructed scene, and ingest it."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from blueprint_pipeline.cli.output import JsonOption, show, table
from blueprint_pipeline.cli.stages import run_stages
from blueprint_pipeline.settings import load_settings
from blueprint_pipeline.stage.flow import stages_of

app = typer.Typer(help="Check, import and show scenes.", no_args_is_help=True)


@app.command(epilog="Example: bpp scene check path/to/regen3d_scene")
def check(
    source: Annotated[str, typer.Argument(help="Folder or URL of a scene in the regen3d/ layout.")], *, as_json: JsonOption = False
) -> None:
    """Check a scene and report everything that is wrong with it; writes nothing. Ends with 65 if it cannot be ingested."""
    from blueprint_pipeline.scene.checks import check_scene

    findings = check_scene(source)
    rows = [[finding.code, finding.where, finding.message] for finding in findings]

    def text(console: Console) -> None:
        console.print(table(f"Findings in {source}", ["code", "where", "what"], rows) if rows else f"{source}: no problems found.")

    show({"source": source, "findings": [finding.as_dict() for finding in findings]}, as_json=as_json, text=text)
    if any(finding.blocking for finding in findings):
        raise typer.Exit(65)


@app.command("import", epilog="Example: bpp scene import path/to/regen3d_scene --scene-id kitchen_7")
def import_scene(
    source: Annotated[str, typer.Argument(help="Folder or URL of a scene in the regen3d/ layout.")],
    *,
    scene_id: Annotated[str, typer.Option(help="Id in the workspace; the name of the source's folder by default.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Ingest a scene and make it physically true: copy, check, estimate physics, decompose, assemble USD and MJCF, settle."""
    chosen = scene_id or Path(source.rstrip("/")).name
    stages = {row.name: row for row in stages_of("scene")}
    results = run_stages(
        chosen, [(name, {"source": source} if "source" in row.params else {}) for name, row in stages.items()], as_json=as_json
    )
    rows = [[name, stages[name].describe(result)] for name, result in results.items()]
    show(
        {"scene_id": chosen, "stages": results},
        as_json=as_json,
        text=lambda console: console.print(table(f"Scene {chosen}", ["stage", "result"], rows)),
    )


@app.command("show", epilog="Example: bpp scene show tabletop_scanned")
def show_scene(scene_id: Annotated[str, typer.Argument(help="Id in the workspace.")], *, as_json: JsonOption = False) -> None:
    """Show the objects of a scene, with their physics and where each value came from, and the stages that are done."""
    from blueprint_pipeline.scene.summary import OBJECT_COLUMNS, build_row, load_summary
    from blueprint_pipeline.workspace.commits import load_commits
    from blueprint_pipeline.workspace.storage import Workspace

    scene = Workspace(load_settings().workspace).scene(scene_id)
    summary = load_summary(scene)
    commits = load_commits(scene)

    def text(console: Console) -> None:
        console.print(table(f"Scene {scene_id}", list(OBJECT_COLUMNS), [build_row(item) for item in summary]))
        done = [
            [
                f"{c.stage} {c.unit}".strip(),
                f"{c.finished_at:%Y-%m-%d %H:%M:%S}",
                f"{c.usage.wall_s:.2f}",
                f"{c.usage.cpu_s:.2f}",
                len(c.outputs),
            ]
            for c in commits
        ]
        console.print(table("Stages done", ["stage", "finished (UTC)", "wall [s]", "CPU [s]", "files"], done))

    data = {
        "scene_id": scene_id,
        "objects": [o.model_dump(mode="json") for o in summary],
        "stages": [c.model_dump(mode="json") for c in commits],
    }
    show(data, as_json=as_json, text=text)
