"""Younes et al.: pruning, quantization and coding of an activity network, alone and together.

Each technique is on or off; coding has three kinds. What a combination would give if techniques
simply multiplied is the product of their single ratios; the quotient of what came out and that
product says whether they add up (1 or more) or cancel each other (below 1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bridge.study.coding import CODINGS
from bridge.study.corners import OURS, Corner, float_corners, int8_corners
from bridge.study.measure import convert_network
from bridge.study.networks import Subject, Trainer
from bridge.study.page import Line, Page, Plot, write_page
from bridge.study.setup import Setup
from bridge.study.subjects import HAR, quick

SHARES = (0.1, 0.047, 0.025)
CORNER = 0.047
"""The share of weights that the corner "pruned" keeps."""
POINT = 0.01


def study(
    setup: Setup, subject: Subject = HAR, shares: Sequence[float] = SHARES, corner: float = CORNER
) -> Path:
    """Run or take up the study; returns the page."""
    if setup.quick and subject is HAR:
        subject, shares = quick(HAR, epochs=4), (CORNER,)
    trainer = Trainer(subject, setup)
    chain = [trainer.float_network()]
    for share in shares:
        chain.append(trainer.by_weights(share, chain[-1]))
    corners: list[Corner] = []
    for share, pruned in zip((1.0, *shares), chain, strict=True):
        converted = convert_network(setup, subject, pruned, tuple(trainer.data.x.shape[1:]), "ptq")
        full = share in (1.0, corner)
        if full:
            corners += float_corners(setup, trainer, pruned, share, converted)
        corners += int8_corners(setup, subject, share, converted, full)
    return show(setup, trainer, corners, corner, subject)


def _additions(corners: Sequence[Corner], share: float) -> list[dict[str, Any]]:
    """For each combination of two or more techniques: its ratio, and that of a mere product."""
    table = {(c.share < 1, c.int8, c.coding): c for c in corners if c.share in (1.0, share)}
    base = table[False, False, "none"]

    def ratio(key: tuple[bool, bool, str]) -> float:
        return base.stored / table[key].stored

    single = {"pruned": ratio((True, False, "none")), "int8": ratio((False, True, "none"))}
    result = []
    for coding in CODINGS:
        single[coding] = ratio((False, False, coding))
        for pruned, int8 in ((True, False), (False, True), (True, True)):
            if coding == "none" and not (pruned and int8):
                continue
            names = [n for n, on in (("pruned", pruned), ("int8", int8)) if on]
            names += [] if coding == "none" else [coding]
            product = 1.0
            for name in names:
                product *= single[name]
            corner = table[pruned, int8, coding]
            together = ratio((pruned, int8, coding))
            result.append(
                {
                    "name": " + ".join(names),
                    "ratio": together,
                    "product": product,
                    "gain": together / product,
                    "lost": corner.error - base.error,
                }
            )
    return result


def _best(corners: Sequence[Corner]) -> Corner:
    """The least linked flash within one point of the float network's error."""
    base = next(c for c in corners if c.share == 1 and not c.int8 and c.coding == "none")
    good = [c for c in corners if c.flash is not None and c.error <= base.error + POINT + 1e-9]
    return min(good, key=lambda c: c.flash or 0)


def show(
    setup: Setup, trainer: Trainer, corners: list[Corner], share: float, subject: Subject
) -> Path:
    """Write the page."""
    listed = [c for c in corners if c.share in (1.0, share)]
    swept = [c for c in corners if c.int8]
    names = (*CODINGS, *OURS)

    def curve(coding: str, figure: Any) -> tuple[tuple[float, float], ...]:
        return tuple((100 * c.share, figure(c)) for c in swept if c.coding == coding and figure(c))

    plots = [
        Plot("stored weights, int8", "weights left, %", "kB",
             tuple(Line(n, curve(n, lambda c: c.stored / 1000), n == "none") for n in names),
             log_x=True, log_y=True),
        Plot("error", "weights left, %", "error, %",
             tuple(Line(n, curve(n, lambda c: 100 * c.error)) for n in ("none", "lut")),
             log_x=True),
    ]  # fmt: skip
    best = _best(corners)
    base = listed[0]
    facts = {
        "subject": subject,
        "listed": listed,
        "swept": swept,
        "names": names,
        "shares": sorted({c.share for c in swept}, reverse=True),
        "corner": share,
        "additions": _additions(corners, share),
        "best": best,
        "base": base,
        "samples": len(trainer.data.y_test),
        "measured": any(c.how == "TFLM" for c in corners),
        "parameters": trainer.float_network().facts["parameters"],
    }
    results: Mapping[str, Any] = {
        "corners": [vars(c) | {"name": c.name} for c in corners],
        "additions": facts["additions"],
        "best": vars(best) | {"name": best.name},
    }
    return write_page(setup, Page("younes.md.j2", facts, {"younes": plots}, results))
