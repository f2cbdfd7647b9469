"""Younes et al.: pruning, quantization and coding of an activity network, alone and together.

Each technique is on or off; coding has three kinds. What a combination would give if techniques
simply multiplied is the product of their single ratios; the quotient of what came out and that
product says whether they add up (1 or more) or cancel each other (below 1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bridge.bench.plots import Line, Plot
from bridge.study.coding import CODINGS
from bridge.study.corners import OURS, float_corners, int8_corners
from bridge.study.measure import convert_network
from bridge.study.networks import Subject, Trainer
from bridge.study.page import Page, Results, write_page
from bridge.study.setup import Setup
from bridge.study.subjects import HAR, quick

NAME = "younes"
SHARES = (0.1, 0.047, 0.025)
CORNER = 0.047
"""The share of weights that the corner "pruned" keeps."""
POINT = 0.01


def study(
    setup: Setup,
    subject: Subject | None = None,
    shares: Sequence[float] | None = None,
    corner: float = CORNER,
) -> Path:
    """Run or take up the study; returns the page. What is left out, the setup's quickness says."""
    subject = subject or (quick(HAR, epochs=4) if setup.quick else HAR)
    shares = shares or ((CORNER,) if setup.quick else SHARES)
    trainer = Trainer(subject, setup)
    chain = [trainer.float_network()]
    for share in shares:
        chain.append(trainer.by_weights(share, chain[-1]))
    found = []
    for share, pruned in zip((1.0, *shares), chain, strict=True):
        converted = convert_network(setup, subject, pruned, tuple(trainer.data.x.shape[1:]), "ptq")
        full = share in (1.0, corner)
        if full:
            found += float_corners(setup, trainer, pruned, share, converted)
        found += int8_corners(setup, subject, share, converted, full)
    corners = [vars(c) | {"name": c.name} for c in found]
    results = {
        "network": {
            "title": subject.title,
            "note": subject.note,
            "parameters": chain[0].facts["parameters"],
            "samples": len(trainer.data.y_test),
        },
        "corner": corner,
        "corners": corners,
        "additions": _additions(corners, corner),
        "best": _best(corners),
    }
    return write_page(setup, results, page)


def _additions(corners: Sequence[Mapping[str, Any]], share: float) -> list[dict[str, Any]]:
    """For each combination of two or more techniques: its ratio, and that of a mere product.

    The product says something only where the single techniques are those of the combination.
    Huffman codes int8 as it is, but float32 only once it is clustered: no quotient there.
    """
    table = {
        (c["share"] < 1, c["int8"], c["coding"]): c for c in corners if c["share"] in (1.0, share)
    }
    base = table[False, False, "none"]

    def ratio(key: tuple[bool, bool, str]) -> float:
        return float(base["stored"] / table[key]["stored"])

    single = {"pruned": ratio((True, False, "none")), "int8": ratio((False, True, "none"))}
    result = []
    for coding in CODINGS:
        single[coding] = ratio((False, False, coding))
        for pruned, int8 in ((True, False), (False, True), (True, True)):
            if coding == "none" and not (pruned and int8):
                continue
            names = [n for n, on in (("pruned", pruned), ("int8", int8)) if on]
            names += [] if coding == "none" else [coding]
            alike = not (int8 and coding == "huffman")
            product = math.prod(single[name] for name in names)
            together = ratio((pruned, int8, coding))
            result.append(
                {
                    "name": " + ".join(names),
                    "ratio": together,
                    "product": product if alike else None,
                    "gain": together / product if alike else None,
                    "lost": table[pruned, int8, coding]["error"] - base["error"],
                }
            )
    return result


def _best(corners: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The least linked flash within one point of the float network's error."""
    base = next(c for c in corners if c["share"] == 1 and not c["int8"] and c["coding"] == "none")
    allowed = base["error"] + POINT + 1e-9
    good = [c for c in corners if c["flash"] is not None and c["error"] <= allowed]
    return min(good, key=lambda c: int(c["flash"]))


_STYLES = {
    "none": "grey dashed", "bitmask": "violet", "huffman": "rose", "lut": "amber",
    "c-sparse": "green", "c-compact": "blue",
}  # fmt: skip


def page(results: Results) -> Page:
    """The page."""
    corners, share = results["corners"], results["corner"]
    swept = [c for c in corners if c["int8"]]
    names = (*CODINGS, *OURS)

    def curve(coding: str, figure: Callable[[Mapping[str, Any]], float]) -> Line:
        points = tuple((100 * c["share"], figure(c)) for c in swept if c["coding"] == coding)
        return Line(coding, points, _STYLES[coding])

    plots = [
        Plot("stored weights, int8", "weights left, %", "kB",
             tuple(curve(n, lambda c: c["stored"] / 1000) for n in names), log_x=True, log_y=True),
        Plot("error, int8", "weights left, %", "error, %",
             tuple(curve(n, lambda c: 100 * c["error"]) for n in ("none", "lut")), log_x=True),
    ]  # fmt: skip
    facts = {
        "listed": [c for c in corners if c["share"] in (1.0, share)],
        "swept": swept,
        "names": names,
        "shares": sorted({c["share"] for c in swept}, reverse=True),
        "in_c": next(c for c in corners if c["share"] == 1 and c["coding"] == "c-float"),
        "plain": next(c for c in corners if c["share"] == 1 and not c["int8"]
                      and c["coding"] == "none"),
        "measured": any(c["how"] == "TFLM" for c in corners),
    }  # fmt: skip
    return Page("younes.md.j2", facts, {"younes": plots})
