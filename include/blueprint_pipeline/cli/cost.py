"""``bpp cost``: what a scene's run cost, by stage and by kept episode."""

from typing import Annotated

import typer
from rich.console import Console

from blueprint_pipeline.cli.output import JsonOption, show, table
from blueprint_pipeline.settings import load_settings


def cost(scene_id: Annotated[str, typer.Argument(help="Scene whose run was priced.")], *, as_json: JsonOption = False) -> None:
    """Show the cost of a run: measured use, dated prices, rejects priced in; measured, estimated and unknown kept apart.

    Example: bpp cost tabletop_scanned --json
    """
    from blueprint_pipeline.cost.report import COLUMNS, build_rows, load_cost_report
    from blueprint_pipeline.price.money import describe_usd_per_episode, format_usd
    from blueprint_pipeline.workspace.storage import Workspace

    scene = Workspace(load_settings().workspace).scene(scene_id)
    report = load_cost_report(scene)

    def text(console: Console) -> None:
        console.print(table(f"{scene_id}: {report.kept} of {report.attempted} episodes kept", list(COLUMNS), build_rows(report)))
        price = report.usd_per_kept_episode
        words = "not known" if price is None else f"{describe_usd_per_episode(price)} ({report.usd_per_kept_episode_certainty})"
        console.print(f"Cost: {words}, at prices of {', '.join(report.price_tables)}.")
        if report.failures is not None:
            each = report.failures.usd_per_failure
            told = "not known" if each is None else f"{format_usd(each)} each ({report.failures.usd_per_failure_certainty})"
            console.print(
                f"Failed episodes that are sold: {report.failures.episodes}. Drawing and writing them: {told}; no part of the above."
            )
        for machine, description in sorted(report.machines.items()):
            console.print(f"Machine {machine}: {description}")
        for gap in report.not_included:
            console.print(f"Not included: {gap}")

    show(report.model_dump(mode="json"), as_json=as_json, text=text)
