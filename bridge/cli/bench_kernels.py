"""``tflm-bridge bench kernels``: every weight format beside dense CMSIS-NN, layer by layer."""

from __future__ import annotations

from typing import Annotated, Optional

import typer
from rich.console import Console

from bridge.bench.engines import CORES


def bench_kernels(
    core: Annotated[
        Optional[list[str]], typer.Option(help=f"Repeat for more: {', '.join(CORES)}.")
    ] = None,
) -> None:
    """Measure every kernel on the emulated core: from which sparsity each format pays."""
    from rich.table import Table

    from bridge.bench.kernels import crossover, run_kernel_bench

    console = Console(width=None if Console().is_terminal else 180)
    for name in core or ("cortex-m4",):
        rows = run_kernel_bench(name, progress=lambda line: console.print(line, style="dim"))
        table = Table(title=f"pays from this sparsity on, {name}", header_style="bold")
        for heading in ("layer", "format", "sparsity"):
            table.add_column(heading)
        for (layer, _, form), sparsity in crossover(rows).items():
            table.add_row(layer, form, "never" if sparsity is None else f"{sparsity:.2f}")
        console.print(table)
