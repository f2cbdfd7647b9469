"""The report's figures: which data goes into which chart, in which colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

from bridge.bench.charts import Bar, Segment, bar_chart, first_name, percent, short
from bridge.bench.layers import Crossover, LayerLine
from bridge.bench.plots import Line, Plot, plot
from bridge.bench.row import Row

_FLASH = {
    "weights": ("blue", "weights, biases, tables"),
    "kernels": ("green", "kernels"),
    "application": ("amber", "generated code"),
    "runtime": ("grey", "interpreter and C library"),
}
_RAM = {
    "arena": ("blue", "activations, inputs, outputs"),
    "scratch": ("green", "kernel scratch"),
    "stack": ("amber", "stack"),
    "static": ("grey", "static data"),
}
_CODINGS = {
    "dense": "blue", "sparse": "green", "compact": "amber", "tflm": "grey", "tflm-sparse": "rose",
    "tflm-bitmask": "violet", "tflm-huffman": "brown", "tflm-lut": "sky", "tflm-smallest": "mint",
}  # fmt: skip
_SHAPES = {"dot": "o", "square": "s", "diamond": "D", "triangle": "^"}


def flash(rows: Sequence[Row]) -> str:
    """Flash by component, an engine and core a bar."""
    return _components(rows, "Flash by component, bytes", "flash", _FLASH)


def ram(rows: Sequence[Row]) -> str:
    """RAM by component, an engine and core a bar."""
    return _components(rows, "RAM by component, bytes", "ram", _RAM)


def _components(
    rows: Sequence[Row], name: str, memory: str, parts: Mapping[str, tuple[str, str]]
) -> str:
    bars = []
    for row in rows:
        total = getattr(row, f"{memory}_total")
        if total is None or row.core == "host":
            continue
        values = {part: getattr(row, f"{memory}_{part}") or 0 for part in parts}
        segments = tuple(
            Segment(value, parts[part][0], f"{parts[part][1]}: {value:,} B")
            for part, value in values.items()
            if value
        )
        bars.append(Bar(row.engine, segments, f"{total:,} B", row.core))
    return bar_chart(name, bars, dict(parts.values()))


def instructions(rows: Sequence[Row]) -> str:
    """Exact instructions of one inference."""
    bars = [
        Bar(
            row.engine,
            (Segment(row.instructions, "blue", f"{row.instructions:,} instructions"),),
            f"{row.instructions:,}",
            row.core,
        )
        for row in rows
        if row.instructions and row.core != "host"
    ]
    return bar_chart("Instructions of one inference", bars)


def layer_cycles(lines: Sequence[LayerLine]) -> str:
    """Modelled cycles of every weighted layer, chosen kernel against the best dense one."""
    pairs = [
        (line, "cycles", line.cycles, line.dense_cycles)
        for line in lines
        if line.cycles and line.dense_cycles
    ]
    return _pairs("Modelled cycles by layer, chosen against dense", pairs)


def layer_bytes(lines: Sequence[LayerLine]) -> str:
    """Bytes of every weighted layer, as stored against dense."""
    pairs = [
        (line, "B", float(line.bytes), float(line.dense_bytes))
        for line in lines
        if line.sparsity is not None
    ]
    return _pairs("Bytes by layer, chosen against dense", pairs)


def _pairs(name: str, pairs: Sequence[tuple[LayerLine, str, float, float]]) -> str:
    bars = []
    for line, unit, ours, dense in pairs:
        gain = f" · {dense / ours:.1f}× less" if dense > ours * 1.05 else ""
        text = f"{short(ours)}{gain}"
        title = f"{line.name}, {line.format}: {ours:,.0f} {unit}"
        bars.append(Bar(first_name(line.name), (Segment(ours, "green", title),), text))
        bars.append(
            Bar("", (Segment(dense, "grey", f"{line.name}, dense: {dense:,.0f} {unit}"),),
                short(dense), joined=True)
        )  # fmt: skip
    return bar_chart(name, bars, {"green": "as chosen", "grey": "dense"})


def layer_sparsity(lines: Sequence[LayerLine]) -> str:
    """Share of zero weights of every weighted layer."""
    bars = []
    for line in lines:
        if line.sparsity is None:
            continue
        share = percent(line.sparsity, 1)
        zeros = Segment(line.sparsity, "green", f"{share} zeros")
        rest = Segment(1 - line.sparsity, "grey", f"{percent(1 - line.sparsity, 1)} kept")
        bars.append(
            Bar(
                first_name(line.name), (zeros, rest), f"{percent(line.sparsity, 1)} · {line.format}"
            )
        )
    return bar_chart(
        "Sparsity and format by layer", bars, {"green": "zero weights", "grey": "weights kept"}
    )


def crossover(found: Sequence[Crossover]) -> list[str]:
    """One plot a layer: how many times faster than dense, over sparsity."""
    plots = []
    speeds = [speed for layer in found for _, speed in layer.speedup]
    # One height for all, at least up to twice as fast.
    frame = ((0.0, min([*speeds, 1.0])), (100.0, max([*speeds, 2.0])))
    for layer in found:
        note = "never faster than dense"
        if layer.pays_from is not None:
            start = (
                "at any sparsity" if layer.pays_from == 0 else f"from {percent(layer.pays_from, 0)}"
            )
            note = f"faster than dense {start}; here {layer.speedup_here:.2f}×"
        curve = tuple((100 * share, speed) for share, speed in layer.speedup)
        here = ((100 * layer.sparsity, layer.speedup_here),)
        title = f"{percent(layer.sparsity, 1)} zeros: {layer.speedup_here:.2f}× dense"
        lines = (
            Line("", curve, "blue", shape=""),
            Line("", here, "amber", joined=False, shape="D", title=title),
        )
        plots.append(
            plot(
                Plot(first_name(layer.name), "zero weights, %", "× dense speed", lines,
                     log_y=True, level=(1.0, ""), note=note, frame=frame)
            )
        )  # fmt: skip
    return plots


_FIGURES = {
    "flash": "flash, bytes",
    "ram": "RAM, bytes",
    "cycles": "cycles, modelled",
}


def pareto(study: Mapping[str, Any]) -> list[str]:
    """Accuracy against flash, RAM and cycles, for the points of an exploration."""
    measured = study["measured"]
    if not measured:
        return []
    codings, cores = pareto_codings(study), pareto_cores(study)
    chosen = study.get("chosen", study["recommended"])
    front = set(study["front"])
    limits = study["limits"]
    # A float network without loss lies at this height; for errors, lower is better.
    upward = _higher_is_better(study)
    plots = []
    for figure, label in _FIGURES.items():
        lines = [Line("", _stairs(measured, figure, upward), "soft", shape="")]
        lines += [
            Line("", ((m[figure], m["score"]),),
                 codings[m["point"]["coding"]] + ("" if m["number"] in front else " beaten"),
                 False, _SHAPES[cores[m["point"]["core"]]], point_title(m, study["metric"]))
            for m in sorted(measured, key=lambda m: (m["number"] in front, m["number"] == chosen))
        ]  # fmt: skip
        lines += [
            Line("", ((m[figure], m["score"]),), "ink ring", False, "o", "recommended")
            for m in measured
            if m["number"] == chosen
        ]
        plots.append(
            plot(
                Plot(f"{study['metric']} and {label}", label, study["metric"], tuple(lines),
                     log_x=True, limit=limits.get(figure))
            )
        )  # fmt: skip
    return plots


def pareto_codings(study: Mapping[str, Any]) -> dict[str, str]:
    """Coding → colour, those that were measured."""
    seen = {m["point"]["coding"] for m in study["measured"]}
    return {coding: style for coding, style in _CODINGS.items() if coding in seen}


def pareto_cores(study: Mapping[str, Any]) -> dict[str, str]:
    """Core → shape, those that were measured."""
    seen = sorted({m["point"]["core"] for m in study["measured"]})
    return dict(zip(seen, cycle(_SHAPES), strict=False))


def point_title(measured: Mapping[str, Any], metric: str) -> str:
    """One point in words."""
    point = measured["point"]
    pruned = "unpruned" if point["pattern"] == "none" else f"{point['pattern']} {point['sparsity']}"
    return (
        f"trial {measured['number']}: {pruned}, {point['quantize']}, {point['coding']} on "
        f"{point['core']}: {metric} {measured['score']:.4f}, {measured['flash']:,} B flash, "
        f"{measured['ram']:,} B RAM, {measured['cycles']:,} cycles"
    )


def _higher_is_better(study: Mapping[str, Any]) -> bool:
    """Whether points that lost more score lower."""
    ranked = sorted(study["measured"], key=lambda m: m["lost"])
    return bool(ranked[0]["score"] >= ranked[-1]["score"])


def _stairs(
    measured: Sequence[Mapping[str, Any]], figure: str, upward: bool
) -> tuple[tuple[float, float], ...]:
    """The border of what was reached: for each size, the best score that small."""
    corners: list[tuple[float, float]] = []
    for m in sorted(measured, key=lambda m: (m[figure], -m["score"] if upward else m["score"])):
        value, score = float(m[figure]), float(m["score"])
        better = not corners or (score > corners[-1][1] if upward else score < corners[-1][1])
        if better:
            if corners:
                corners.append((value, corners[-1][1]))
            corners.append((value, score))
    return tuple(corners)
