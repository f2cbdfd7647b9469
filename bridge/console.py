"""Progress on a terminal, through rich: a running line with seconds, then a tick that stays."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status


class Terminal:
    """Shows stages on a terminal; on a pipe it prints one plain line a finished stage."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self._status: Status | None = None
        self._title = ""

    def note(self, text: str) -> None:
        """Print a line that stays."""
        self.console.print(f"    {text}", markup=False, soft_wrap=not self.console.is_terminal)

    def update(self, text: str) -> None:
        """Replace the running line's detail."""
        if self._status is not None:
            self._status.update(f"{self._title} · {text}")

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Show ``title`` as running, then as done with its wall seconds."""
        if self._status is not None:  # a stage within a stage is a detail of the outer one
            self.update(title)
            yield
            return
        start = time.monotonic()
        self._title = title
        try:
            with self.console.status(title) as status:
                self._status = status
                yield
        except BaseException:
            self.console.print(f"  [red]✗[/red] {title}")
            raise
        finally:
            self._status = None
        self.console.print(
            f"  [green]✓[/green] {title} [dim]{time.monotonic() - start:.1f} s[/dim]"
        )
