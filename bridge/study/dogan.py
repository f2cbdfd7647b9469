"""Dogan et al.: float32 C against pruned int8 C, LeNet-5 on MNIST, one Cortex-M4.

The network loses channels first, then single weights: each channel that stays costs a bias, a
multiplier and a shift, which at two percent of the weights is as much as the weights themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bridge.study.measure import Converted, convert_network, measure, needed, row_of
from bridge.study.networks import Pruned, Subject, Trainer
from bridge.study.page import Line, Page, Plot, write_page
from bridge.study.setup import Setup
from bridge.study.sparsify import Plan, Recipe
from bridge.study.subjects import LENET, quick

CORE = "cortex-m4"
CHANNELS = 0.2
SHARES = (0.04, 0.027, 0.022)
PLANS = (Plan((3, 8, 50, 30), (48, 330, 640, 345, 150)),)
"""Bytes are the same for every weight; instructions are not: the first convolution uses one 784
times, the second 100 times. What goes into the second convolution gives most for both."""
PLANNED = Recipe(
    epochs=80, falling=0.6, rate=3e-3, teacher=0.5, temperature=2.0, shift=1, every=100
)
PAPER = {"memory": 12.45, "speed": 2.57}
MICROCOMPRESSION = 55.8
GOALS = {"memory": 40.0, "instructions": 10.0, "accuracy": 0.988, "lost": 0.003, "weights": 60.0}
DENSE_ENGINES = ("c-float", "c-dense", "c-sparse", "tflm")
SPARSE_ENGINES = ("c-compact", "c-sparse")
OURS = {"c-compact": "least flash", "c-sparse": "fewest cycles"}


def study(
    setup: Setup,
    subject: Subject = LENET,
    shares: Sequence[float] = SHARES,
    plans: Sequence[Plan] = PLANS,
) -> Path:
    """Run or take up the study; returns the page."""
    if subject is LENET:
        subject = replace(LENET, limit=None, samples=10000, note="")
    if setup.quick and subject.dataset == LENET.dataset:
        subject, shares = quick(LENET), (0.05,)
    trainer = Trainer(subject, setup)
    whole = trainer.float_network()
    chain = _chain(trainer, whole, shares) + _planned(trainer, whole, plans)
    shape = tuple(trainer.data.x.shape[1:])
    dense = convert_network(setup, subject, whole, shape, "ptq")
    baseline = measure(setup, dense, DENSE_ENGINES, CORE)
    points = []
    for pruned in chain:
        for way in ("ptq", "qat"):
            converted = convert_network(setup, subject, pruned, shape, way)
            rows = measure(setup, converted, SPARSE_ENGINES, CORE)
            points.append(_point(pruned, converted, rows, baseline, way))
    return show(setup, subject, whole, dense, baseline, points)


def _chain(trainer: Trainer, whole: Pruned, shares: Sequence[float]) -> list[Pruned]:
    """Fewer channels, then fewer and fewer weights."""
    longer = trainer.recipe
    if not trainer.setup.quick:
        longer = replace(longer, epochs=10, least=10, every=100, rate=2e-3)
    shorter = replace(longer, epochs=max(2, longer.epochs // 2))
    current = trainer.by_channels(CHANNELS, whole, shorter)
    chain = []
    for share in shares:
        current = trainer.by_weights(share, current, longer)
        chain.append(current)
    return chain


def _planned(trainer: Trainer, whole: Pruned, plans: Sequence[Plan]) -> list[Pruned]:
    """So many weights in each layer; images are moved, lest they are learnt by heart."""
    recipe = PLANNED
    if trainer.setup.quick:
        recipe = replace(recipe, epochs=trainer.recipe.epochs, every=trainer.recipe.every)
    return [trainer.by_plan(plan, whole, recipe) for plan in plans]


def _point(
    pruned: Pruned,
    converted: Converted,
    rows: Sequence[Mapping[str, Any]],
    baseline: Sequence[Mapping[str, Any]],
    way: str,
) -> dict[str, Any]:
    """One pruned network with its ratios against the float32 and the dense int8 programs."""
    programs = {}
    for engine in OURS:
        ours = needed(rows, engine)
        others = {name: row_of(baseline, name) for name in DENSE_ENGINES}
        ratios = {name: _ratios(other, ours) for name, other in others.items() if other is not None}
        programs[engine] = {"row": ours, "ratios": ratios}
    layers = pruned.facts["layers"]
    return {
        "key": converted.key,
        "way": way,
        "share": pruned.facts["nonzero"] / 61706,
        "weights": sum(layer["nonzero"] for layer in layers.values()),
        "channels": [layer["shape"][0] for layer in layers.values()],
        "layers": [layer["nonzero"] for layer in layers.values()],
        "plan": pruned.facts["path"].startswith("p"),
        "float": pruned.facts["accuracy"],
        "accuracy": converted.accuracy,
        "programs": programs,
    }


def _ratios(other: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, float]:
    """How many times less our program takes."""

    def ratio(*path: str) -> float:
        a: Any = other
        b: Any = ours
        for name in path:
            a, b = a[name], b[name]
        return float(a) / float(b)

    return {
        "memory": ratio("flash_bytes", "total"),
        "weights": ratio("flash_bytes", "weights"),
        "ram": ratio("ram_bytes", "total"),
        "instructions": ratio("instructions"),
        "cycles": ratio("cycles_modelled", "best"),
    }


def _verdicts(best: Mapping[str, Any], float_accuracy: float) -> list[dict[str, Any]]:
    """Each goal against the point."""
    # All goals of one program: the same that is small must be fast.
    against = best["programs"]["c-compact"]["ratios"]["c-float"]
    lost = float_accuracy - best["accuracy"]
    return [
        {
            "goal": f"memory (weights and code) ÷ {GOALS['memory']:g}",
            "came": f"÷ {against['memory']:.2f}",
            "met": against["memory"] >= GOALS["memory"],
        },
        {
            "goal": f"instructions ÷ {GOALS['instructions']:g}",
            "came": f"÷ {against['instructions']:.2f}",
            "met": against["instructions"] >= GOALS["instructions"],
        },
        {
            "goal": f"weights alone ÷ {GOALS['weights']:g}",
            "came": f"÷ {against['weights']:.2f}",
            "met": against["weights"] >= GOALS["weights"],
        },
        {
            "goal": f"accuracy ≥ {GOALS['accuracy']:.1%}",
            "came": f"{best['accuracy']:.2%}",
            "met": best["accuracy"] >= GOALS["accuracy"],
        },
        {
            "goal": f"within {100 * GOALS['lost']:g} points of float",
            "came": f"{100 * lost:.2f} points below",
            "met": lost <= GOALS["lost"] + 1e-9,
        },
    ]


def _best(points: Sequence[dict[str, Any]], float_accuracy: float) -> dict[str, Any]:
    """The point that meets most goals; of several the most accurate."""

    def worth(point: dict[str, Any]) -> tuple[int, float]:
        met = sum(bool(v["met"]) for v in _verdicts(point, float_accuracy))
        return met, float(point["accuracy"])

    return max(points, key=worth)


def _row(point: Mapping[str, Any], engine: str = "c-compact") -> Mapping[str, Any]:
    row: Mapping[str, Any] = point["programs"][engine]["row"]
    return row


def show(
    setup: Setup,
    subject: Subject,
    whole: Pruned,
    dense: Converted,
    baseline: Sequence[Mapping[str, Any]],
    points: list[dict[str, Any]],
) -> Path:
    """Write the page."""
    best = _best(points, dense.float_accuracy)
    facts = {
        "subject": subject,
        "float": dense.float_accuracy,
        "samples": dense.samples,
        "dense": dense.accuracy,
        "parameters": whole.facts["parameters"],
        "baseline": [r for r in baseline if r["samples"]],
        "missing": [r for r in baseline if not r["samples"]],
        "points": points,
        "planned_epochs": subject.recipe.epochs if setup.quick else PLANNED.epochs,
        "ours": OURS,
        "best": best,
        "verdicts": _verdicts(best, dense.float_accuracy),
        "paper": PAPER,
        "microcompression": MICROCOMPRESSION,
    }
    by = {
        way: tuple((_row(p)["flash_bytes"]["weights"] / 1000, 100 * p["accuracy"])
                   for p in points if p["way"] == way)
        for way in ("ptq", "qat")
    }  # fmt: skip
    level = (100 * max(GOALS["accuracy"], dense.float_accuracy - GOALS["lost"]), "goal")
    speed = {
        engine: tuple((_row(p, engine)["flash_bytes"]["total"] / 1000,
                       _row(p, engine)["instructions"] / 1000)
                      for p in points if p["way"] == "qat")
        for engine in OURS
    }  # fmt: skip
    plots = [
        Plot("accuracy against weights", "weights and tables, kB", "int8 accuracy, %",
             (Line("after training", by["ptq"], True), Line("with training", by["qat"])),
             level=level),
        Plot("size and work", "flash, code and weights, kB", "thousand instructions",
             tuple(Line(engine, line) for engine, line in speed.items())),
    ]  # fmt: skip
    results = {k: facts[k] for k in ("float", "dense", "baseline", "points", "best", "verdicts")}
    return write_page(setup, Page("dogan.md.j2", facts, {"dogan": plots}, results))
