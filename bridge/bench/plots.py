"""Plots with two axes as inline SVG, alone or several on a sheet; colours as in ``charts``."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bridge.bench.charts import ending, style, templates, tick

PLOT = (370, 250)
"""Width and height of a plot, without its legend."""
_KEY, _SHORT, _GAP = 18, 22, 14


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
