"""Dogan et al.: float32 C against pruned int8 C, LeNet-5 on MNIST, one Cortex-M4.

The network loses channels first, then single weights: each channel that stays costs a bias, a
multiplier and a shift, which at two percent of the weights is as much as the weights themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bridge.bench.plots import Line, Plot
from bridge.study.measure import convert_network, measure, needed, row_of
from bridge.study.networks import Pruned, Subject, Trainer
from bridge.study.page import Page, Results, write_page
from bridge.study.setup import Setup
from bridge.study.sparsify import Plan, Recipe
from bridge.study.subjects import LENET, quick

NAME = "dogan"
SUBJECT = replace(LENET, limit=None, samples=10000, note="")
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
WAYS = {"ptq": "after training", "qat": "with training"}
OURS = {"c-compact": "least flash", "c-sparse": "fewest cycles"}


def study(
    setup: Setup,
    subject: Subject | None = None,
    shares: Sequence[float] | None = None,
    plans: Sequence[Plan] = PLANS,
) -> Path:
    """Run or take up the study; returns the page. What is left out, the setup's quickness says."""
    subject = subject or (quick(LENET) if setup.quick else SUBJECT)
    shares = shares or ((0.05,) if setup.quick else SHARES)
    trainer = Trainer(subject, setup)
    whole = trainer.float_network()
    step, planned = _recipes(trainer)
    chain = [(pruned, False) for pruned in _chain(trainer, whole, shares, step)]
    chain += [(trainer.by_plan(plan, whole, planned), True) for plan in plans]
    shape = tuple(trainer.data.x.shape[1:])
    dense = convert_network(setup, subject, whole, shape, "ptq")
    baseline = measure(setup, dense, DENSE_ENGINES, CORE)
    points = []
    for pruned, by_plan in chain:
        for way in ("qat",) if setup.quick else WAYS:
            converted = convert_network(setup, subject, pruned, shape, way)
            rows = measure(setup, converted, SPARSE_ENGINES, CORE)
            ratios = _programs(rows, baseline)
            point = {"key": converted.key, "way": way, "planned": by_plan, **_network(pruned)}
            points.append(point | {"accuracy": converted.accuracy, "programs": ratios})
    best = _best(points, dense.float_accuracy)
    results = {
        "float": dense.float_accuracy,
        "dense": dense.accuracy,
        "samples": dense.samples,
        "whole": _network(whole),
        "epochs": {"step": step.epochs, "planned": planned.epochs},
        "baseline": baseline,
        "points": points,
        "best": best,
        "verdicts": _verdicts(best, dense.float_accuracy),
    }
    return write_page(setup, results, page)


def _recipes(trainer: Trainer) -> tuple[Recipe, Recipe]:
    """For a step of the chain, and for a plan: there images are moved, lest they are learnt."""
    if trainer.setup.quick:
        quickly = trainer.recipe
        return quickly, replace(PLANNED, epochs=quickly.epochs, every=quickly.every)
    return replace(trainer.recipe, epochs=10, least=10, every=100, rate=2e-3), PLANNED


def _chain(
    trainer: Trainer, whole: Pruned, shares: Sequence[float], recipe: Recipe
) -> list[Pruned]:
    """Fewer channels, then fewer and fewer weights."""
    shorter = replace(recipe, epochs=max(2, recipe.epochs // 2))
    current = trainer.by_channels(CHANNELS, whole, shorter)
    chain = []
    for share in shares:
        current = trainer.by_weights(share, current, recipe)
        chain.append(current)
    return chain


def _network(pruned: Pruned) -> dict[str, Any]:
    """What is left of a network."""
    layers = pruned.facts["layers"].values()
    return {
        "weights": sum(layer["nonzero"] for layer in layers),
        "channels": [layer["shape"][0] for layer in layers],
        "layers": [layer["nonzero"] for layer in layers],
    }


def _programs(
    rows: Sequence[Mapping[str, Any]], baseline: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """A network's programs with their ratios against the float32 and the dense int8 ones."""
    programs = {}
    for engine in OURS:
        ours = needed(rows, engine)
        others = {name: row_of(baseline, name) for name in DENSE_ENGINES}
        ratios = {name: _ratios(other, ours) for name, other in others.items() if other is not None}
        programs[engine] = {"row": ours, "ratios": ratios}
    return programs


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


def page(results: Results) -> Page:
    """The page."""
    points, best = results["points"], results["best"]
    facts = {
        "ours": OURS,
        "against": DENSE_ENGINES,
        "ways": WAYS,
        "paper": PAPER,
        "microcompression": MICROCOMPRESSION,
    }

    def kilobytes(point: Mapping[str, Any], engine: str, part: str) -> float:
        return float(_row(point, engine)["flash_bytes"][part]) / 1000

    def accuracy(point: Mapping[str, Any]) -> tuple[float, float]:
        return kilobytes(point, "c-compact", "weights"), 100 * point["accuracy"]

    def work(point: Mapping[str, Any], engine: str) -> tuple[float, float]:
        return kilobytes(point, engine, "total"), _row(point, engine)["instructions"] / 1000

    def series(name: str, value: Any, style: str, way: str) -> tuple[Line, Line]:
        """The chain, whose networks follow from one another, and the planned one alone."""
        own = [p for p in points if p["way"] == way]
        return (
            Line(name, tuple(value(p) for p in own if not p["planned"]), style),
            Line(f"{name}, planned", tuple(value(p) for p in own if p["planned"]), style, False),
        )

    level = (100 * max(GOALS["accuracy"], results["float"] - GOALS["lost"]), "goal")
    quantized = [series(WAYS[way], accuracy, _STYLES[way], way) for way in WAYS]
    works = [
        series(engine, partial(work, engine=engine), style, "qat")
        for engine, style in zip(OURS, ("blue", "green"), strict=True)
    ]
    plots = [
        Plot("accuracy against weights, c-compact", "weights and tables, kB", "int8 accuracy, %",
             tuple(line for pair in quantized for line in pair),
             level=level, chosen=(accuracy(best), "chosen")),
        Plot("size and work", "flash, code and weights, kB", "thousand instructions",
             tuple(line for pair in works for line in pair),
             chosen=(work(best, "c-compact"), "chosen")),
    ]  # fmt: skip
    return Page("dogan.md.j2", facts, {"dogan": plots})


_STYLES = {"ptq": "amber", "qat": "blue"}


def _row(point: Mapping[str, Any], engine: str) -> Mapping[str, Any]:
    row: Mapping[str, Any] = point["programs"][engine]["row"]
    return row
