"""Deutel et al., "Energy-efficient Deployment of Deep Neural Networks on Microcontrollers": the
study of accuracy, memory, time and energy against the share of parameters left.

The paper prunes three networks (structured and unstructured), quantizes after training and with
training, and deploys on Cortex-M0+, M4 and M7: below 10 % of the parameters before accuracy drops.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bridge.study.measure import Converted, convert_network, measure, row_of
from bridge.study.networks import Pruned, Subject, Trainer
from bridge.study.page import Line, Page, Plot, write_page
from bridge.study.setup import Setup
from bridge.study.subjects import CIFAR, CIFAR_WIDE, HAR, LENET, quick

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
    subjects: Sequence[Subject] = SUBJECTS,
    shares: Sequence[float] = SHARES,
    channel_shares: Sequence[float] = CHANNEL_SHARES,
    cores: Sequence[str] = CORES,
) -> Path:
    """Run or take up the study; returns the page."""
    if setup.quick and subjects == SUBJECTS:
        subjects, cores = (quick(LENET), quick(HAR)), ("cortex-m4",)
        shares, channel_shares = (0.1,), (0.25,)
    found: list[dict[str, Any]] = []
    page = setup.pages / f"{setup.name}.md"
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
        page = show(setup, found, cores, missing)  # after each network: an early look
    return page


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
                row = row_of(measure(setup, ways["qat"], ENGINES, core), "c-sparse")
                if row is not None:
                    rows[core] = row
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


def show(
    setup: Setup, subjects: list[dict[str, Any]], cores: Sequence[str], missing: Sequence[str]
) -> Path:
    """Write the page; networks that are not yet measured are named as missing."""
    plots = {}
    for subject in subjects:
        plots[f"deutel-{subject['name']}"] = _plots(subject)
    facts = {"subjects": subjects, "cores": cores, "kinds": KINDS, "ways": QUANTIZATIONS}
    facts["missing"] = missing
    return write_page(
        setup, Page("deutel.md.j2", facts, plots, {"networks": subjects, "missing": list(missing)})
    )


def _plots(subject: dict[str, Any]) -> list[Plot]:
    def curve(kind: str, value: Any) -> tuple[tuple[float, float], ...]:
        chosen = [p for p in subject["points"] if p["kind"] == kind]
        found = [(100 * p["share"], value(p)) for p in chosen]
        return tuple((x, y) for x, y in found if y is not None)

    accuracy = tuple(
        Line(f"{name}, {way}", curve(kind, lambda p, w=way: 100 * p["judged"][w]), way == "ptq")
        for kind, name in KINDS.items()
        for way in QUANTIZATIONS
    )
    x = "parameters left, %"
    level = (100 * (subject["float"] - POINT), "float minus one point")

    def on_m4(figure: Any) -> tuple[Line, ...]:
        def value(p: dict[str, Any]) -> float | None:
            row = p["rows"].get("cortex-m4")
            return None if row is None else figure(row)

        return tuple(Line(name, curve(kind, value)) for kind, name in KINDS.items())

    return [
        Plot("int8 accuracy", x, "accuracy, %", accuracy, log_x=True, level=level),
        Plot(
            "flash, Cortex-M4 (code and weights)", x, "kB",
            on_m4(lambda r: r["flash_bytes"]["total"] / 1000), log_x=True, log_y=True,
        ),
        Plot(
            "one inference, Cortex-M4 (modelled)", x, "million cycles",
            on_m4(lambda r: r["cycles_modelled"] and r["cycles_modelled"]["best"] / 1e6),
            log_x=True, log_y=True,
        ),
    ]  # fmt: skip
