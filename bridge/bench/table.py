"""The comparison as a terminal table: every ratio names its baseline."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from bridge.bench.boards import estimates
from bridge.bench.row import Row

# What a row is compared with, best first; the first that ran on the same core is taken.
BASELINES = ("tflm", "c-dense", "c-float")


def baseline_of(row: Row, rows: Sequence[Row]) -> Row | None:
    """The dense int8 row on the same core that ratios refer to: stock TFLM, else CMSIS-NN."""
    for engine in BASELINES:
        for other in rows:
            if other.engine == engine and other.core == row.core and other.ran:
                return other
    return None


def ratio(ours: float | None, theirs: float | None) -> str:
    """How many times less than the baseline, for example ``2.57×``; empty where unknown."""
    return f"{theirs / ours:.2f}×" if ours and theirs else ""


def _bytes(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def comparison(rows: Sequence[Row], *, title: str = "") -> Table:
    """The table of all rows; an engine that could not run shows its reason.

    Ratios say how many times fewer instructions and bytes of flash than the row's baseline.
    """
    table = Table(title=title or None, title_justify="left", header_style="bold", expand=False)
    for name, align in (
        ("engine", "left"), ("core", "left"), ("accuracy", "right"), ("bytes equal", "left"),
        ("flash B", "right"), ("code", "right"), ("weights", "right"), ("RAM B", "right"),
        ("instructions", "right"), ("cycles*", "right"), ("fewer instr.", "right"),
        ("less flash", "right"), ("against", "left"),
    ):  # fmt: skip
        table.add_column(name, justify=align, no_wrap=name in {"engine", "core"})  # type: ignore[arg-type]
    for row in rows:
        if not row.ran:
            table.add_row(row.engine, row.core, "—", row.note, *[""] * 9, style="dim")
            continue
        base = baseline_of(row, rows)
        compared = base if base is not None and base is not row and row.core != "host" else None
        exact = "float" if row.bit_exact is None else ("yes" if row.bit_exact else "NO")
        table.add_row(
            row.engine,
            row.core,
            "" if row.accuracy is None else f"{row.accuracy:.2%}",
            f"{exact} ({row.samples})" if row.engine != "tflm-host" else f"oracle ({row.samples})",
            _bytes(row.flash_total),
            _bytes(row.flash_code),
            _bytes(row.flash_weights),
            _bytes(row.ram_total),
            _bytes(row.instructions),
            "" if row.cycles_modelled is None else f"{row.cycles_modelled[0]:,}",
            ratio(row.instructions, compared.instructions) if compared else "",
            ratio(row.flash_total, compared.flash_total) if compared else "",
            compared.engine if compared else "",
        )
    return table


def boards(rows: Sequence[Row]) -> Table:
    """Estimated latency and energy on real microcontrollers, from modelled cycles."""
    table = Table(
        title="estimates from modelled cycles, zero wait states; not measured",
        title_justify="left",
        header_style="bold",
    )
    for name in ("board", "engine", "core", "MHz", "ms", "low … high", "µJ", "fits"):
        table.add_column(name, justify="right" if name in {"MHz", "ms", "µJ"} else "left")
    shown: dict[str, str] = {}
    for found in estimates(rows):
        shown[found.board.name] = f"{found.board.datasheet}. {found.board.remark}".strip()
        best, low, high = found.milliseconds
        table.add_row(
            found.board.name,
            found.engine,
            found.board.core,
            f"{found.board.mhz:g}",
            f"{best:.2f}",
            f"{low:.2f} … {high:.2f}",
            "not stated" if found.microjoules is None else f"{found.microjoules:.0f}",
            "yes" if found.fits else "no",
        )
    if shown:
        table.caption = "\n".join(f"{name}: {source}" for name, source in shown.items())
        table.caption_justify = "left"
    return table


LEGEND = (
    "Same weights and inputs in every row. Instructions: one inference, counted exactly on the "
    "emulated core.\n*Cycles: modelled from those instructions, no silicon. Flash: linked "
    "sections minus an empty firmware's. RAM: activations, inputs, outputs, scratch, stack, static "
    "data.\n"
    "bytes equal: outputs against the TFLM interpreter on the host, over so many real inputs."
)
