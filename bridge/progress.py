"""How long work tells where it stands: a protocol, so that stages know nothing of terminals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Progress(Protocol):
    """What a stage may say while it works."""

    def note(self, text: str) -> None:
        """One line that stays, for a result or a decision."""

    def update(self, text: str) -> None:
        """Replace the running line's detail, for example ``epoch 2/5, accuracy 0.91``."""

    def stage(self, title: str) -> AbstractContextManager[None]:
        """A context in which ``title`` is shown as running, then as done with its seconds."""


class Silent:
    """Says nothing; the default of the Python functions."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def update(self, text: str) -> None:
        """Say nothing."""

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Show nothing."""
        yield
