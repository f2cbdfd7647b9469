"""``report.html``: one self-contained page with the table, the proofs and the picture."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from bridge.bench.row import Row
from bridge.bench.table import LEGEND, baseline_of, ratio

_COLOURS = {"tflm": "#8a8f98", "c-dense": "#5b8def", "c-sparse": "#2fb57c", "c-float": "#d9a441"}


def render(manifest: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """The page as HTML, without any reference outside itself.

    Args:
        manifest: the bundle's manifest.
        rows: what the bench measured.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("bridge.bench", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    compared = []
    for row in rows:
        base = baseline_of(row, rows) if row.ran and row.core != "host" else None
        if base is row:
            base = None
        compared.append(
            {
                "row": row,
                "against": base.engine if base else "",
                "fewer_instructions": ratio(row.instructions, base.instructions) if base else "",
                "less_flash": ratio(row.flash_total, base.flash_total) if base else "",
            }
        )
    return environment.get_template("report.html.j2").render(
        manifest=manifest,
        rows=compared,
        legend=LEGEND,
        charts=[bars(rows, figure) for figure in ("instructions", "flash_total", "ram_total")],
    )


_TITLES = {
    "instructions": "Instructions of one inference (exact)",
    "flash_total": "Flash: code and weights, bytes",
    "ram_total": "RAM: arena, scratch, stack, static, bytes",
}


def bars(rows: Sequence[Row], figure: str) -> str:
    """One horizontal bar an engine and core, as an SVG string; empty if nothing was measured."""
    measured = [row for row in rows if getattr(row, figure)]
    if not measured:
        return ""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    # The same rows must give the same bytes: no random ids, no date.
    with pyplot.rc_context({"svg.hashsalt": "tflm-bridge", "svg.fonttype": "none"}):
        plot, axes = pyplot.subplots(figsize=(8, 0.42 * len(measured) + 0.9))
        names = [f"{row.engine} · {row.core}" for row in measured]
        values = [getattr(row, figure) for row in measured]
        colours = [_COLOURS.get(row.engine, "#8a8f98") for row in measured]
        drawn = axes.barh(range(len(names)), values, color=colours)
        axes.bar_label(drawn, [f"{value:,}" for value in values], padding=4, color="#808080")
        axes.set_yticks(range(len(names)), names, color="#808080")
        axes.invert_yaxis()
        axes.set_xlim(0, max(values) * 1.2)
        axes.set_title(_TITLES[figure], loc="left", color="#808080", fontsize=11)
        axes.xaxis.set_visible(False)
        for side in axes.spines.values():
            side.set_visible(False)
        axes.tick_params(length=0)
        stream = io.StringIO()
        plot.savefig(
            stream, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None}
        )
        pyplot.close(plot)
    text = stream.getvalue()
    return text[text.index("<svg") :]
