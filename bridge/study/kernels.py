"""Kernel against kernel: the tables behind ``docs/kernels.md``.

Every weight format on layers of many shapes, beside dense CMSIS-NN on the same core: modelled
cycles and exact instructions, bytes, the sparsity from which each format pays, and how far the
planner's closed-form costs are off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bridge.bench.kernel_layers import SHAPES, LayerShape
from bridge.bench.kernels import (
    BASELINE,
    SPARSITIES,
    KernelRow,
    crossover,
    planner_error,
    run_baselines,
    run_kernel_bench,
)
from bridge.compile.choose import DENSE, FORMATS
from bridge.compile.cost import fit_error
from bridge.firmware.cmsis_nn import find_cmsis_nn
from bridge.study.page import Page, Results, write_page
from bridge.study.setup import Setup

NAME = "kernels"
CORES = ("cortex-m4", "cortex-m33", "cortex-m7", "cortex-m55", "cortex-m3", "cortex-m0")
SHOWN = (0.9, 0.95)


def study(
    setup: Setup,
    shapes: Sequence[LayerShape] = SHAPES,
    sparsities: Sequence[float] = SPARSITIES,
    cores: Sequence[str] = CORES,
) -> Path:
    """Run or take up the study; returns the page."""
    if setup.quick:
        shapes, sparsities, cores = shapes[:1], (0.0, *SHOWN), cores[:1]
    rows = {core: _rows(setup, core, shapes, sparsities) for core in cores}
    newer = {core: _newer(setup, core, shapes) for core in cores}
    fitted = {core: {name: fit_error(name, core) for name in FORMATS} for core in cores}
    results = {"cores": cores, "rows": rows, "newer": newer, "fitted": fitted}
    return write_page(setup, results, page)


def page(results: Results) -> Page:
    """The page of results."""
    cores = results["cores"]
    rows = {core: [KernelRow(**row) for row in results["rows"][core]] for core in cores}
    every = [row for found in rows.values() for row in found]
    facts = {
        "baseline": every[0].baseline,
        "tables": {
            core: _table(found, results["newer"][core].get("cycles", {}))
            for core, found in rows.items()
        },
        "shown": SHOWN,
        "crossings": _crossings(every, cores),
        "fit_errors": _errors(every, cores, results["fitted"]),
    }
    return Page("kernels.md.j2", facts)


def _newer(setup: Setup, core: str, shapes: Sequence[LayerShape]) -> dict[str, Any]:
    """The dense layers in the CMSIS-NN inside TFLM's library; empty where there is none."""
    cmsis = find_cmsis_nn(core, setup.tflm_root)
    if cmsis.library is None:
        return {}
    return setup.store.point(
        f"{core}-in-tflm",
        lambda: {
            "label": cmsis.label,
            "cycles": {name: m.cycles for name, m in run_baselines(core, cmsis, shapes).items()},
        },
        decides=(tuple(shapes), cmsis.label),
        progress=setup.progress,
        again=setup.measure_again,
    )


def _rows(
    setup: Setup, core: str, shapes: Sequence[LayerShape], sparsities: Sequence[float]
) -> list[dict[str, Any]]:
    """One point a layer, so that a stopped run goes on where it was."""
    found: list[dict[str, Any]] = []
    for shape in shapes:

        def make(shape: LayerShape = shape) -> dict[str, Any]:
            rows = run_kernel_bench(core, shapes=(shape,), sparsities=sparsities)
            return {"rows": [asdict(row) for row in rows]}

        point = setup.store.point(
            f"{core}-{'-'.join(shape.name.replace('>', 'to').replace('/', 'by').split())}",
            make,
            decides=(shape, tuple(sparsities)),
            progress=setup.progress,
            again=setup.measure_again,
        )
        found += point["rows"]
    return found


def _table(rows: Sequence[KernelRow], newer: Mapping[str, int]) -> list[dict[str, Any]]:
    """For each layer: CMSIS-NN, our best dense kernel, and the fastest sparse one at each share."""
    table = []
    for layer in dict.fromkeys(row.layer for row in rows):
        here = [row for row in rows if row.layer == layer]
        dense = [row for row in here if row.format in DENSE]
        best = min(dense, key=lambda row: row.cycles, default=None)
        sparse = [
            min(
                (r for r in here if r.format not in (*DENSE, BASELINE) and r.sparsity == share),
                key=lambda row: row.cycles,
                default=None,
            )
            for share in SHOWN
        ]
        other = newer.get(layer)
        table.append(
            {"layer": layer, "baseline": here[0], "newer": other, "dense": best, "sparse": sparse}
        )
    return table


def _crossings(rows: Sequence[KernelRow], cores: Sequence[str]) -> list[tuple[str, str, list[str]]]:
    """Layer, format, and for each core from which sparsity on it beats every dense kernel."""
    found = crossover(rows)
    return [
        (layer, name, [_share(found, (layer, core, name)) for core in cores])
        for layer, name in dict.fromkeys((layer, name) for layer, _, name in found)
    ]


def _share(found: Mapping[tuple[str, str, str], float | None], key: tuple[str, str, str]) -> str:
    if key not in found:
        return ""
    share = found[key]
    return "never" if share is None else f"{share:.0%}".replace("%", " %")


def _errors(
    rows: Sequence[KernelRow],
    cores: Sequence[str],
    fits: Mapping[str, Mapping[str, float | None]],
) -> list[tuple[str, list[str]]]:
    """By format, for each core: the planner's error where it was fitted, and on these layers."""
    here = planner_error(rows)

    def cell(core: str, name: str) -> str:
        both = fits[core].get(name), here.get((core, name))
        known = [f"{e:.1%}".replace("%", " %") for e in both if e is not None]
        return ", ".join(known)

    return [(name, [cell(core, name) for core in cores]) for name in FORMATS]
