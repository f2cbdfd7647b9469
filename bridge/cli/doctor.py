"""``tflm-bridge doctor``: what is installed, what is missing, what to do."""

from __future__ import annotations

import typer
from rich.console import Console


def doctor() -> None:
    """Show what is installed, what is missing, and what to do about it."""
    from rich.markup import escape
    from rich.table import Table

    from bridge.doctor import checks

    table = Table(box=None, show_header=False)
    found = checks()
    for check in found:
        mark = "[green]✓[/green]" if check.ok else ("[red]✗[/red]" if check.needed else "–")
        table.add_row(mark, escape(check.name), escape(check.detail))
        if not check.ok:
            table.add_row("", "", f"[dim]→ {escape(check.remedy)}[/dim]")
    Console().print(table)
    if any(check.needed and not check.ok for check in found):
        raise typer.Exit(1)
