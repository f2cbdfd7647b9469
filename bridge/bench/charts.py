"""Charts as inline SVG: geometry here, markup in templates, colours from the page's CSS.

Nothing but the data decides the bytes, and every colour is a CSS class, so that one chart serves
a light screen, a dark screen and paper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from bridge.text import environment

if TYPE_CHECKING:
    from jinja2 import Environment

WIDTH = 760
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


def style(name: str) -> str:
    """A style sheet among the templates."""
    loader = templates()
    text, _, _ = loader.loader.get_source(loader, name)  # type: ignore[union-attr]
    return text


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
