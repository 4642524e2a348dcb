"""``bpp coverage``: what the kept episodes of a scene's batches cover, and what they do not."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from blueprint_pipeline.cli.output import JsonOption, show, table
from blueprint_pipeline.errors import InputError
from blueprint_pipeline.settings import load_settings

if TYPE_CHECKING:
    from blueprint_pipeline.task.coverage_facts import CombinationFacts

COLUMNS = ("skill", "cells of", "filled", "declared", "planned", "judged", "failed")
EMPTIEST = 15
"""Empty pairs that are shown of each robot."""


class NothingCounted(InputError):
    """No batch of the scene was planned with this registry."""

    code = "task.nothing_counted"
    template = (
        "The registry {url} has no batch of scene '{scene_id}'. It counts every batch that plan_tasks plans: run "
        "`bpp stage run plan_tasks` for the scene first, or set BPP__REGISTRY__URL to the registry that its runs used."
    )

    scene_id: str
    url: str


def coverage(
    scene_id: Annotated[str, typer.Argument(help="Scene whose batches are added up.")],
    *,
    robot: Annotated[str, typer.Option(help="One robot alone; all by default.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Show which cells of objects, starts, goals, light and sentences are filled by kept episodes, which are empty, and why.

    Every batch of the scene counts: other seeds, robots and skills add up, the same request again replaces its own counts. Plan with
    "cover": "missing" to ask for what is empty.

    Example: bpp coverage tabletop_scanned
    """
    from blueprint_pipeline.job.scene_coverage import load_scene_coverage
    from blueprint_pipeline.workspace.storage import Workspace

    settings = load_settings()
    found = load_scene_coverage(Workspace(settings.workspace).scene(scene_id), settings.registry)
    robots = {name: facts for name, facts in found.robots.items() if robot in {"", name}}
    if not robots:
        raise NothingCounted(scene_id, found.url)

    def text(console: Console) -> None:
        for name, facts in robots.items():
            title = f"{scene_id}, {name}: {facts.kept} of {facts.asked} planned episodes kept, in {len(facts.batches)} batches"
            console.print(table(title, COLUMNS, _rows(facts.combinations)))
            console.print(table("Emptiest pairs", ["skill", "pair", "cell", "why it is empty"], _empty(facts.combinations)))
        if found.other_forms:
            console.print(f"Not counted: {found.other_forms} batches of the scene as it was before it was changed.")

    document = {"scene_id": scene_id, "robots": {name: facts.model_dump(mode="json") for name, facts in robots.items()}}
    show({**document, "batches_of_other_forms": found.other_forms}, as_json=as_json, text=text)


def _rows(combinations: "Sequence[CombinationFacts]") -> list[list[object]]:
    return [
        [facts.skill, facts.title, facts.filled, facts.declared, facts.asked, facts.attempted, sum(facts.failed.values())]
        for facts in combinations
    ]


def _empty(combinations: "Sequence[CombinationFacts]") -> list[list[object]]:
    """Empty cells of pairs: those that were attempted most often first, and of each pair of axes some."""
    rows: list[tuple[int, int, list[object]]] = [
        (-cell.attempted, number, [facts.skill, facts.title, cell.name, cell.empty_because])
        for facts in combinations
        if len(facts.axes) > 1
        for number, cell in enumerate(facts.empty())
    ]
    return [row for _, _, row in sorted(rows, key=lambda item: item[:2])[:EMPTIEST]]
