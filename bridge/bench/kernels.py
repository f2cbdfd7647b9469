"""Kernel against kernel on an emulated core: every format beside dense CMSIS-NN, byte-equal.

One firmware holds all cases of a core; each run computes one of them on random activations, its
outputs are compared with the reference arithmetic, its instructions are counted exactly and its
cycles modelled. Weights are random too: normally distributed, with an exact share of zeros at
random places. Bias, requantization and packing are inside what is measured.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bridge.bench.kernel_cases import Case, kernel_input, kernel_program, reference
from bridge.bench.kernel_layers import SHAPES, LayerShape, bench_layer
from bridge.bench.layers import crossing
from bridge.compile.choose import DENSE, FORMATS, made_for
from bridge.compile.cmsis import connected, store
from bridge.compile.cost import cycles
from bridge.compile.formats import COMFORTABLE_SCRATCH, Stored, Weighted
from bridge.emulate import model_cycles, run
from bridge.errors import ProofError
from bridge.firmware.build import build_c
from bridge.firmware.cmsis_nn import CmsisNN, find_cmsis_nn

MOST_FLASH = 380_000
SPARSITIES = (0.0, 0.5, 0.75, 0.9, 0.95, 0.98)


@dataclass(frozen=True)
class KernelRow:
    """One kernel on one layer on one core.

    Attributes:
        layer: the layer's name.
        core: the emulated core.
        sparsity: share of zero weights.
        format: how the weights are stored; ``cmsis-nn`` is the baseline.
        function: the C function.
        instructions: exact, one inference.
        cycles: modelled.
        planned: cycles as the planner's cost model has them; None for the baseline.
        weight_bytes: weights and per-channel tables.
        scratch_bytes: RAM beside input and output.
        baseline: what it is compared with, with its version.
        speedup: the baseline's modelled cycles over these.
        fewer_instructions: the baseline's instructions over these.
        size: weight bytes over the baseline's.
    """

    layer: str
    core: str
    sparsity: float
    format: str
    function: str
    instructions: int
    cycles: int
    planned: int | None
    weight_bytes: int
    scratch_bytes: int
    baseline: str
    speedup: float
    fewer_instructions: float
    size: float


@dataclass(frozen=True)
class Measured:
    """Instructions and modelled cycles of one case."""

    instructions: int
    cycles: int


BASELINE = "cmsis-nn"


def baseline(layer: Weighted, cmsis: CmsisNN | None = None) -> Stored | None:
    """The layer in CMSIS-NN, as it would be called without TFLM; in the sources where left out."""
    offered = (cmsis or find_cmsis_nn()).functions
    found = connected(layer, offered) if layer.one_pixel else None
    return found or store(layer, offered)


def measure(
    cases: Sequence[Case],
    core: str,
    folder: Path,
    seed: int = 0,
    defines: Sequence[str] = (),
    cmsis: CmsisNN | None = None,
) -> list[Measured]:
    """Run every case once on an emulated core.

    Args:
        cases: the layers.
        core: for example ``cortex-m4``.
        folder: where to build.
        seed: of the activations.
        defines: for the library; see :func:`~bridge.bench.kernel_cases.kernel_program`.
        cmsis: what cases in CMSIS-NN are linked with; its sources where left out.

    Raises:
        ProofError: a kernel's outputs differ from the reference.
    """
    result = []
    rng = np.random.default_rng(seed)
    for batch in _batches(cases):
        result += _measure(batch, core, folder, rng, defines, cmsis)
    return result


def _batches(cases: Sequence[Case]) -> Iterator[list[Case]]:
    """Cases whose weights fit the smallest board together."""
    batch: list[Case] = []
    size = 0
    for case in cases:
        if batch and size + case.weight_bytes > MOST_FLASH:
            yield batch
            batch, size = [], 0
        batch.append(case)
        size += case.weight_bytes
    if batch:
        yield batch


def _measure(
    cases: Sequence[Case],
    core: str,
    folder: Path,
    rng: np.random.Generator,
    defines: Sequence[str],
    cmsis: CmsisNN | None,
) -> list[Measured]:
    firmware = build_c(kernel_program(cases, defines=defines), core, folder, cmsis)
    result = []
    for index, case in enumerate(cases):
        activations = rng.integers(-128, 128, case.input_bytes).astype(np.int8)
        ran = run(firmware.elf, core, inputs=kernel_input(cases, index, activations))
        wanted = reference(case, activations).ravel()
        given = np.frombuffer(ran.outputs, dtype=np.int8)[: wanted.size]
        if not np.array_equal(given, wanted):
            raise ProofError(
                f"{case.stored.function} on {core}",
                f"{np.count_nonzero(given != wanted)} of {wanted.size} outputs differ",
            )
        modelled = model_cycles(firmware.elf, core, ran.counts.blocks).best
        result.append(Measured(ran.instructions or 0, modelled))
    return result


def run_kernel_bench(
    core: str,
    *,
    shapes: Sequence[LayerShape] = SHAPES,
    sparsities: Sequence[float] = SPARSITIES,
    formats: Sequence[str] | None = None,
    folder: Path | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> list[KernelRow]:
    """Compare every format with dense CMSIS-NN on one emulated core.

    Args:
        core: for example ``cortex-m4``.
        shapes: the layers.
        sparsities: shares of zero weights.
        formats: names from :data:`bridge.compile.choose.FORMATS`; all where left out.
        folder: where to build; a temporary folder where left out.
        progress: called with a line before each layer.

    Raises:
        ToolchainError: compiler, emulator or CMSIS-NN is missing.
        ProofError: a kernel's outputs are wrong.
    """
    label = find_cmsis_nn().label
    names = list(formats if formats is not None else FORMATS)
    rows: list[KernelRow] = []
    with tempfile.TemporaryDirectory(prefix="tflm-bridge-kernels-") as temporary:
        for shape in shapes:
            progress(f"{shape.name} on {core}")
            cases, sparse = _cases(shape, sparsities, names, core)
            # One folder for all: CMSIS-NN and our library are compiled once.
            results = measure(cases, core, folder or Path(temporary))
            dense, dense_bytes = results[0], cases[0].weight_bytes
            for case, sparsity, found in zip(cases, sparse, results, strict=True):
                rows.append(
                    KernelRow(
                        layer=shape.name,
                        core=core,
                        sparsity=sparsity,
                        format=case.format,
                        function=case.stored.function,
                        instructions=found.instructions,
                        cycles=found.cycles,
                        planned=_planned(case),
                        weight_bytes=case.weight_bytes,
                        scratch_bytes=case.stored.scratch,
                        baseline=label,
                        speedup=dense.cycles / found.cycles,
                        fewer_instructions=dense.instructions / found.instructions,
                        size=case.weight_bytes / dense_bytes,
                    )
                )
    return rows


def run_baselines(
    core: str, cmsis: CmsisNN, shapes: Sequence[LayerShape] = SHAPES
) -> dict[str, Measured]:
    """Every layer, dense, in a CMSIS-NN of one's own, such as the one inside TFLM's library.

    Raises:
        ProofError: a kernel's outputs are wrong.
    """
    found = {}
    with tempfile.TemporaryDirectory(prefix="tflm-bridge-kernels-") as folder:
        for shape in shapes:
            layer = bench_layer(shape, 0.0, core)
            stored = baseline(layer, cmsis)
            if stored is not None:
                case = Case(layer, BASELINE, stored)
                (found[shape.name],) = measure([case], core, Path(folder), cmsis=cmsis)
    return found


def _cases(
    shape: LayerShape, sparsities: Sequence[float], names: Sequence[str], core: str
) -> tuple[list[Case], list[float]]:
    """The baseline first, then every format at every sparsity that it can run.

    Left out is what no board would hold: sparse formats of a large layer without zeros.
    """
    full = bench_layer(shape, 0.0, core)
    stored = baseline(full)
    if stored is None:
        raise ValueError(f"CMSIS-NN has no kernel for {shape.name}")
    cases, sparse = [Case(full, BASELINE, stored)], [0.0]
    for sparsity in sparsities:
        layer = bench_layer(shape, sparsity, core)
        for name in names:
            if name in DENSE and sparsity != min(sparsities):
                continue
            if not made_for(name, core):
                continue
            found = FORMATS[name](layer, COMFORTABLE_SCRATCH)
            if found is None:
                continue
            case = Case(layer, name, found)
            if case.weight_bytes <= MOST_FLASH:
                cases.append(case)
                sparse.append(sparsity)
    return cases, sparse


def _planned(case: Case) -> int | None:
    if case.format == BASELINE:
        return None
    return round(cycles(case.format, case.layer.core, case.stored.work))


def planner_error(rows: Sequence[KernelRow]) -> dict[tuple[str, str], float]:
    """By core and format, the largest error of the planner's cycles against the counted ones."""
    result: dict[tuple[str, str], float] = {}
    for row in rows:
        if row.planned is not None:
            key = row.core, row.format
            result[key] = max(result.get(key, 0.0), abs(row.planned / row.cycles - 1))
    return result


def crossover(rows: Sequence[KernelRow]) -> dict[tuple[str, str, str], float | None]:
    """From which sparsity a format is faster than the best dense kernel, by layer and core.

    Linear between the measured sparsities; None where it never is.
    """
    result: dict[tuple[str, str, str], float | None] = {}
    for layer, core in dict.fromkeys((row.layer, row.core) for row in rows):
        here = [row for row in rows if (row.layer, row.core) == (layer, core)]
        dense = min(row.cycles for row in here if row.format in DENSE or row.format == BASELINE)
        for name in dict.fromkeys(row.format for row in here):
            if name in DENSE or name == BASELINE:
                continue
            gains = sorted((row.sparsity, dense - row.cycles) for row in here if row.format == name)
            result[layer, core, name] = crossing(gains)
    return result
