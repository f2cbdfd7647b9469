"""Deutel et al., "Energy-efficient Deployment of Deep Learning Applications on Cortex-M based
Microcontrollers using Deep Compression": accuracy, memory, time and energy against the share of
parameters left.

The paper prunes three networks (structured and unstructured), quantizes after training and with
training, and deploys on Cortex-M0+, M4 and M7: below 10 % of the parameters before accuracy drops.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bridge.bench.plots import Line, Plot
from bridge.study.measure import Converted, convert_network, measure, needed
from bridge.study.networks import Pruned, Subject, Trainer
from bridge.study.page import Page, Results, write_page
from bridge.study.setup import Setup
from bridge.study.subjects import CIFAR, CIFAR_WIDE, HAR, LENET, quick

NAME = "deutel"
SUBJECTS = (LENET, HAR, CIFAR, CIFAR_WIDE)
SHARES = (0.1, 0.047, 0.025)
"""Of the weights; with the biases 0.047 is just below a twentieth of the parameters."""
CHANNEL_SHARES = (0.25, 0.1, 0.05)
"""Whole filters give up earlier: what lies above matters, what lies below is lost."""
KINDS = {"weights": "single weights", "channels": "whole filters"}
QUANTIZATIONS = {"ptq": "after training", "qat": "with training"}
CORES = ("cortex-m0", "cortex-m4", "cortex-m7")
ENGINES = ("c-sparse",)
GOAL = 0.05
POINT = 0.01


def study(
    setup: Setup,
    subjects: Sequence[Subject] | None = None,
    shares: Sequence[float] | None = None,
    channel_shares: Sequence[float] | None = None,
    cores: Sequence[str] | None = None,
) -> Path:
    """Run or take up the study; returns the page. What is left out, the setup's quickness says."""
    subjects = subjects or ((quick(LENET), quick(HAR)) if setup.quick else SUBJECTS)
    shares = shares or ((0.1,) if setup.quick else SHARES)
    channel_shares = channel_shares or ((0.25,) if setup.quick else CHANNEL_SHARES)
    cores = cores or (("cortex-m4",) if setup.quick else CORES)
    found: list[dict[str, Any]] = []
    written = setup.pages
    for position, subject in enumerate(subjects):
        trainer = Trainer(subject, setup)
        sweeps = _sweeps(trainer, shares, channel_shares)
        converted = {
            (kind, pruned.key, way): convert_network(
                setup, subject, pruned, tuple(trainer.data.x.shape[1:]), way
            )
            for kind, chain in sweeps.items()
            for pruned in chain
            for way in QUANTIZATIONS
        }
        found.append(_subject(setup, trainer, sweeps, converted, cores))
        missing = [s.title for s in subjects[position + 1 :]]
        results = {"networks": found, "cores": list(cores), "missing": missing}
        written = write_page(setup, results, page)  # after each network: an early look
    return written


def _sweeps(
    trainer: Trainer, shares: Sequence[float], channel_shares: Sequence[float]
) -> dict[str, list[Pruned]]:
    """For each kind of pruning the float network and ever smaller ones."""
    whole = trainer.float_network()
    weights, channels = [whole], [whole]
    subject = trainer.subject
    if subject.plans:
        weights += [trainer.by_plan(plan, whole, subject.recipe) for plan in subject.plans]
    else:
        for share in shares:
            weights.append(trainer.by_weights(share, weights[-1]))
    own = channel_shares if subject.channel_shares is None else subject.channel_shares
    for share in own:
        channels.append(trainer.by_channels(share, channels[-1]))
    return {"weights": weights, "channels": channels}


def _subject(
    setup: Setup,
    trainer: Trainer,
    sweeps: dict[str, list[Pruned]],
    converted: dict[tuple[str, str, str], Converted],
    cores: Sequence[str],
) -> dict[str, Any]:
    """Everything about one network: a list of points, and what they say about the goal."""
    whole = sweeps["weights"][0].facts
    points = []
    for kind, chain in sweeps.items():
        for pruned in chain:
            ways = {way: converted[kind, pruned.key, way] for way in QUANTIZATIONS}
            rows = {}
            for core in cores:
                # The trained and the calibrated file hold the same weights' places: one is run.
                rows[core] = needed(measure(setup, ways["qat"], ENGINES, core), "c-sparse")
            points.append(
                {
                    "kind": kind,
                    "share": pruned.facts["nonzero"] / whole["nonzero"],
                    "nonzero": pruned.facts["nonzero"],
                    "float": ways["ptq"].float_accuracy,
                    "judged": {way: c.accuracy for way, c in ways.items()},
                    "rows": rows,
                }
            )
    subject = trainer.subject
    return {
        "name": subject.name,
        "title": subject.title,
        "note": subject.note,
        "samples": next(iter(converted.values())).samples,
        "parameters": whole["nonzero"],
        # On the same samples as int8: the float network's own conversion judged it on them.
        "float": converted["weights", sweeps["weights"][0].key, "ptq"].float_accuracy,
        "layers": [layer["nonzero"] for layer in whole["layers"].values()],
        "plans": [plan.weights for plan in subject.plans],
        "points": points,
        "verdicts": _verdicts(points, converted["weights", sweeps["weights"][0].key, "ptq"]),
    }


def _verdicts(points: list[dict[str, Any]], whole: Converted) -> list[dict[str, Any]]:
    """Per kind of pruning and quantization: the smallest share within one point of float."""
    result = []
    for kind, kind_name in KINDS.items():
        if not any(p["kind"] == kind and p["share"] < 1 for p in points):
            continue  # not tried
        for way, way_name in QUANTIZATIONS.items():
            inside = [
                p
                for p in points
                if p["kind"] == kind and p["judged"][way] >= whole.float_accuracy - POINT - 1e-9
            ]
            best = min(inside, key=lambda p: p["share"]) if inside else None
            result.append(
                {
                    "kind": kind_name,
                    "way": way_name,
                    "share": best["share"] if best else None,
                    "accuracy": best["judged"][way] if best else None,
                    "kept": best is not None and best["share"] <= GOAL + 1e-9,
                }
            )
    return result


def page(results: Results) -> Page:
    """The page; networks that are not yet measured are named as missing."""
    plots = {f"deutel-{network['name']}": _plots(network) for network in results["networks"]}
    return Page("deutel.md.j2", {"kinds": KINDS}, plots)


_STYLES = {
    ("weights", "qat"): "blue", ("weights", "ptq"): "blue dashed",
    ("channels", "qat"): "amber", ("channels", "ptq"): "amber dashed",
}  # fmt: skip


def _plots(network: Mapping[str, Any]) -> list[Plot]:
    tried = {p["kind"] for p in network["points"] if p["share"] < 1}
    kinds = {kind: name for kind, name in KINDS.items() if kind in tried}

    def curve(kind: str, value: Callable[[Mapping[str, Any]], float | None]) -> Any:
        chosen = [p for p in network["points"] if p["kind"] == kind]
        found = [(100 * p["share"], value(p)) for p in chosen]
        return tuple((x, y) for x, y in found if y is not None)

    accuracy = tuple(
        Line(
            f"{name}, {way_name}",
            curve(kind, lambda p, w=way: 100 * p["judged"][w]),  # type: ignore[misc]
            _STYLES[kind, way],
        )
        for kind, name in kinds.items()
        for way, way_name in QUANTIZATIONS.items()
    )
    x = "parameters left, %"
    level = (100 * (network["float"] - POINT), "float minus one point")

    def on_m4(title: str, unit: str, figure: Callable[[Mapping[str, Any]], float | None]) -> Plot:
        def value(p: Mapping[str, Any]) -> float | None:
            row = p["rows"].get("cortex-m4")
            return None if row is None else figure(row)

        lines = (
            Line(name, curve(kind, value), _STYLES[kind, "qat"]) for kind, name in kinds.items()
        )
        return Plot(f"{title}, Cortex-M4", x, unit, tuple(lines), log_x=True, log_y=True)

    def energy(row: Mapping[str, Any]) -> float | None:
        return row["boards"][0]["microjoules"] if row["boards"] else None

    plots = [
        Plot("int8 accuracy", x, "accuracy, %", accuracy, log_x=True, level=level),
        on_m4("flash", "kB", lambda r: r["flash_bytes"]["total"] / 1000),
        on_m4(
            "modelled time", "million cycles",
            lambda r: r["cycles_modelled"] and r["cycles_modelled"]["best"] / 1e6,
        ),
        on_m4("estimated energy", "µJ an inference", energy),
    ]  # fmt: skip
    return [plot for plot in plots if any(line.points for line in plot.lines)]
