"""Fit what CMSIS-NN's kernels cost to counts of the emulated cores.

``python -m bridge.bench.cmsis_fit cortex-m4 …`` runs dense layers of many shapes in CMSIS-NN,
prints the largest relative error and rewrites ``bridge/compile/fits/cmsis_nn.json``.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bridge.bench.kernel_cases import Case
from bridge.bench.kernel_fit import FIT_SHAPES, solve
from bridge.bench.kernel_layers import CONV, LayerShape, bench_layer
from bridge.bench.kernels import baseline, measure
from bridge.compile.cmsis_cost import work
from bridge.compile.fits import CMSIS_NN, Fit, read_fit, write_fit
from bridge.firmware.cmsis_nn import find_cmsis_nn

MORE_SHAPES = (
    LayerShape("pointwise a", CONV, (25, 5, 64), 64),
    LayerShape("pointwise b", CONV, (6, 6, 128), 128),
    LayerShape("pointwise c", CONV, (12, 12, 16), 32),
    LayerShape("conv a", CONV, (16, 16, 32), 32, (3, 3)),
    LayerShape("conv b", CONV, (32, 32, 3), 16, (3, 3)),
    LayerShape("conv c", CONV, (16, 16, 16), 32, (1, 1), stride=2),
)


def fit_core(core: str, folder: Path) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """Fit every kind of kernel on one core.

    Returns:
        Cycles of each thing by kind of kernel, and the largest relative error by kind.
    """
    cases = []
    for shape in (*FIT_SHAPES, *MORE_SHAPES):
        if shape.block != (1, 1):
            continue
        layer = bench_layer(shape, 0.0, core)
        stored = baseline(layer)
        if stored is not None:
            cases.append(Case(layer, "cmsis-nn", stored))
    measured = measure(cases, core, folder)
    costs, errors = {}, {}
    kinds = [work(case.layer) for case in cases]
    for kind in sorted({kind for kind, _ in kinds}):
        mine = [
            (done, result.cycles)
            for (name, done), result in zip(kinds, measured, strict=True)
            if name == kind
        ]
        costs[kind], error = solve([done for done, _ in mine], [c for _, c in mine])
        print(f"{core} {kind}: largest error {error:.1%} over {len(mine)} layers")
        errors[kind] = round(error, 4)
    return costs, errors


def main(cores: Sequence[str]) -> None:
    """Fit the cores and write the table; other cores' lines stay."""
    known = read_fit(CMSIS_NN)
    costs, errors = dict(known.cycles), dict(known.errors)
    for core in cores:
        with tempfile.TemporaryDirectory(prefix="tflm-bridge-fit-") as folder:
            costs[core], errors[core] = fit_core(core, Path(folder))
    write_fit(CMSIS_NN, Fit(find_cmsis_nn().label, costs, errors))


if __name__ == "__main__":
    main(sys.argv[1:] or ["cortex-m4"])
