"""Plots of the report page as SVG: one fixed style, text as outlines, the same data give the same bytes."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from blueprint_pipeline.delivery.report_facts import CostFacts, GateDot, StartDot

KEPT, REJECTED, ESTIMATED, LIMIT, INK, GRID = "#0b5cad", "#c2410c", "#9cc3e6", "#b42318", "#1f2933", "#e4e7eb"
_KEPT_DOTS: dict[str, Any] = {"marker": "o", "color": KEPT, "alpha": 0.55, "linewidths": 0, "label": "kept"}
_REJECTED_DOTS: dict[str, Any] = {"marker": "x", "color": REJECTED, "alpha": 0.9, "linewidths": 1.2, "label": "rejected"}
_CATEGORIES = ("#0b5cad", "#c2410c", "#2f855a", "#7c3aed", "#b7791f", "#0e7490", "#be185d", "#4a5568")
_MAX_SHARE = 1.6
_SHOWN = 0.0005
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "svg.fonttype": "path",
    "svg.hashsalt": "blueprint_pipeline",
    "axes.edgecolor": GRID,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
}


def draw_gate_margins(dots: Sequence[GateDot]) -> bytes:
    """Draw how far every episode was from every limit: one row a gate, one mark an episode."""
    gates = list(dict.fromkeys(dot.gate for dot in dots))[::-1]
    with _axes(7.2, 0.9 + 0.27 * len(gates)) as (axes, finish):
        for kept, style in ((True, _KEPT_DOTS), (False, _REJECTED_DOTS)):
            shown = [dot for dot in dots if dot.kept is kept]
            if shown:
                x = [min(dot.share_of_limit, _MAX_SHARE) for dot in shown]
                y = [gates.index(dot.gate) for dot in shown]
                axes.scatter(x, y, s=22, **style)
        axes.axvline(1.0, color=LIMIT, linewidth=1.4)
        axes.text(1.0, len(gates) - 0.35, " limit", color=LIMIT, va="bottom", ha="center")
        axes.set_yticks(range(len(gates)), [gate.replace("_", " ") for gate in gates])
        axes.set_ylim(-0.7, len(gates) - 0.3)
        axes.set_xlim(-0.03, _MAX_SHARE + 0.05)
        axes.set_xticks([0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5], ["0", "25 %", "50 %", "75 %", "100 %", "125 %", "≥150 %"])
        axes.set_xlabel("measured value as a share of its limit")
        axes.grid(axis="both")
        axes.legend(loc="lower right", ncols=2, bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)
        return finish()


def draw_cost(cost: CostFacts) -> bytes:
    """Draw cost by stage, measured and estimated side by side in one bar, in thousandths of a dollar."""
    rows = [row for row in cost.stages if row.measured_usd or row.estimated_usd][::-1]
    with _axes(7.2, 0.9 + 0.27 * max(len(rows), 1)) as (axes, finish):
        names = [row.stage.replace("_", " ") for row in rows]
        measured = [1000 * row.measured_usd for row in rows]
        estimated = [1000 * row.estimated_usd for row in rows]
        axes.barh(names, measured, color=KEPT, height=0.62, label="measured" if any(measured) else None)
        axes.barh(names, estimated, left=measured, color=ESTIMATED, height=0.62, label="estimated" if any(estimated) else None)
        for index, value in enumerate(a + b for a, b in zip(measured, estimated, strict=True)):
            axes.text(value, index, f" {value:.3f}" if value >= _SHOWN else " <0.001", va="center", ha="left")
        axes.margins(x=0.12)
        axes.set_xlabel("cost of the whole run [0.001 USD]")
        axes.grid(axis="x")
        axes.legend(loc="lower right")
        return finish()


def draw_starts(starts: Sequence[StartDot]) -> bytes:
    """Draw from above where the targets began (filled) and where they were to go (rings)."""
    targets = sorted({dot.target for dot in starts})
    with _axes(4.6, 4.2) as (axes, finish):
        for index, target in enumerate(targets):
            colour = _CATEGORIES[index % len(_CATEGORIES)]
            shown = [dot for dot in starts if dot.target == target]
            for dot in shown:
                axes.plot(*zip(dot.start_m, dot.goal_m, strict=True), color=colour, alpha=0.18, linewidth=1)
            axes.scatter(
                [dot.start_m[0] for dot in shown], [dot.start_m[1] for dot in shown], s=24, color=colour, label=target.replace("_", " ")
            )
            axes.scatter(
                [dot.goal_m[0] for dot in shown],
                [dot.goal_m[1] for dot in shown],
                s=30,
                facecolors="none",
                edgecolors=colour,
                linewidths=1.2,
            )
        axes.set_aspect("equal", adjustable="datalim")
        axes.set_xlabel("x in the world [m]")
        axes.set_ylabel("y in the world [m]")
        axes.grid()
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, fontsize=8)
        return finish()


@contextmanager
def _axes(width_in: float, height_in: float) -> Iterator[tuple[Axes, "_Finish"]]:
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width_in, height_in))
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        axes.tick_params(length=0)
        yield axes, _Finish(figure)


class _Finish:
    """Turns a figure into SVG."""

    def __init__(self, figure: Figure) -> None:
        self._figure = figure

    def __call__(self) -> bytes:
        target = io.BytesIO()
        self._figure.savefig(target, format="svg", bbox_inches="tight", pad_inches=0.08, metadata={"Date": None, "Creator": None})
        return target.getvalue()
