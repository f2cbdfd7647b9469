"""Charts as inline SVG: geometry here, markup in templates, colours from the page's CSS.

Nothing but the data decides the bytes, and every colour is a CSS class, so that one chart serves
a light screen, a dark screen and paper.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from bridge.text import environment

if TYPE_CHECKING:
    from jinja2 import Environment

WIDTH = 760
PLOT = (370, 250)
"""Width and height of a plot, without its legend."""
_KEY, _SHORT, _GAP = 18, 22, 14
_STEP, _JOINED, _LONGEST = 24, 6, 28


@lru_cache(maxsize=1)
def templates() -> Environment:
    """The page's templates, escaping what they are given."""
    made = environment("bridge.bench", html=True)
    made.filters["thousands"] = lambda value: "" if value is None else f"{value:,.0f}"
    made.filters["short"] = short
    made.filters["layer_name"] = lambda name: breakable(first_name(name))
    made.filters["percent"] = lambda value: "" if value is None else percent(value)
    return made


def short(value: float, digits: int = 3) -> str:
    """A number in few digits: 950, 12 k, 3.4 M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * 0.9995:
            return f"{float(f'{value / size:.{digits}g}'):g} {letter}"
    return f"{float(f'{value:.{digits}g}'):g}"


def tick(value: float) -> str:
    """A number for an axis: ticks that lie close still differ."""
    return short(value, 4)


def percent(share: float, digits: int = 2) -> str:
    """A share as 92.44 %, on one line."""
    return f"{100 * share:.{digits}f}\u00a0%"


def first_name(name: str) -> str:
    """The first of the names that TensorFlow's converter strings together for fused layers."""
    return name.partition(";")[0]


def breakable(name: str) -> Markup:
    """A name as HTML that may go on in the next line after each of its slashes."""
    return Markup("/<wbr>").join(name.split("/"))


def ending(text: str, longest: int) -> str:
    """A name that may be too long, by its end: what differs between layers stands there."""
    return text if len(text) <= longest else f"…{text[1 - longest :]}"


@dataclass(frozen=True)
class Segment:
    """A part of a bar.

    Attributes:
        value: its length.
        style: CSS class, from the page's palette.
        title: shown on hovering.
    """

    value: float
    style: str
    title: str = ""


@dataclass(frozen=True)
class Bar:
    """One horizontal bar.

    Attributes:
        label: on its left.
        segments: from left to right.
        text: on its right.
        group: bars of one group stand under one heading.
        joined: stands close under the bar before it, as its counterpart.
    """

    label: str
    segments: tuple[Segment, ...]
    text: str
    group: str = ""
    joined: bool = False


def bar_chart(name: str, bars: Sequence[Bar], legend: Mapping[str, str] | None = None) -> str:
    """Horizontal bars, stacked where they have several segments; empty without bars.

    Args:
        name: what the chart shows, for screen readers.
        bars: in order; those of one group together.
        legend: CSS class → words; none where the labels say it all.
    """
    longest = max((sum(s.value for s in bar.segments) for bar in bars), default=0)
    if not longest:
        return ""
    left = max(90, min(210, 8 + 7 * max(len(bar.label) for bar in bars)))
    right = 16 + 7 * max(len(bar.text) for bar in bars)
    scale = (WIDTH - left - right) / longest
    drawn: list[dict[str, Any]] = []
    y, group = 4.0, ""
    headings: list[tuple[float, str]] = []
    for bar in bars:
        if bar.group != group:
            group = bar.group
            y += 10 if drawn else 0
            headings.append((y + 13, group))
            y += 22
        y -= _JOINED if bar.joined else 0
        x, parts = float(left), []
        for segment in bar.segments:
            width = segment.value * scale
            parts.append({"x": x, "width": max(width, 0.4), "part": segment})
            x += width
        label = ending(bar.label, _LONGEST)
        drawn.append({"y": y, "parts": parts, "end": x + 6, "bar": bar, "label": label})
        y += _STEP
    return templates().get_template("charts/bars.svg.j2").render(
        name=name, width=WIDTH, height=y + 4, left=left, bars=drawn, headings=headings,
        legend=legend or {},
    )  # fmt: skip


@dataclass(frozen=True)
class Axis:
    """One axis of a plot.

    Attributes:
        label: what it measures, with the unit.
        low: its lower end.
        high: its upper end.
        log: logarithmic.
        text: how a tick is written.
    """

    label: str
    low: float
    high: float
    log: bool = False
    text: Callable[[float], str] = tick

    def share(self, value: float) -> float:
        """Where a value lies, 0 at the lower end and 1 at the upper."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Round values to mark, at least three."""
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            for steps in ((1,), (1, 2, 5), (1, 2, 3, 4, 5, 6, 8)):
                found = [m * 10.0**p for p in powers for m in steps]
                inside = [t for t in found if self.low * 0.999 <= t <= self.high * 1.001]
                if len(inside) >= 3:
                    return inside
            # A narrow span: what is round there is evenly spaced.
        rough = (self.high - self.low) / 5
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(step * i, 10) for i in range(first, last + 1)]


def log_axis(label: str, values: Sequence[float]) -> Axis:
    """A logarithmic axis with room around its values."""
    low, high = min(values), max(values)
    room = max((high / low) ** 0.06, 1.06)
    return Axis(label, low / room, high * room, log=True)


def linear_axis(label: str, values: Sequence[float], text: Callable[[float], str] = tick) -> Axis:
    """A linear axis with room around its values."""
    low, high = min(values), max(values)
    room = max((high - low) * 0.08, abs(high) * 0.005, 1e-9)
    return Axis(label, low - room, high + room, text=text)


@dataclass(frozen=True)
class Dot:
    """A point of a plot.

    Attributes:
        x: its value.
        y: its value.
        style: CSS class.
        shape: ``dot``, ``ring``, ``square``, ``diamond`` or ``triangle``.
        title: shown on hovering.
    """

    x: float
    y: float
    style: str
    shape: str = "dot"
    title: str = ""


@dataclass(frozen=True)
class Line:
    """A line of a plot.

    Attributes:
        points: its corners.
        style: CSS classes.
    """

    points: tuple[tuple[float, float], ...]
    style: str


@dataclass(frozen=True)
class Key:
    """An entry of a plot's legend.

    Attributes:
        words: what it stands for.
        style: CSS classes, as of a line or a dot.
        shape: ``line``, ``ring`` or ``diamond``.
    """

    words: str
    style: str = ""
    shape: str = "line"


def plot(
    name: str,
    x: Axis,
    y: Axis,
    *,
    dots: Sequence[Dot] = (),
    lines: Sequence[Line] = (),
    note: str = "",
    legend: Sequence[Key] = (),
) -> str:
    """A plot with two axes.

    Args:
        name: what it shows, written above it.
        x: the horizontal axis.
        y: the vertical axis.
        dots: drawn over the lines.
        lines: in order.
        note: a second line of the heading.
        legend: below the plot, two in a row where their words are short.
    """
    columns = 2 if all(len(key.words) < _SHORT for key in legend) else 1
    below = _KEY * -(-len(legend) // columns)
    width, height = PLOT[0], PLOT[1] + below
    left, right, top, bottom = 52, 12, 40 if note else 26, 40 + below
    across, up = width - left - right, height - top - bottom

    def at(px: float, py: float) -> tuple[float, float]:
        return left + x.share(px) * across, top + (1 - y.share(py)) * up

    keys = [
        (left + i % columns * across // 2, PLOT[1] + 8 + i // columns * _KEY, key)
        for i, key in enumerate(legend)
    ]
    return templates().get_template("charts/plot.svg.j2").render(
        name=name, heading=ending(name, (width - 12) // 8), note=note, width=width, height=height,
        left=left, top=top, across=across, up=up,
        x=x, y=y,
        x_ticks=[(left + x.share(t) * across, x.text(t)) for t in x.ticks()],
        y_ticks=[(top + (1 - y.share(t)) * up, y.text(t)) for t in y.ticks()],
        lines=[(line, [at(*p) for p in line.points]) for line in lines],
        dots=[(dot, *at(dot.x, dot.y)) for dot in dots],
        keys=keys,
    )  # fmt: skip


def sheet(plots: Sequence[str], columns: int = 2) -> str:
    """Plots beside each other as an SVG file of its own, with the colours of the page."""
    sizes = [re.match(r'<svg class="plot" width="(\d+)" height="(\d+)"', p) for p in plots]
    tall = max(int(size.group(2)) for size in sizes if size) + _GAP
    wide = PLOT[0] + _GAP
    places = [
        (_GAP + i % columns * wide, _GAP + i // columns * tall, p) for i, p in enumerate(plots)
    ]
    return templates().get_template("charts/sheet.svg.j2").render(
        width=_GAP + wide * min(columns, len(plots)),
        height=_GAP + tall * -(-len(plots) // columns),
        css=style("charts.css"),
        places=places,
    )  # fmt: skip


def style(name: str) -> str:
    """A style sheet among the templates."""
    loader = templates()
    text, _, _ = loader.loader.get_source(loader, name)  # type: ignore[union-attr]
    return text
