"""The kernel bench: every format on every core, the planner held to what was counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bridge.bench.kernel_cases import Case
from bridge.bench.kernel_layers import (
    CONNECTED,
    CONV,
    DEPTHWISE,
    LayerShape,
    bench_layer,
)
from bridge.bench.kernels import (
    KernelRow,
    crossover,
    measure,
    planner_error,
    run_kernel_bench,
)
from bridge.compile.choose import DENSE, FORMATS, candidates, choose, made_for
from bridge.compile.cost import FIT
from bridge.compile.formats import Weighted
from bridge.errors import ProofError
from tests.c.layers import random_layer

pytestmark = [pytest.mark.emulated, pytest.mark.slow]

CORES = ("cortex-m0", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55")


def random_layers(core: str) -> list[Weighted]:
    """Odd sizes, strides, dilation, uneven padding, empty rows, extremes."""
    rng = np.random.default_rng(21)
    conv: list[dict[str, object]] = [
        {"source": (9, 7, 5), "channels": 3},
        {"source": (11, 14, 4), "channels": 5, "stride": (2, 2)},
        {"source": (10, 20, 6), "channels": 4, "dilation": (1, 3), "stride": (1, 2)},
        {"source": (5, 5, 12), "channels": 6, "kernel": (1, 1), "density": 0.5},
        {"source": (7, 6, 8), "channels": 3, "density": 0.0},
        {"source": (13, 12, 9), "channels": 9, "kind": DEPTHWISE, "stride": (2, 1)},
        {"source": (8, 9, 4), "channels": 4, "kind": DEPTHWISE, "density": 1.0},
        {"source": (1, 1, 130), "channels": 21, "kind": CONNECTED, "kernel": (1, 1)},
        {
            "source": (1, 1, 530),
            "channels": 6,
            "kind": CONNECTED,
            "kernel": (1, 1),
            "density": 0.02,
        },
        {"source": (1, 1, 39), "channels": 5, "kind": CONNECTED, "kernel": (1, 1), "density": 1.0},
        {"source": (5, 29, 3), "channels": 4, "kernel": (5, 5), "density": 1.0},
        {"source": (6, 34, 7), "channels": 18, "kernel": (1, 1), "density": 0.3},
    ]
    return [random_layer(rng, core=core, **how) for how in conv]  # type: ignore[arg-type]


@pytest.mark.parametrize("core", CORES)
def test_every_format_gives_the_reference_bytes_on_every_core(core: str, tmp_path: Path) -> None:
    cases = [
        Case(layer, name, stored)
        for layer in random_layers(core)
        for name, store in FORMATS.items()
        if made_for(name, core) and (stored := store(layer, 4096)) is not None
    ]
    assert {name for name in FORMATS if made_for(name, core)} == {case.format for case in cases}
    assert all(found.instructions > 0 for found in measure(cases, core, tmp_path, seed=3))


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m55"])
def test_portable_builds_give_the_reference_bytes(core: str, tmp_path: Path) -> None:
    """Plain C on a core that has assembly, and streams for MVE on one without."""
    cases = [
        Case(layer, name, stored)
        for layer in random_layers(core)
        for name, store in FORMATS.items()
        if (stored := store(layer, 4096)) is not None
    ]
    assert {case.format for case in cases} == set(FORMATS)
    measure(cases, core, tmp_path, seed=4, defines=("SNN_PORTABLE",))


def test_a_wrong_kernel_is_noticed(tmp_path: Path) -> None:
    layer = random_layers("cortex-m4")[7]
    stored = FORMATS["wide"](layer, 4096)
    assert stored is not None
    other = replace(layer, weights=np.roll(layer.weights, 1, axis=-1))
    with pytest.raises(ProofError, match="outputs differ"):
        measure([Case(other, "wide", stored)], "cortex-m4", tmp_path)


PLANNED = [
    LayerShape("conv", CONV, (10, 9, 16), 12, (3, 3)),
    LayerShape("strided", CONV, (12, 12, 8), 8, (3, 3), stride=2),
    LayerShape("pointwise", CONV, (7, 7, 32), 24),
    LayerShape("one channel", CONV, (20, 20, 1), 6, (5, 5), same=False),
    LayerShape("one channel, strided", CONV, (27, 18, 1), 8, (3, 3), stride=2),
    LayerShape("three channels", CONV, (22, 15, 3), 8, (3, 3)),
    LayerShape("no ReLU", CONV, (9, 12, 10), 6, (3, 3), zero_point=5),
    LayerShape("depthwise", DEPTHWISE, (10, 10, 16), 16, (3, 3)),
    LayerShape("depthwise 5x5", DEPTHWISE, (11, 13, 10), 10, (5, 5)),
    LayerShape("depthwise 5x5, strided", DEPTHWISE, (17, 14, 6), 6, (5, 5), stride=2),
    LayerShape("five channels", CONV, (13, 10, 5), 9, (3, 3)),
    LayerShape("connected", CONNECTED, (1, 1, 300), 40),
    LayerShape("small connected", CONNECTED, (1, 1, 50), 26),
    LayerShape("smaller connected", CONNECTED, (1, 1, 27), 11),
    LayerShape("blocks", CONNECTED, (1, 1, 300), 40, block=(1, 4)),
]


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m55"])
def test_the_planner_never_picks_a_format_slower_than_dense(core: str, tmp_path: Path) -> None:
    """By the counted cycles, not by its own model, whose error the same counts bound."""
    layers = [
        bench_layer(shape, share, core, seed=5)
        for shape in PLANNED
        for share in (0.0, 0.5, 0.7, 0.9)
    ]
    found = [candidates(layer) for layer in layers]
    cases = [
        Case(layer, candidate.format, candidate.stored)
        for layer, all_ in zip(layers, found, strict=True)
        for candidate in all_
    ]
    counted = iter(measure(cases, core, tmp_path))
    for layer, all_ in zip(layers, found, strict=True):
        cycles = {candidate.format: next(counted).cycles for candidate in all_}
        picked, _, _ = choose(layer)
        dense = min(count for name, count in cycles.items() if name in DENSE)
        assert cycles[picked] <= dense, (layer.kind, layer.source, layer.sparsity, picked)
        for candidate in all_:  # of layers that the costs were not fitted to
            assert candidate.cycles == pytest.approx(cycles[candidate.format], rel=0.1), (
                candidate.format, layer.kind, layer.source, layer.sparsity,
            )  # fmt: skip
    assert all(error < 0.1 for errors in FIT.errors.values() for error in errors.values())


def test_the_bench_compares_with_cmsis_nn() -> None:
    shapes = [LayerShape("layer", CONV, (8, 8, 16), 8, (3, 3))]
    lines: list[str] = []
    rows = run_kernel_bench(
        "cortex-m4", shapes=shapes, sparsities=(0.0, 0.5, 0.9), progress=lines.append
    )
    assert lines == ["layer on cortex-m4"]
    first = rows[0]
    assert (first.format, first.speedup, first.size, first.planned) == ("cmsis-nn", 1.0, 1.0, None)
    fast = next(row for row in rows if row.format == "dual" and row.sparsity == 0.9)
    assert fast.speedup > 4
    assert fast.fewer_instructions > 4
    assert fast.size < 0.35
    assert all(error < 0.1 for error in planner_error(rows).values())
    share = crossover(rows)["layer", "cortex-m4", "dual"]
    assert share is not None
    assert 0.1 < share < 0.7


def row(form: str, sparsity: float, cycles: int) -> KernelRow:
    return KernelRow(
        layer="l", core="c", sparsity=sparsity, format=form, function="f", instructions=1,
        cycles=cycles, planned=cycles, weight_bytes=1, scratch_bytes=0, baseline="b",
        speedup=1.0, fewer_instructions=1.0, size=1.0,
    )  # fmt: skip


def test_crossing_lies_between_the_measured_sparsities() -> None:
    rows = [row("cmsis-nn", 0.0, 120), row("wide", 0.0, 100)]
    rows += [row("octet", 0.5, 200), row("octet", 0.75, 50), row("d8", 0.5, 300)]
    rows += [row("4x1", 0.0, 90)]
    found = crossover(rows)
    assert found["l", "c", "octet"] == pytest.approx(0.5 + 0.25 * 100 / 150)
    assert found["l", "c", "d8"] is None
    assert found["l", "c", "4x1"] == 0.0
    assert ("l", "c", "wide") not in found


def test_the_command_prints_what_it_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from typer.testing import CliRunner

    from bridge.cli import app

    file = tmp_path / "rows.json"
    answer = CliRunner().invoke(
        app, ["bench", "kernels", "--layer", "5x5x6", "--sparsity", "0.9", "--json", str(file)]
    )
    assert answer.exit_code == 0, answer.output
    said = " ".join(answer.output.split())  # titles wrap to the width of their tables
    assert "against CMSIS-NN" in said
    assert "from this sparsity on" in said
    assert "the planner's cycles" in said
    assert '"format": "dual"' in file.read_text()
