"""How generated text is written: jinja2 templates, and numbers as C literals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jinja2 import Environment


def environment(package: str, *, html: bool = False) -> Environment:
    """Templates of one package's ``templates`` folder: C and Markdown, or HTML with escaping."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader(package, "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=not html,
        autoescape=html,
    )
    made.filters["f32"] = float32_literal
    made.filters["comment"] = lambda text: str(text).replace("*/", "* /")
    return made


def float32_literal(value: float) -> str:
    """A float32 as a C literal that reads back as the same value."""
    text = format(float(np.float32(value)), ".9g")
    return f"{text}f" if any(mark in text for mark in ".e") else f"{text}.0f"
