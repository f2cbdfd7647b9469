"""The comparison on a terminal: short tables that stay whole at 80 columns, reasons below them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from bridge.bench.boards import Estimate, estimates
from bridge.bench.row import Row
from bridge.cores import CORES

# What a row is compared with, best first; the first that ran on the same core is taken.
BASELINES = ("tflm", "c-dense", "c-float")

LEGEND = (
    "Same weights and inputs in every row. Instructions: one inference, counted exactly on the "
    "emulated core.\n*Cycles: modelled from those instructions, no silicon. Flash: linked "
    "sections minus an empty firmware's. RAM: activations, inputs, outputs, scratch, stack, static "
    "data.\n"
    "bytes equal: outputs against the TFLM interpreter on the host, over so many real inputs."
)


def baseline_of(row: Row, rows: Sequence[Row]) -> Row | None:
    """The dense int8 row on the same core that ratios refer to: stock TFLM, else CMSIS-NN."""
    for engine in BASELINES:
        for other in rows:
            if other.engine == engine and other.core == row.core and other.ran:
                return other
    return None


def with_baselines(rows: Sequence[Row]) -> list[Row]:
    """Every row with the name of the engine that its ratios refer to."""
    return [dataclasses.replace(row, baseline=_baseline_name(row, rows)) for row in rows]


def _baseline_name(row: Row, rows: Sequence[Row]) -> str:
    base = baseline_of(row, rows)
    compared = row.ran and row.core != "host" and base is not None and base.engine != row.engine
    return base.engine if compared and base is not None else ""


def ratio(ours: float | None, theirs: float | None) -> str:
    """How many times less than the baseline, for example ``2.57×``; empty where unknown."""
    return f"{theirs / ours:.2f}×" if ours and theirs else ""


def show(rows: Sequence[Row], console: Console, *, title: str = "") -> None:
    """Print what was measured, with every figure whole however narrow the terminal is.

    Args:
        rows: what ran, and what did not.
        console: where to.
        title: stands above.
    """
    if title:
        console.print(title, style="bold", markup=False, highlight=False, soft_wrap=True)
    for heading, table in (
        ("one inference", inference(rows)),
        ("bytes in flash and RAM", memory(rows)),
        ("how many times less than the baseline", comparison(rows)),
        *boards(rows),
    ):
        if table.row_count:
            console.print(f"\n{heading}", style="italic", markup=False, highlight=False)
            wide = console.options.update(width=10_000)
            table.width = console.measure(table, options=wide).maximum
            console.print(table, crop=False)
    console.print()
    for line, style in remarks(rows):
        console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def inference(rows: Sequence[Row]) -> Table:
    """Time, modelled cycles with their bounds, and whether the outputs are right."""
    table = _table("instructions", "cycles*", "low … high, M", "accuracy", "bytes equal")
    for row in _grouped(table, rows):
        cycles = row.cycles_modelled
        exact = "float" if row.bit_exact is None else ("yes" if row.bit_exact else "NO")
        table.add_row(
            row.engine,
            _number(row.instructions),
            "" if cycles is None else _number(cycles[0]),
            "" if cycles is None else f"{cycles[1] / 1e6:.2f} … {cycles[2] / 1e6:.2f}",
            "" if row.accuracy is None else f"{row.accuracy:.2%}",
            f"{'oracle' if row.engine == 'tflm-host' else exact} ({row.samples})",
        )
    return table


def memory(rows: Sequence[Row]) -> Table:
    """Flash by component, and RAM."""
    table = _table("kernels", "runtime", "application", "weights", "flash B", "RAM B")
    for row in _grouped(table, [row for row in rows if row.flash_total is not None]):
        sizes = (row.flash_kernels, row.flash_runtime, row.flash_application, row.flash_weights,
                 row.flash_total, row.ram_total)  # fmt: skip
        table.add_row(row.engine, *(_number(size) for size in sizes))
    return table


def comparison(rows: Sequence[Row]) -> Table:
    """Ratios of every row that has a baseline, which each of them names."""
    table = _table("instructions", "cycles*", "flash", "RAM", "against")
    compared = [row for row in rows if _baseline_name(row, rows)]
    for row in _grouped(table, compared):
        base = baseline_of(row, rows)
        assert base is not None
        ours, theirs = row.cycles_modelled, base.cycles_modelled
        table.add_row(
            row.engine,
            ratio(row.instructions, base.instructions),
            ratio(ours[0], theirs[0]) if ours and theirs else "",
            ratio(row.flash_total, base.flash_total),
            ratio(row.ram_total, base.ram_total),
            base.engine,
        )
    return table


def boards(rows: Sequence[Row]) -> Iterator[tuple[str, Table]]:
    """Estimated latency and energy on real microcontrollers, a heading and a table each."""
    by_board: dict[str, list[Estimate]] = {}
    for found in estimates(rows):
        by_board.setdefault(found.board.name, []).append(found)
    for name, of_board in by_board.items():
        board = of_board[0].board
        table = _table("ms", "low … high", "µJ", "fits")
        for found in of_board:
            best, low, high = found.milliseconds
            table.add_row(
                found.engine,
                f"{best:.2f}",
                f"{low:.2f} … {high:.2f}",
                "not stated" if found.microjoules is None else f"{found.microjoules:,.0f}",
                "yes" if found.fits else "no",
            )
        where = f"{name}, {board.core}, {board.mhz:g} MHz"
        yield f"{where}: estimated from modelled cycles, zero wait states; not measured", table


def remarks(rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """What tables have no room for: reasons, notes, sources; each a line and its style."""
    for row in rows:
        if not row.ran:
            yield f"{row.engine} on {row.core} did not run: {row.note}", "red"
    yield LEGEND, "dim"
    for name in dict.fromkeys(row.core for row in rows if row.core in CORES):
        if CORES[name].note:
            yield f"{name}: {CORES[name].note}", "dim"
    sources = {found.board.name: found.board.source for found in estimates(rows)}
    for name, source in sources.items():
        yield f"{name}: {source}", "dim"
    for row in rows:
        if row.ran and row.note:
            yield f"{row.engine} on {row.core}: {row.note}", "dim"
    for row in rows:
        if row.kernels:
            yield f"kernels of {row.engine} on {row.core}: {row.kernels}", "dim"


def _table(*names: str) -> Table:
    """An empty table; its first column holds the engine, numbers stand right."""
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        header_style="bold",
    )
    table.add_column("engine", no_wrap=True)
    for name in names:
        words = name in {"bytes equal", "against", "fits"}
        table.add_column(name, justify="left" if words else "right", no_wrap=True)
    return table


def _grouped(table: Table, rows: Sequence[Row]) -> Iterator[Row]:
    """The rows that ran, core by core, each group below a line with the core's name."""
    ran = [row for row in rows if row.ran]
    for core in dict.fromkeys(row.core for row in ran):
        if table.row_count:
            table.add_section()
        table.add_row(f"[bold]{core}[/bold]")
        yield from (row for row in ran if row.core == core)


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
