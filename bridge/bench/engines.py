"""The ways of running one int8 network, each a function from a bundle to a :class:`Row`.

====================  ==========================================================================
``tflm-host``         the TFLM interpreter on the host: the oracle for outputs and accuracy
``tflm``              stock TFLM + CMSIS-NN on the emulated core, from ``TFLM_ROOT``
``tflm-decode``       the same, with weights stored through TFLM's DECODE operator
``tflm-sparse``       the same, with our sparse kernels registered in the resolver
``c-dense``           CMSIS-NN called directly, no interpreter
``c-sparse``          our kernels, no interpreter
``c-float``           float32 C with the same weights dequantized: the papers' baseline
====================  ==========================================================================
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bridge.bench.row import Row
from bridge.bundle import Bundle
from bridge.errors import BridgeError, BundleError, InputError, ToolchainError
from bridge.graph import Graph, read_tflite
from bridge.graph.model import Array
from bridge.progress import Progress, Silent

if TYPE_CHECKING:
    from bridge.emulate import Run
    from bridge.firmware.build import Firmware

ENGINES = ("tflm-host", "tflm", "tflm-decode", "tflm-sparse", "c-float", "c-dense", "c-sparse")
DEFAULT_ENGINES = ("tflm-host", "c-float", "c-dense", "c-sparse", "tflm")
CORES = ("cortex-m0", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55")


@dataclass(frozen=True)
class Samples:
    """The real inputs that every engine runs.

    Attributes:
        inputs: int8, ``[N, …]`` in the network's own layout.
        labels: int64 ``[N]``, or None where the task has no classes.
        expected: int8 outputs of the TFLM interpreter, ``[N, …]``.
    """

    inputs: Array
    labels: Array | None
    expected: Array

    def first(self, count: int) -> Samples:
        """The first ``count`` of them."""
        labels = None if self.labels is None else self.labels[:count]
        return Samples(self.inputs[:count], labels, self.expected[:count])

    def accuracy(self, outputs: Array) -> float | None:
        """Share of samples whose largest output is their label's; None without classes."""
        if self.labels is None or not len(self.labels):
            return None
        classes = outputs.reshape(len(outputs), -1).argmax(axis=1)
        return float(np.mean(classes == self.labels))


@dataclass(frozen=True)
class Subject:
    """A bundle's network, ready to be run by any engine."""

    name: str
    model: bytes
    graph: Graph
    samples: Samples


def subject(bundle: Bundle, *, limit: int | None = None) -> Subject:
    """Read what the engines need from a bundle."""
    model = (bundle.path / "model_int8.tflite").read_bytes()
    name = str(bundle.manifest.get("model", "model"))
    file = bundle.path / "samples.npz"
    if not file.is_file():
        raise BundleError(
            f"{bundle.path} holds no samples to run", hint="convert again with --data"
        )
    with np.load(file) as stored:
        labels = stored["labels"] if "labels" in stored.files else None
        samples = Samples(stored["inputs"], labels, stored["expected"])
    return Subject(
        name, model, read_tflite(model, name=name), samples.first(limit) if limit else samples
    )


def run_bench(
    bundle: Bundle,
    *,
    engines: Sequence[str] = DEFAULT_ENGINES,
    cores: Sequence[str] = ("cortex-m4",),
    tflm_root: Path | None = None,
    limit: int | None = None,
    timeout: float = 600,
    progress: Progress | None = None,
) -> list[Row]:
    """Run every engine on every core over the bundle's samples.

    Args:
        bundle: a finished bundle.
        engines: names out of :data:`ENGINES`.
        cores: names out of :data:`CORES`.
        tflm_root: a built TFLM tree; ``TFLM_ROOT`` in the environment where left out.
        limit: run only the first so many samples.
        timeout: seconds that one emulated run may take.
        progress: told what runs.

    Returns:
        One row an engine and core. An engine that fails costs only its row, which says why.

    Raises:
        InputError: an unknown engine or core.
    """
    _check_names("engine", engines, ENGINES)
    _check_names("core", cores, CORES)
    if tflm_root is None and os.environ.get("TFLM_ROOT"):
        tflm_root = Path(os.environ["TFLM_ROOT"])
    watch: Progress = progress or Silent()
    what = subject(bundle, limit=limit)
    rows = []
    for core in cores:
        for engine in engines:
            place = "host" if engine == "tflm-host" else core
            if place == "host" and core != cores[0]:
                continue
            try:
                with watch.stage(f"{engine} on {place}"):
                    rows.append(_run(engine, core, what, tflm_root, timeout))
            except BridgeError as error:
                rows.append(Row(what.name, engine, place, note=str(error)))
    return rows


def _check_names(kind: str, given: Sequence[str], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            raise InputError(f"unknown {kind} {name!r}", hint=f"one of: {', '.join(known)}")


def _run(engine: str, core: str, what: Subject, tflm_root: Path | None, timeout: float) -> Row:
    if engine == "tflm-host":
        return _tflm_host(what)
    with tempfile.TemporaryDirectory(prefix="tflm-bridge-") as folder:
        if engine.startswith("c-"):
            return _plain_c(engine, core, what, Path(folder), timeout)
        return _tflm(engine, core, what, Path(folder), tflm_root, timeout)


def _tflm_host(what: Subject) -> Row:
    from bridge.convert.tflm import run

    outputs = run(what.model, [what.samples.inputs])[0]
    return Row(
        what.name,
        "tflm-host",
        "host",
        accuracy=what.samples.accuracy(outputs),
        bit_exact=bool(np.array_equal(outputs, what.samples.expected)),
        samples=len(outputs),
    )


def _plain_c(engine: str, core: str, what: Subject, folder: Path, timeout: float) -> Row:
    from bridge.compile import compile_graph
    from bridge.emulate import run
    from bridge.firmware.build import build_c, build_empty
    from bridge.firmware.size import measure

    program = compile_graph(what.graph, engine=engine, core=core)
    firmware = build_c(program, core, folder / "run")
    empty = build_empty(core, folder / "empty")
    result = run(firmware.elf, core, inputs=what.samples.inputs.tobytes(), timeout=timeout)
    outputs = _outputs(result.outputs, what)
    sizes = measure(firmware.elf, empty.elf)
    # TFLM keeps inputs and outputs in its arena; here the caller holds them. Count them too.
    io_bytes = sum(what.graph.tensor(i).bytes for i in (*what.graph.inputs, *what.graph.outputs))
    return Row(
        what.name,
        engine,
        core,
        accuracy=what.samples.accuracy(outputs),
        bit_exact=None if engine == "c-float" else _exact(outputs, what),
        samples=len(outputs),
        flash_code=sizes.code,
        flash_weights=sizes.weights,
        flash_kernels=sizes.kernels,
        flash_application=sizes.application,
        ram_arena=program.arena_bytes - program.scratch_bytes + io_bytes,
        ram_scratch=program.scratch_bytes,
        ram_stack=result.stack_bytes,
        ram_static=sizes.ram_static,
        instructions=result.instructions,
        layer_instructions=tuple(result.layers),
        cycles_modelled=_cycles(firmware, result),
        kernels=firmware.kernels,
    )


def _tflm(
    engine: str, core: str, what: Subject, folder: Path, tflm_root: Path | None, timeout: float
) -> Row:
    if tflm_root is None:
        raise ToolchainError(
            "TFLM_ROOT is not set",
            hint="set it to a TFLite Micro tree whose static library is built for this core",
        )
    if engine != "tflm":
        raise ToolchainError(f"engine {engine} is not part of this version")
    from bridge.emulate import run
    from bridge.firmware.build import build_empty
    from bridge.firmware.build_tflm import build_tflm
    from bridge.firmware.size import measure

    firmware = build_tflm(what.model, what.graph, core, folder / "run", tflm_root)
    empty = build_empty(core, folder / "empty")
    result = run(firmware.elf, core, inputs=what.samples.inputs.tobytes(), timeout=timeout)
    outputs = _outputs(result.outputs, what)
    sizes = measure(firmware.elf, empty.elf)
    return Row(
        what.name,
        engine,
        core,
        accuracy=what.samples.accuracy(outputs),
        bit_exact=_exact(outputs, what),
        samples=len(outputs),
        flash_code=sizes.code,
        flash_weights=sizes.weights,
        flash_kernels=sizes.kernels,
        flash_application=sizes.application,
        ram_arena=int(result.lines["arena_size"]),
        ram_scratch=0,
        ram_stack=result.stack_bytes,
        ram_static=sizes.ram_static,
        instructions=result.instructions,
        layer_instructions=tuple(result.layers),
        cycles_modelled=_cycles(firmware, result),
        kernels=firmware.kernels,
        note="the smallest arena that works, kernel scratch included",
    )


def _cycles(firmware: Firmware, result: Run) -> tuple[int, int, int] | None:
    from bridge.emulate import model_cycles

    if not result.counts.blocks:
        return None
    cycles = model_cycles(firmware.elf, firmware.core, result.counts.blocks)
    return cycles.best, cycles.low, cycles.high


def _outputs(raw: bytes, what: Subject) -> Array:
    expected = what.samples.expected
    if len(raw) != expected.nbytes:
        raise InputError(f"the core returned {len(raw)} output bytes instead of {expected.nbytes}")
    return np.frombuffer(raw, dtype=expected.dtype).reshape(expected.shape)


def _exact(outputs: Array, what: Subject) -> bool:
    return bool(np.array_equal(outputs, what.samples.expected))
