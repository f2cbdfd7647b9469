"""``tflm-bridge bench``: every engine on every core, side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console

from bridge.bench.engines import ENGINES
from bridge.cores import CORES


def bench(
    bundle: Annotated[Path, typer.Argument(help="A bundle made by convert.")],
    core: Annotated[
        Optional[list[str]], typer.Option(help=f"Repeat for more: {', '.join(CORES)}.")
    ] = None,
    engine: Annotated[
        Optional[list[str]],
        typer.Option(help=f"Repeat for more; all where left out: {', '.join(ENGINES)}."),
    ] = None,
    tflm_root: Annotated[
        Optional[Path],
        typer.Option(envvar="TFLM_ROOT", help="A TFLM tree with a built library, for tflm."),
    ] = None,
    limit: Annotated[
        Optional[int], typer.Option(min=1, help="Run only the first so many samples.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds that one emulated run may take.")
    ] = 600,
    flash: Annotated[
        Optional[int],
        typer.Option(min=0, help="Bytes for weights and tables: c-sparse chooses formats for it."),
    ] = None,
    ram: Annotated[
        Optional[int], typer.Option(min=0, help="Bytes for activations and scratch, likewise.")
    ] = None,
    json_file: Annotated[
        Optional[Path], typer.Option("--json", help="Write the rows as JSON.")
    ] = None,
    html: Annotated[Optional[Path], typer.Option(help="Write the report as one HTML file.")] = None,
) -> None:
    """Run every engine on every core over the bundle's samples; print how they compare."""
    from bridge.bench.engines import check, run_bench
    from bridge.bench.table import show
    from bridge.bundle import Bundle, write_atomic
    from bridge.console import Terminal
    from bridge.pipeline import record_bench

    opened = Bundle.open(bundle)
    rows = run_bench(
        opened,
        engines=engine or ENGINES,
        cores=core or ("cortex-m4",),
        tflm_root=tflm_root,
        limit=limit,
        timeout=timeout,
        flash=flash,
        ram=ram,
        progress=Terminal(),
    )
    opened = record_bench(opened, rows)
    show(rows, Console(), title=f"{opened.manifest.get('model')}: {bundle}")
    if json_file is not None:
        write_atomic(json_file, json.dumps([row.as_json() for row in rows], indent=2) + "\n")
    if html is not None:
        write_atomic(html, (opened.path / "report.html").read_bytes())
    typer.echo(f"\nreport: {opened.path / 'report.html'}")
    check(rows)
