"""One engine on one core: build, run, measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.bench.row import LayerCount, Row
from bridge.bench.subject import Subject, prove_close
from bridge.errors import ModelError, ToolchainError
from bridge.graph import Graph, read_tflite
from bridge.graph.model import Array
from bridge.samples import joined, separate
from bridge.toolchain import version

if TYPE_CHECKING:
    from bridge.emulate import Run
    from bridge.firmware.build import Firmware

Layer = tuple[str, str, str]
"""A layer's name, its kind of operator and, where known, the function that runs it."""


@dataclass(frozen=True)
class Limits:
    """What a row may take.

    Attributes:
        seconds: of wall time, for one emulated run.
        flash: bytes for weights and tables, where the engine chooses its formats (``c-sparse``).
        ram: bytes for activations and scratch, likewise.
    """

    seconds: float = 600
    flash: int | None = None
    ram: int | None = None


def tflm_host(what: Subject) -> Row:
    """The interpreter on the host, over all samples."""
    from bridge.convert.tflm import run

    inputs = separate(what.samples.inputs, what.graph, what.graph.inputs)
    outputs = joined(run(what.model, inputs))
    return Row(
        what.name,
        "tflm-host",
        "host",
        accuracy=what.samples.accuracy(outputs),
        bit_exact=what.samples.equal(outputs),
        samples=len(outputs),
        note=what.samples.first_difference(outputs),
    )


def plain_c(
    engine: str,
    core: str,
    what: Subject,
    folder: Path,
    limits: Limits,
    tflm_root: Path | None = None,
) -> Row:
    """An engine without interpreter: one of those of :mod:`bridge.compile`.

    ``c-dense`` calls the kernels inside the TFLM library where there is one for the core.

    Raises:
        InputError: ``c-sparse`` can't keep to its budgets.
        ProofError: ``c-float`` on the core is not what the same C is on the host.
    """
    from bridge.compile import compile_graph
    from bridge.compile.cmsis import BASIC
    from bridge.firmware.build import build_c
    from bridge.firmware.cmsis_nn import find_cmsis_nn
    from bridge.firmware.host import run_on_host

    flash, ram = (limits.flash, limits.ram) if engine == "c-sparse" else (None, None)
    cmsis = find_cmsis_nn(core, tflm_root) if engine == "c-dense" else None
    program = compile_graph(
        what.graph,
        engine=engine,
        core=core,
        flash=flash,
        ram=ram,
        cmsis=cmsis.functions if cmsis else BASIC,
    )
    budgets = (("flash", flash), ("ram", ram))
    kept = [f"{size:,} bytes of {name}" for name, size in budgets if size is not None]
    reference = None
    if engine == "c-float":
        on_host = run_on_host(program, what.samples.inputs)
        reference = what.samples.outputs(on_host.tobytes())
    firmware = build_c(program, core, folder / "run", cmsis)
    # TFLM keeps inputs and outputs in its arena; here the caller holds them. Count them too.
    io_bytes = sum(what.graph.tensor(i).bytes for i in (*what.graph.inputs, *what.graph.outputs))
    return _row(
        engine,
        what,
        firmware,
        folder,
        limits,
        arena=program.arena_bytes - program.scratch_bytes + io_bytes,
        scratch=program.scratch_bytes,
        reference=reference,
        layers=[(plan.name, plan.kind, plan.kernel) for plan in program.layers if plan.kernel],
        note=f"formats chosen within {' and '.join(kept)}" if kept else "",
    )


def tflm(core: str, what: Subject, folder: Path, tflm_root: Path | None, limits: Limits) -> Row:
    """Stock TFLM with the kernels that its library holds."""
    from bridge.firmware.build_tflm import build_tflm

    root, timeout = need_root(tflm_root), limits.seconds
    firmware = build_tflm(what.model, what.graph, core, folder / "run", root, timeout=timeout)
    note = "the smallest arena that works, kernel scratch included"
    return _row("tflm", what, firmware, folder, limits, layers=_operators(what.graph), note=note)


def tflm_decode(
    core: str, what: Subject, folder: Path, tflm_root: Path | None, limits: Limits
) -> Row:
    """Stock TFLM with weights that its DECODE operator rebuilds in the arena, layer by layer.

    Raises:
        ModelError: no weight tensor gets smaller by encoding.
    """
    from bridge.compress import compress_model
    from bridge.firmware.build_tflm import build_tflm

    root = need_root(tflm_root)
    made = compress_model(what.model)
    if not made.encoded:
        raise ModelError(
            "no weight tensor gets smaller through DECODE", hint="prune the network, or run tflm"
        )
    graph = read_tflite(made.model, name=what.name)
    firmware = build_tflm(made.model, graph, core, folder / "run", root, timeout=limits.seconds)
    note = (
        f"file {made.bytes_before:,} → {len(made.model):,} bytes; the smallest arena that works, "
        f"with up to {made.decompression_bytes:,} bytes of decoded weights at a time in it"
    )
    return _row("tflm-decode", what, firmware, folder, limits, layers=_operators(graph), note=note)


def tflm_sparse(
    core: str, what: Subject, folder: Path, tflm_root: Path | None, limits: Limits
) -> Row:
    """TFLM with our kernels registered for the layers that gain from them."""
    from bridge.compile.registrations import register_layers
    from bridge.firmware.build_tflm import PREFIX, build_tflm

    root = need_root(tflm_root)
    found = register_layers(what.model, what.graph, core=core, prefix=PREFIX)
    firmware = build_tflm(
        found.model, what.graph, core, folder / "run", root, timeout=limits.seconds, sparse=found
    )
    kernels = {plan.name: plan.kernel for plan in found.layers}
    return _row(
        "tflm-sparse",
        what,
        firmware,
        folder,
        limits,
        layers=[(o.name, o.kind, kernels.get(o.name, "")) for o in what.graph.operators],
        note=f"our kernels run {len(found.layers)} of {len(what.graph.operators)} operators",
    )


def _operators(graph: Graph) -> list[Layer]:
    return [(operator.name, operator.kind, "") for operator in graph.operators]


def need_root(tflm_root: Path | None) -> Path:
    """The TFLM tree that was given.

    Raises:
        ToolchainError: there is none.
    """
    if tflm_root is None:
        raise ToolchainError(
            "TFLM_ROOT is not set",
            hint="set it to a TFLite Micro tree whose static library is built for this core",
        )
    return tflm_root


def _row(
    engine: str,
    what: Subject,
    firmware: Firmware,
    folder: Path,
    limits: Limits,
    *,
    layers: Sequence[Layer],
    arena: int | None = None,
    scratch: int | None = None,
    reference: Array | None = None,
    note: str = "",
) -> Row:
    """Run all samples, then one with marks, and put down what was seen.

    Args:
        engine: its name.
        what: network and samples.
        firmware: as built.
        folder: for further builds.
        limits: what a run may take.
        layers: what runs, in execution order.
        arena: bytes; the firmware's own figure where left out.
        scratch: bytes beside the arena; None where it lies in it.
        reference: outputs of the same float arithmetic on the host, to hold the core's against.
        note: for the row.
    """
    from bridge.emulate import run
    from bridge.firmware.build import build_empty, build_traced
    from bridge.firmware.size import measure

    core, inputs = firmware.core, what.samples.inputs
    result = run(firmware.elf, core, inputs=inputs.tobytes(), timeout=limits.seconds)
    outputs = what.samples.outputs(result.outputs)
    floating = outputs.dtype.kind == "f"
    notes = [note]
    if floating:
        prove_close(outputs, what.samples.expected)
    if reference is not None:
        notes.append(f"outputs on the core and on the host {prove_close(outputs, reference)} apart")
    if not floating and reference is None:
        notes.append(what.samples.first_difference(outputs))
    sizes = measure(firmware.elf, build_empty(core).elf)
    traced = run(build_traced(firmware), core, inputs=inputs[:1].tobytes(), timeout=limits.seconds)
    return Row(
        what.name,
        engine,
        core,
        accuracy=what.samples.accuracy(outputs),
        bit_exact=None if floating or reference is not None else what.samples.equal(outputs),
        samples=len(outputs),
        flash_code=sizes.code,
        flash_weights=sizes.weights,
        flash_kernels=sizes.kernels,
        flash_application=sizes.application,
        ram_arena=int(result.lines["arena_size"]) if arena is None else arena,
        ram_scratch=scratch,
        ram_stack=result.stack_bytes,
        ram_static=sizes.ram_static,
        instructions=result.instructions,
        layer_instructions=_by_layer(layers, traced.layers),
        cycles_modelled=_cycles(firmware, result),
        kernels=firmware.kernels,
        tools="; ".join(version(program) for program in ("arm-none-eabi-gcc", "qemu-system-arm")),
        note="; ".join(filter(None, notes)),
    )


def _by_layer(layers: Sequence[Layer], counts: Sequence[int]) -> tuple[LayerCount, ...]:
    if len(layers) != len(counts):
        return ()  # a network with subgraphs runs other operators than the first graph's list
    return tuple(
        LayerCount(name, kind, count, kernel)
        for (name, kind, kernel), count in zip(layers, counts, strict=True)
    )


def _cycles(firmware: Firmware, result: Run) -> tuple[int, int, int] | None:
    from bridge.emulate import model_cycles

    if not result.counts.blocks:
        return None
    cycles = model_cycles(firmware.elf, firmware.core, result.counts.blocks)
    return cycles.best, cycles.low, cycles.high
