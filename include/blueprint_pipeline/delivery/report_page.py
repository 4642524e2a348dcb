"""The report page of a bundle: one HTML file that needs no network and no other file."""

import base64
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from blueprint_pipeline.delivery.contact_sheet import MAX_TILES, build_contact_sheet, build_strip, sheet_speed
from blueprint_pipeline.delivery.report_facts import ReportFacts
from blueprint_pipeline.delivery.report_plots import draw_cost, draw_gate_margins, draw_starts
from blueprint_pipeline.price.money import describe_usd_per_episode, format_usd

MAX_STRIPS = 60
"""Above it the table of episodes shows no stills: the page would grow without end."""
TEMPLATE = "report.html.j2"
_UNITS = {"s": "s", "m": "m", "n": "N", "hz": "Hz", "rad": "rad", "kg": "kg"}


def build_report(facts: ReportFacts, previews: Mapping[str, list[Path]]) -> bytes:
    """Draw the page; the same facts and previews give the same bytes.

    Args:
        facts: All that the page shows.
        previews: By camera, the preview of each kept episode in the order of ``facts.kept``.
    """
    with ThreadPoolExecutor() as pool:  # decoders, scalers and encoders let go of the interpreter's lock
        sheets = dict(zip(previews, pool.map(build_contact_sheet, previews.values()), strict=True))
    strips = [build_strip(path) for path in next(iter(previews.values()))] if len(facts.kept) <= MAX_STRIPS else []
    page = (
        _environment()
        .get_template(TEMPLATE)
        .render(
            facts=facts,
            sheets={camera: _uri("video/mp4", sheet) for camera, sheet in sheets.items()},
            sheet_episodes=min(len(facts.kept), MAX_TILES),
            sheet_speed=sheet_speed(facts.fps),
            strips=[_uri("image/jpeg", strip) for strip in strips],
            gates_plot=_uri("image/svg+xml", draw_gate_margins(facts.gate_dots)) if facts.gate_dots else None,
            starts_plot=_uri("image/svg+xml", draw_starts(facts.starts)) if facts.starts else None,
            cost_plot=_uri("image/svg+xml", draw_cost(facts.cost)) if facts.cost.stages else None,
        )
    )
    return page.encode()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("blueprint_pipeline.delivery", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["usd"] = format_usd
    environment.filters["usd_per_episode"] = describe_usd_per_episode
    environment.filters["metric"] = _metric
    environment.filters["megabytes"] = lambda value: f"{value / 1e6:,.1f} MB"
    environment.filters["words"] = lambda value: str(value).replace("_", " ")
    return environment


def _metric(name: str) -> str:
    """``tool_path_m`` as ``tool path [m]``."""
    words, _, last = name.rpartition("_")
    return f"{words} [{_UNITS[last]}]".replace("_", " ") if words and last in _UNITS else name.replace("_", " ")


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
