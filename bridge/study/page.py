"""A study's page: its figures as JSON, and drawn from them Markdown and pictures.

The page holds what the JSON beside it holds, so it can be drawn again without measuring.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.bench.plots import Plot, sheet
from bridge.bundle import write_atomic
from bridge.study.setup import Setup
from bridge.text import environment

Results = Mapping[str, Any]
"""What a study found, as its JSON holds it."""


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
        write_atomic(file.with_name(f"{name}.svg"), sheet(several))
    target = file.with_suffix(".md")
    write_atomic(target, text)
    return target


def _percent(value: float, digits: int = 2) -> str:
    return f"{100 * value:.{digits}f} %"
