"""Fit the planner's cost model to counts of the emulated cores.

``python -m bridge.bench.kernel_fit cortex-m4 …`` measures every format on layers of many shapes
(or some: ``--format dual``; the others' lines stay), solves for the cycles of each thing that a
kernel does (non-negative least squares on relative errors), prints the largest relative error and
rewrites ``bridge/compile/fits/kernels.json``.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bridge.bench.kernel_cases import Case
from bridge.bench.kernel_layers import (
    CONNECTED,
    CONV,
    DEPTHWISE,
    LayerShape,
    bench_layer,
)
from bridge.bench.kernels import measure
from bridge.compile.choose import DENSE, FORMATS, made_for
from bridge.compile.fits import KERNELS, Fit, read_fit, write_fit

FIT_SHAPES = (
    LayerShape("a", CONV, (8, 8, 32), 24, (3, 3)),
    LayerShape("b", CONV, (16, 16, 16), 16, (3, 3)),
    LayerShape("c", CONV, (14, 14, 6), 16, (5, 5), same=False),
    LayerShape("d", CONV, (16, 16, 8), 12, (3, 3), stride=2),
    LayerShape("e", CONV, (13, 11, 16), 9, (3, 3)),
    LayerShape("f", CONV, (10, 10, 64), 32),
    LayerShape("g", CONV, (24, 24, 8), 16),
    LayerShape("h", CONV, (28, 28, 1), 6, (5, 5)),
    LayerShape("i", CONV, (20, 10, 1), 16, (10, 4), stride=2),
    LayerShape("j", CONV, (6, 6, 48), 32, (3, 3)),
    LayerShape("k", CONV, (1, 60, 8), 16, (1, 5)),
    LayerShape("l", CONV, (24, 24, 3), 8, (3, 3), stride=2),
    LayerShape("m", DEPTHWISE, (25, 5, 32), 32, (3, 3)),
    LayerShape("n", DEPTHWISE, (24, 24, 8), 8, (3, 3)),
    LayerShape("o", DEPTHWISE, (12, 12, 32), 32, (3, 3)),
    LayerShape("p", DEPTHWISE, (24, 24, 16), 16, (3, 3), stride=2),
    LayerShape("q", DEPTHWISE, (6, 6, 64), 64, (3, 3), stride=2),
    LayerShape("r", DEPTHWISE, (3, 3, 128), 128, (3, 3)),
    LayerShape("s", DEPTHWISE, (6, 6, 64), 64, (3, 3)),
    LayerShape("t", CONNECTED, (1, 1, 400), 120),
    LayerShape("u", CONNECTED, (1, 1, 120), 84),
    LayerShape("v", CONNECTED, (1, 1, 84), 10),
    LayerShape("w", CONNECTED, (1, 1, 1024), 64),
    LayerShape("y", CONNECTED, (1, 1, 400), 120, block=(4, 1)),
    LayerShape("A", CONNECTED, (1, 1, 400), 120, block=(1, 4)),
    LayerShape("B", CONNECTED, (1, 1, 96), 40, block=(1, 4)),
    LayerShape("z", CONNECTED, (1, 1, 96), 40, block=(4, 1)),
    LayerShape("x", CONNECTED, (1, 1, 64), 200),
    LayerShape("C", CONV, (6, 6, 128), 128),
    LayerShape("D", CONV, (24, 24, 16), 32, stride=2),
    LayerShape("E", CONV, (13, 9, 22), 10),
    LayerShape("F", CONV, (5, 5, 8), 8),
    LayerShape("G", CONV, (9, 9, 64), 16),
    LayerShape("H", CONV, (16, 16, 8), 24),
    LayerShape("I", CONV, (4, 4, 200), 20),
    LayerShape("J", CONV, (20, 20, 4), 12),
    LayerShape("K", CONV, (11, 7, 40), 6),
    LayerShape("L", CONV, (10, 10, 8), 16, (3, 3), zero_point=3),
    LayerShape("M", CONV, (9, 10, 12), 8, zero_point=-20),
    LayerShape("N", DEPTHWISE, (12, 12, 16), 16, (3, 3), zero_point=-20),
    LayerShape("O", CONV, (26, 22, 3), 8, (3, 3)),
    LayerShape("P", CONV, (24, 9, 2), 12, (3, 3)),
    LayerShape("Q", CONV, (17, 30, 1), 8, (3, 3)),
    LayerShape("R", CONV, (12, 18, 5), 6, (3, 3), dilation=2),
    LayerShape("S", DEPTHWISE, (16, 16, 8), 8, (5, 5)),
    LayerShape("T", DEPTHWISE, (10, 10, 32), 32, (5, 5)),
    LayerShape("U", DEPTHWISE, (15, 12, 16), 16, (5, 5), stride=2),
    LayerShape("V", DEPTHWISE, (9, 9, 12), 12, (7, 7)),
    LayerShape("W", DEPTHWISE, (7, 11, 24), 24, (3, 5), same=False),
    LayerShape("X", CONNECTED, (1, 1, 60), 30),
    LayerShape("Y", CONNECTED, (1, 1, 33), 10),
    LayerShape("Z", CONNECTED, (1, 1, 16), 50),
    LayerShape("aa", CONNECTED, (1, 1, 250), 7),
    LayerShape("bb", CONNECTED, (1, 1, 20), 12),
    LayerShape("cc", CONV, (9, 14, 5), 7, (3, 3)),
    LayerShape("dd", CONV, (15, 10, 5), 11),
)
SPARSITIES = (0.0, 0.6, 0.9, 0.97)
SCRATCHES = (3 * 1024, 12 * 1024)


def fit_core(
    core: str, folder: Path, formats: Sequence[str]
) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """Fit formats on one core.

    Returns:
        Cycles of each thing by format, and the largest relative error by format.
    """
    cases = []
    for shape in FIT_SHAPES:
        for sparsity in SPARSITIES:
            layer = bench_layer(shape, sparsity, core)
            for name, store in FORMATS.items():
                if name not in formats or not made_for(name, core):
                    continue
                seen = set()
                for scratch in SCRATCHES:
                    stored = store(layer, scratch)
                    if stored is None or (name in DENSE and name != "dense" and sparsity > 0):
                        continue
                    if tuple(stored.work.items()) not in seen:
                        seen.add(tuple(stored.work.items()))
                        cases.append(Case(layer, name, stored))
    measured = measure(cases, core, folder)
    costs, errors = {}, {}
    for name in FORMATS:
        mine = [
            (case.stored.work, result.cycles)
            for case, result in zip(cases, measured, strict=True)
            if case.format == name
        ]
        if mine:
            costs[name], errors[name] = solve([w for w, _ in mine], [c for _, c in mine])
    return costs, errors


def solve(work: Sequence[object], cycles: Sequence[int]) -> tuple[dict[str, float], float]:
    """Non-negative cycles of each thing, and the largest relative error."""
    from scipy.optimize import nnls  # type: ignore[import-untyped]

    maps = [dict(w) for w in work]  # type: ignore[call-overload]
    names = sorted({name for w in maps for name in w})
    table: npt.NDArray[np.float64] = np.array(
        [[w.get(name, 0.0) for name in names] for w in maps], dtype=np.float64
    )
    wanted = np.array(cycles, dtype=np.float64)
    scale = np.abs(table).max(axis=0)
    scale[scale == 0] = 1.0
    found, _ = nnls(table / scale / wanted[:, None], np.ones(len(wanted)))
    found = found / scale
    error = float(np.abs(table @ found / wanted - 1).max())
    return {name: round(float(c), 3) for name, c in zip(names, found, strict=True)}, error


def main(cores: Sequence[str], formats: Sequence[str] = ()) -> None:
    """Fit the cores and write the table; what is not named stays."""
    known = read_fit(KERNELS)
    costs = {core: dict(lines) for core, lines in known.cycles.items()}
    errors = {core: dict(lines) for core, lines in known.errors.items()}
    for core in cores:
        with tempfile.TemporaryDirectory(prefix="tflm-bridge-fit-") as folder:
            found, worst = fit_core(core, Path(folder), formats or list(FORMATS))
        for name, error in worst.items():
            print(f"{core} {name}: largest error {error:.1%}", flush=True)
        costs.setdefault(core, {}).update(found)
        errors.setdefault(core, {}).update({n: round(e, 4) for n, e in worst.items()})
        for lines in (costs[core], errors[core]):
            for name in set(lines) - set(FORMATS):
                del lines[name]
        write_fit(KERNELS, Fit(known.of, costs, errors))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("cores", nargs="*", default=["cortex-m4"])
    parser.add_argument("--format", action="append", default=[], choices=list(FORMATS))
    given = parser.parse_args()
    main(given.cores, given.format)
