"""A study's page: its figures as JSON, and drawn from them Markdown and pictures.

The page holds what the JSON beside it holds, so it can be drawn again without measuring.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.bench import plots
from bridge.bundle import write_atomic
from bridge.study.setup import Setup
from bridge.text import environment

Results = Mapping[str, Any]
"""What a study found, as its JSON holds it."""


@dataclass(frozen=True)
class Line:
    """One series of a plot.

    Attributes:
        name: for the legend.
        points: (x, y).
        style: a colour of ``bridge.bench.charts``, perhaps with ``dashed``.
        joined: its points follow from one another, and a line joins them.
    """

    name: str
    points: tuple[tuple[float, float], ...]
    style: str
    joined: bool = True


@dataclass(frozen=True)
class Plot:
    """A picture of series.

    Attributes:
        title, x, y: texts.
        lines: the series; those without points are left out.
        log_x, log_y: logarithmic axes.
        level: a horizontal line, with its name.
        chosen: a point to ring, with its name.
    """

    title: str
    x: str
    y: str
    lines: tuple[Line, ...]
    log_x: bool = False
    log_y: bool = False
    level: tuple[float, str] | None = None
    chosen: tuple[tuple[float, float], str] | None = None


@dataclass(frozen=True)
class Page:
    """What a study shows.

    Attributes:
        template: under ``templates/``.
        facts: for the template, beside the results.
        plots: by file name without ending.
    """

    template: str
    facts: Mapping[str, Any]
    plots: Mapping[str, Sequence[Plot]] = field(default_factory=dict)


def write_page(setup: Setup, results: Results, page: Callable[[Results], Page]) -> Path:
    """Write JSON, page and pictures into the setup's pages folder; returns the page.

    Args:
        setup: of the study.
        results: what it found, JSON-able.
        page: makes the page of results as they are read back.
    """
    origin = {
        "command": setup.command,
        "seed": setup.seed,
        "quick": setup.quick,
        "versions": setup.versions(),
    }
    file = setup.pages / f"{setup.name}.json"
    text = json.dumps(origin | dict(results), indent=1, sort_keys=True)
    write_atomic(file, text + "\n")
    return draw_page(file, page)


def draw_page(file: Path, page: Callable[[Results], Page]) -> Path:
    """Draw page and pictures from the JSON of a study; the same figures, the same bytes."""
    results = json.loads(file.read_text())
    made = page(results)
    templates = environment("bridge.study")
    templates.filters |= {
        "percent": _percent,
        "bytes": lambda v: "—" if v is None else f"{v:,}",
        "ratio": lambda v: "—" if v is None else f"÷ {v:.2f}",
    }
    text = templates.get_template(made.template).render(results | dict(made.facts))
    for name, several in made.plots.items():
        write_atomic(file.with_name(f"{name}.svg"), draw(several))
    target = file.with_suffix(".md")
    write_atomic(target, text)
    return target


def _percent(value: float, digits: int = 2) -> str:
    return f"{100 * value:.{digits}f} %"


def draw(several: Sequence[Plot]) -> str:
    """The plots, two in a row, as one SVG."""
    return plots.sheet([_draw(plot) for plot in several])


def _draw(plot: Plot) -> str:
    shown = [line for line in plot.lines if line.points]
    across = [x for line in shown for x, _ in line.points]
    up = [y for line in shown for _, y in line.points]
    up += [] if plot.level is None else [plot.level[0]]
    x = (plots.log_axis if plot.log_x else plots.linear_axis)(plot.x, across)
    y = (plots.log_axis if plot.log_y else plots.linear_axis)(plot.y, up)
    lines = [plots.Line(line.points, line.style) for line in shown if line.joined]
    legend = [plots.Key(s.name, s.style, "line" if s.joined else "diamond") for s in shown]
    if plot.level is not None:
        lines.append(plots.Line(((x.low, plot.level[0]), (x.high, plot.level[0])), "even"))
        legend.append(plots.Key(plot.level[1], "even"))
    dots = [
        plots.Dot(*point, line.style.split()[0], "dot" if line.joined else "diamond")
        for line in shown
        for point in line.points
    ]
    if plot.chosen is not None:
        dots.append(plots.Dot(*plot.chosen[0], "", "ring"))
        legend.append(plots.Key(plot.chosen[1], shape="ring"))
    return plots.plot(plot.title, x, y, dots=dots, lines=lines, legend=legend)
