"""How long work tells where it stands: a protocol, so that stages know nothing of terminals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """What a stage may say while it works."""

    def note(self, text: str) -> None:
        """One line that stays, for a result or a decision."""

    def update(self, text: str) -> None:
        """Replace the running line's detail, for example ``epoch 2/5, accuracy 0.91``."""

    def stage(self, title: str) -> _Stage:
        """A context in which ``title`` is shown as running, then as done with its seconds."""


class _Stage(Protocol):
    def __enter__(self) -> object: ...
    def __exit__(self, *exc: object) -> bool | None: ...


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
