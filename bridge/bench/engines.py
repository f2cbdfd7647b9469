"""The ways of running one int8 network, each from a bundle to a :class:`Row`.

====================  ==========================================================================
``tflm-host``         the TFLM interpreter on the host: the oracle for outputs and accuracy
``tflm``              stock TFLM + CMSIS-NN on the emulated core, from ``TFLM_ROOT``
``tflm-decode``       the same, with weights stored through TFLM's DECODE operator
``tflm-sparse``       the same, with our sparse kernels registered in the resolver
``c-dense``           the same CMSIS-NN kernels called directly, no interpreter
``c-sparse``          our kernels, no interpreter
``c-compact``         one small kernel for all sparse layers: the least flash, no interpreter
``c-float``           float32 C with the same weights dequantized: the papers' baseline
====================  ==========================================================================
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bridge.bench import measure
from bridge.bench.measure import Limits
from bridge.bench.row import Row
from bridge.bench.subject import Samples, Subject, subject
from bridge.bench.table import with_baselines
from bridge.bundle import Bundle
from bridge.cores import core as find_core
from bridge.errors import BridgeError, InputError, ProofError
from bridge.progress import Progress, Silent

__all__ = ["ENGINES", "Samples", "Subject", "check", "prove", "run_bench", "subject"]

ENGINES = (
    "tflm-host", "c-float", "c-dense", "c-sparse", "c-compact",
    "tflm", "tflm-decode", "tflm-sparse",
)  # fmt: skip


def run_bench(
    bundle: Bundle,
    *,
    engines: Sequence[str] = ENGINES,
    cores: Sequence[str] = ("cortex-m4",),
    tflm_root: Path | None = None,
    limit: int | None = None,
    timeout: float = 600,
    flash: int | None = None,
    ram: int | None = None,
    progress: Progress | None = None,
) -> list[Row]:
    """Run every engine on every core over the bundle's samples.

    Args:
        bundle: a finished bundle.
        engines: names out of :data:`ENGINES`; all of them where left out.
        cores: names out of ``bridge.cores.CORES``.
        tflm_root: a built TFLM tree; None: what needs one does not run.
        limit: run only the first so many samples.
        timeout: seconds that one emulated run may take.
        flash: bytes that weights and tables of ``c-sparse`` may take; it chooses formats for it.
        ram: bytes that its activations and scratch may take.
        progress: told what runs.

    Returns:
        One row an engine and core. An engine that fails costs only its row, which says why;
        :func:`check` makes an error of outputs that are wrong, and of rows none of which ran.

    Raises:
        InputError: an unknown engine or core.
    """
    for name in engines:
        if name not in ENGINES:
            raise InputError(f"unknown engine {name!r}", hint=f"one of: {', '.join(ENGINES)}")
    for name in cores:
        find_core(name)
    watch: Progress = progress or Silent()
    what = subject(bundle, limit=limit)
    limits = Limits(timeout, flash, ram)
    rows = []
    for core in cores:
        for engine in engines:
            place = "host" if engine == "tflm-host" else core
            if place == "host" and core != cores[0]:
                continue
            try:
                with watch.stage(f"{engine} on {place}"):
                    rows.append(_run(engine, core, what, tflm_root, limits))
            except ProofError as error:
                rows.append(Row(what.name, engine, place, bit_exact=False, note=str(error)))
            except (BridgeError, OSError) as error:
                rows.append(Row(what.name, engine, place, note=str(error)))
            except Exception as error:
                if os.environ.get("TFLM_BRIDGE_DEBUG"):
                    raise
                note = f"unexpected {type(error).__name__}: {error}\n  → {_DEFECT}"
                rows.append(Row(what.name, engine, place, note=note))
    return with_baselines(rows)


_DEFECT = "a defect of tflm-bridge; TFLM_BRIDGE_DEBUG=1 shows where it happened"


def prove(rows: Sequence[Row]) -> None:
    """Hold every output of a bench to be right.

    Raises:
        ProofError: an engine's outputs differ; names it and where they first do.
    """
    wrong = [row for row in rows if row.bit_exact is False]
    if wrong:
        told = "; ".join(f"{row.engine} on {row.core}: {row.note}" for row in wrong)
        raise ProofError("engines = TFLM on the host", told)


def check(rows: Sequence[Row]) -> None:
    """Hold a bench to what it is for: something ran, and every output is right.

    Raises:
        ProofError: an engine's outputs differ; names it and where they first do.
        BridgeError: no engine ran.
    """
    prove(rows)
    if not any(row.ran for row in rows):
        told = "".join(f"\n    {row.engine} on {row.core}: {row.note}" for row in rows)
        raise BridgeError(f"no engine ran:{told}", hint="tflm-bridge doctor shows what is missing")


def _run(engine: str, core: str, what: Subject, tflm_root: Path | None, limits: Limits) -> Row:
    if engine == "tflm-host":
        return measure.tflm_host(what)
    with tempfile.TemporaryDirectory(prefix="tflm-bridge-") as folder:
        if engine.startswith("c-"):
            return measure.plain_c(engine, core, what, Path(folder), limits, tflm_root)
        return _INTERPRETED[engine](core, what, Path(folder), tflm_root, limits)


_INTERPRETED = {
    "tflm": measure.tflm,
    "tflm-decode": measure.tflm_decode,
    "tflm-sparse": measure.tflm_sparse,
}
