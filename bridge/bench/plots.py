"""Plots with two axes as SVG, drawn by Matplotlib, in the colours of the page's CSS.

Matplotlib draws with a stand-in for each colour, which gives way to the CSS custom property: one
picture serves a light screen, a dark screen and paper. The data and Matplotlib's version decide
the bytes, nothing else.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from bridge.bench.charts import ending, style, tick

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLOT = (370, 250)
"""Width and height of a plot in pixels, without its legend."""
_KEY = 18
_SHORT, _HEADING = 22, 38
"""Letters: of names that go two in a row, and of the longest heading."""
_COLOURS = (
    "paper", "ink", "soft", "line", "grey", "blue", "green", "amber", "violet", "rose", "sky",
    "mint", "brown",
)  # fmt: skip

_LOOK = {
    "svg.fonttype": "none", "text.parse_math": False, "font.size": 11, "axes.titlesize": 13,
    "axes.titleweight": "bold", "axes.titlepad": 9, "axes.labelsize": 11, "legend.fontsize": 11,
    "legend.handlelength": 2.6,
    "lines.linewidth": 2, "lines.markersize": 8, "lines.markeredgewidth": 0,
    "axes.xmargin": 0.06, "axes.ymargin": 0.06, "grid.linewidth": 1,
}  # fmt: skip
"""Sizes in pixels, as in charts.css: Matplotlib lays the texts out, the page's font writes them."""


@dataclass(frozen=True)
class Line:
    """One series of a plot.

    Attributes:
        name: for the legend; empty for none.
        points: (x, y).
        style: CSS classes, the first a colour of the page; ``dashed`` draws it so.
        joined: its points follow from one another, and a line joins them.
        shape: Matplotlib's marker of its points, empty for none; unless given, a dot on a line
            and a diamond alone.
        title: shown on hovering.
    """

    name: str
    points: tuple[tuple[float, float], ...]
    style: str
    joined: bool = True
    shape: str | None = None
    title: str = ""


@dataclass(frozen=True)
class Plot:
    """A picture of series.

    Attributes:
        title, x, y: texts, those of the axes with their units.
        lines: the series, in drawing order; those without points are left out.
        log_x, log_y: logarithmic axes.
        level: a horizontal line, with its name.
        limit: a vertical line.
        chosen: a point to ring, with its name.
        note: a second line of the heading.
        frame: points to keep in sight, drawn or not.
    """

    title: str
    x: str
    y: str
    lines: tuple[Line, ...]
    log_x: bool = False
    log_y: bool = False
    level: tuple[float, str] | None = None
    limit: float | None = None
    chosen: tuple[tuple[float, float], str] | None = None
    note: str = ""
    frame: tuple[tuple[float, float], ...] = ()


def plot(one: Plot) -> str:
    """A plot as markup for a page that holds the style sheet."""
    return ElementTree.tostring(_draw([one], 1, gap=2), encoding="unicode")


def sheet(several: Sequence[Plot], columns: int = 2) -> str:
    """Plots beside each other as an SVG file of its own, with the colours of the page."""
    root = _draw(several, min(columns, len(several)), gap=8)
    root.set("xmlns", "http://www.w3.org/2000/svg")
    look = ElementTree.Element("style")
    look.text = style("charts.css")
    root.insert(0, look)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _draw(several: Sequence[Plot], columns: int, gap: int) -> ElementTree.Element:
    """Plots in rows with a gap around each, as an SVG element without namespace."""
    import matplotlib.style
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    rows = [several[i : i + columns] for i in range(0, len(several), columns)]
    width = columns * (PLOT[0] + 2 * gap)
    height = sum(PLOT[1] + 2 * gap + _KEY * max(_keys(one)[0] for one in row) for row in rows)
    # The salt makes names of marks those of the data: pictures on one page do not share them.
    own = _LOOK | {"svg.hashsalt": repr(several), "figure.dpi": 72}
    with matplotlib.style.context(["default", own]):
        layout = ConstrainedLayoutEngine(w_pad=gap / 72, h_pad=gap / 72)
        figure = Figure((width / 72, height / 72), layout=layout, facecolor=_ink("paper"))
        every = list(figure.subplots(len(rows), columns, squeeze=False).flat)
        for axes, one in zip(every, several, strict=False):
            _plot(axes, one)
        for axes in every[len(several) :]:
            axes.remove()
        written = io.StringIO()
        none = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        with warnings.catch_warnings():
            # Letters that only the page's font has.
            warnings.filterwarnings("ignore", "Glyph")
            figure.savefig(written, format="svg", metadata=none)
    root = _themed(ElementTree.fromstring(written.getvalue()))
    shown = {
        "class": "plot", "width": str(width), "height": str(height),
        "viewBox": f"0 0 {width} {height}", "role": "img",
        "aria-label": ", ".join(one.title for one in several),
    }  # fmt: skip
    root.attrib.clear()
    root.attrib.update(shown)
    return root


def _keys(one: Plot) -> tuple[int, int]:
    """Rows and columns of a plot's legend."""
    marks = [mark[1] for mark in (one.level, one.chosen) if mark is not None]
    names = [name for name in (*(s.name for s in one.lines if s.points), *marks) if name]
    columns = 2 if all(len(name) < _SHORT for name in names) else 1
    return -(-len(names) // columns), columns


def _plot(axes: Axes, one: Plot) -> None:
    """One plot, in Matplotlib's terms."""
    from matplotlib.transforms import Affine2D

    axes.set_frame_on(False)
    axes.set_axisbelow(True)
    heading = ending(one.title, _HEADING)
    axes.set_title(
        f"{heading}\n{one.note}" if one.note else heading,
        loc="left",
        gid="heading" if heading == one.title else f"heading|{one.title}",
    )
    axes.set_xlabel(one.x)
    axes.set_ylabel(one.y)
    for line in one.lines:
        if line.points:
            _series(axes, line)
    thin: dict[str, Any] = {
        "color": _ink("soft"), "linewidth": 1, "linestyle": "--", "zorder": 1.5, "clip_on": False,
    }  # fmt: skip
    if one.level is not None:
        axes.axhline(one.level[0], gid="level", label=one.level[1], **thin)
    if one.limit is not None:
        axes.axvline(one.limit, gid="limit", **thin)
    if one.chosen is not None:
        _series(axes, Line(one.chosen[1], (one.chosen[0],), "ink ring", False, "o"))
    if one.frame:
        axes.update_datalim(one.frame)
    if one.log_x:
        axes.set_xscale("log")
    if one.log_y:
        axes.set_yscale("log")
    axes.autoscale_view()
    for axis, log in ((axes.xaxis, one.log_x), (axes.yaxis, one.log_y)):
        _ticks(axis, log)
    axes.grid(color=_ink("line"), clip_on=False)
    rows, columns = _keys(one)
    if rows:
        drawn, _ = axes.get_legend_handles_labels()
        # Matplotlib fills columns; read in rows, what belongs together stands together.
        drawn = [mark for i in range(columns) for mark in drawn[i::columns]]
        legend = axes.legend(
            handles=drawn, loc="upper left", ncols=columns, frameon=False, borderaxespad=0,
            bbox_to_anchor=(0, 0), bbox_transform=axes.transAxes + Affine2D().translate(0, -36),
        )  # fmt: skip
        for key, mark in zip(legend.get_lines(), drawn, strict=True):
            key.set(gid=mark.get_gid(), markersize=min(key.get_markersize(), 10))


def _series(axes: Axes, line: Line) -> None:
    """A line and its points; a ring lies around its point."""
    shape = ("o" if line.joined else "D") if line.shape is None else line.shape
    ring: dict[str, Any] = {"markersize": 16, "markerfacecolor": "none", "markeredgewidth": 1.8}
    axes.plot(
        *zip(*line.points, strict=True),
        marker=shape,
        color=_ink(line.style.split()[0]),
        linestyle="none" if not line.joined else "--" if "dashed" in line.style else "-",
        label=line.name,
        gid=f"{line.style}|{line.title}",
        clip_on=False,
        **(ring if "ring" in line.style else {}),
    )


def _ticks(axis: Any, log: bool) -> None:
    """Round values in plain numbers; three to seven, however narrow the span."""
    from matplotlib.ticker import FuncFormatter, Locator, LogLocator, MaxNLocator, NullLocator

    low, high = axis.get_view_interval()
    locators: list[Locator] = [MaxNLocator(6, steps=[1, 2, 2.5, 5, 10])]
    if log:
        locators = [LogLocator(), LogLocator(subs=(1, 2, 5)), *locators]
    inside = (sum(low <= t <= high for t in x.tick_values(low, high)) for x in locators)
    found = (x for x, count in zip(locators, inside, strict=True) if 3 <= count <= 7)
    axis.set_major_locator(next(found, locators[-1]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: tick(value)))
    axis.set_tick_params(tick1On=False)


def _ink(name: str) -> str:
    """What stands for a colour of the page while Matplotlib draws."""
    return f"#{_COLOURS.index(name) + 1:06x}"


def _themed(root: ElementTree.Element) -> ElementTree.Element:
    """Matplotlib's SVG with the page's colours and fonts, and our classes in place of its ids."""
    root.remove(root[0])  # a style that would hold for the whole page
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        given = {name.rpartition("}")[2]: value for name, value in element.items()}
        if element.tag == "g":
            classes, _, title = given.pop("id", "").partition("|")
            if not re.search(r"_\d+$", classes):
                given |= {"class": classes} if classes else {}
            if title:
                element.insert(0, ElementTree.Element("title"))
                element[0].text = title
        for name in {"d", "x", "y", "transform"} & given.keys():
            given[name] = re.sub(r"-?\d+\.\d+", lambda m: f"{float(m[0]):.2f}", given[name])
        if given.get("transform", "").startswith("rotate(-0 "):
            del given["transform"]
        if element.tag == "text":
            anchor = re.search(r"text-anchor: \w+", given["style"])
            given["style"] = anchor[0] if anchor else ""
        if "style" in given:
            given["style"] = re.sub(
                r"#0000(\w\w)", lambda m: f"var(--{_COLOURS[int(m[1], 16) - 1]})", given["style"]
            )
        element.attrib.clear()
        element.attrib.update(given)
    return root
