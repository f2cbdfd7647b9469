"""A study's page: Markdown from a template, its pictures as SVG, its figures as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.bundle import write_atomic
from bridge.study.setup import Setup
from bridge.text import environment


@dataclass(frozen=True)
class Line:
    """One curve of a plot: points (x, y), with its name and style."""

    name: str
    points: tuple[tuple[float, float], ...]
    dashed: bool = False


@dataclass(frozen=True)
class Plot:
    """A picture of curves.

    Attributes:
        title, x, y: texts.
        lines: the curves.
        log_x, log_y: logarithmic axes.
        level: a horizontal line, with its name.
    """

    title: str
    x: str
    y: str
    lines: tuple[Line, ...]
    log_x: bool = False
    log_y: bool = False
    level: tuple[float, str] | None = None


@dataclass(frozen=True)
class Page:
    """What a study shows.

    Attributes:
        template: under ``templates/``.
        facts: for the template.
        plots: by file name without ending.
        results: the JSON beside the page.
    """

    template: str
    facts: Mapping[str, Any]
    plots: Mapping[str, Sequence[Plot]] = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)


def write_page(setup: Setup, page: Page) -> Path:
    """Write page, pictures and JSON into the setup's pages folder; the same points, same bytes."""
    from bridge.doctor import versions

    templates = environment("bridge.study")
    templates.filters |= {
        "percent": _percent,
        "bytes": lambda v: "—" if v is None else f"{v:,}",
        "million": lambda v: "—" if v is None else f"{v / 1e6:.3f}",
        "ratio": lambda v: "—" if v is None else f"÷ {v:.2f}",
    }
    text = templates.get_template(page.template).render(
        command=setup.command, seed=setup.seed, quick=setup.quick, versions=versions(),
        tools=tools(), **page.facts,
    )  # fmt: skip
    for name, plots in page.plots.items():
        write_atomic(setup.pages / f"{name}.svg", draw(plots))
    origin = {
        "command": setup.command,
        "seed": setup.seed,
        "versions": versions() | tools(),
    }
    results = json.dumps(origin | dict(page.results), indent=1, sort_keys=True)
    write_atomic(setup.pages / f"{setup.name}.json", results + "\n")
    target = setup.pages / f"{setup.name}.md"
    write_atomic(target, text)
    return target


def _percent(value: float, digits: int = 2) -> str:
    return f"{100 * value:.{digits}f} %"


def tools() -> dict[str, str]:
    """Compiler and emulator, as far as they are installed."""
    from bridge.doctor import checks

    wanted = ("arm-none-eabi-gcc", "qemu-system-arm", "CMSIS-NN")
    return {c.name: c.detail for c in checks() if c.ok and c.name in wanted}


def draw(plots: Sequence[Plot]) -> str:
    """The plots side by side as one SVG, without date or random ids."""
    import io

    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with pyplot.rc_context({"svg.hashsalt": "tflm-bridge", "svg.fonttype": "none"}):
        figure, places = pyplot.subplots(
            1, len(plots), figsize=(4.6 * len(plots), 3.8), squeeze=False
        )
        for axes, plot in zip(places[0], plots, strict=True):
            for line in plot.lines:
                if line.points:
                    x, y = zip(*line.points, strict=True)
                    axes.plot(x, y, "o--" if line.dashed else "o-", label=line.name, markersize=3.5)
            if plot.level is not None:
                axes.axhline(plot.level[0], color="#888", linewidth=0.8, label=plot.level[1])
            if plot.log_x:
                axes.set_xscale("log")
            if plot.log_y:
                axes.set_yscale("log")
            axes.set_title(plot.title, fontsize=10)
            axes.set_xlabel(plot.x)
            axes.set_ylabel(plot.y)
            axes.grid(True, which="both", alpha=0.25)
            axes.legend(fontsize=7)
        figure.tight_layout()
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
        pyplot.close(figure)
    return stream.getvalue()
