"""``tflm-bridge bench kernels``: every weight format beside dense CMSIS-NN, layer by layer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.console import Console

from bridge.cores import CORES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from bridge.bench.kernels import KernelRow


def bench_kernels(
    core: Annotated[
        Optional[list[str]], typer.Option(help=f"Repeat for more: {', '.join(CORES)}.")
    ] = None,
    layer: Annotated[
        Optional[list[str]],
        typer.Option(help="Only layers whose names hold this text, for example 1x1; repeat."),
    ] = None,
    sparsity: Annotated[
        Optional[list[float]], typer.Option(help="Shares of zero weights; repeat for more.")
    ] = None,
    json_file: Annotated[
        Optional[Path], typer.Option("--json", help="Write the rows as JSON.")
    ] = None,
) -> None:
    """Measure every kernel on the emulated core: from which sparsity each format pays.

    Outputs are compared with the reference arithmetic byte for byte; instructions are exact, cycles
    modelled. Weights are random. The baseline is dense CMSIS-NN at -O3.
    """
    from bridge.bench.kernel_layers import SHAPES
    from bridge.bench.kernels import SPARSITIES, run_kernel_bench
    from bridge.cores import core as known_core
    from bridge.errors import InputError

    for name in core or ():
        known_core(name)
    shapes = [s for s in SHAPES if not layer or any(text in s.name for text in layer)]
    if not shapes:
        raise InputError(
            f"no layer is called {layer}", hint="one of: " + "; ".join(s.name for s in SHAPES)
        )
    if any(not 0 <= share < 1 for share in sparsity or ()):
        raise InputError(f"sparsities must be at least 0 and below 1: {sparsity}")
    console = Console(width=None if Console().is_terminal else 180)
    rows: list[KernelRow] = []
    for name in core or ("cortex-m4",):
        rows += run_kernel_bench(
            name,
            shapes=shapes,
            sparsities=sorted(sparsity or SPARSITIES),
            progress=lambda line: console.print(line, style="dim"),
        )
    if json_file is not None:
        _write(json_file, rows)
    for name in core or ("cortex-m4",):
        here = [row for row in rows if row.core == name]
        for title, table in (
            (f"kernels on {name}, against {here[0].baseline} at -O3", _measured(here)),
            (f"faster than every dense kernel from this sparsity on, {name}", _crossover(here)),
            (
                f"the planner's cycles against the counted ones, worst, {name}",
                _errors(here),
            ),
        ):
            console.print(title, style="bold")
            console.print(table)


def _table(*headings: str) -> Table:
    from rich.table import Table

    table = Table(header_style="bold")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("layer", "format") else "right")
    return table


def _measured(rows: Sequence[KernelRow]) -> Table:
    table = _table(
        "layer", "sparsity", "format", "instructions", "cycles, modelled", "faster",
        "fewer instructions", "weight bytes", "of dense", "scratch B", "planner",
    )  # fmt: skip
    for row in rows:
        table.add_row(
            row.layer,
            f"{row.sparsity:.0%}",
            row.format,
            f"{row.instructions:,}",
            f"{row.cycles:,}",
            f"{row.speedup:.2f}x",
            f"{row.fewer_instructions:.2f}x",
            f"{row.weight_bytes:,}",
            f"{row.size:.3f}",
            f"{row.scratch_bytes:,}",
            "" if row.planned is None else f"{row.planned / row.cycles - 1:+.1%}",
        )
    return table


def _crossover(rows: Sequence[KernelRow]) -> Table:
    from bridge.bench.kernels import crossover

    table = _table(
        "layer", "format", "sparsity",
    )  # fmt: skip
    for (layer, _, form), share in crossover(rows).items():
        table.add_row(layer, form, "never" if share is None else f"{share:.2f}")
    return table


def _errors(rows: Sequence[KernelRow]) -> Table:
    from bridge.bench.kernels import planner_error
    from bridge.compile.cost import fit_error

    table = _table(
        "format", "on these layers", "where it was fitted",
    )  # fmt: skip
    for (core, form), error in planner_error(rows).items():
        fitted = fit_error(form, core)
        table.add_row(form, f"{error:.1%}", "" if fitted is None else f"{fitted:.1%}")
    return table


def _write(file: Path, rows: Sequence[KernelRow]) -> None:
    import json
    from dataclasses import asdict

    from bridge.bundle import write_atomic

    write_atomic(file, json.dumps([asdict(row) for row in rows], indent=1) + "\n")
