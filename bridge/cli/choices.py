"""Options that take one of a room's names: its tuple is the only place where they are spelled."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import typer


def choice(names: Iterable[str], *declarations: str, help: str, **rest: Any) -> Any:
    """An option that takes one of ``names`` (each one of them, where the parameter is a list).

    Args:
        names: what may be given; the help names them, and a shell completes them.
        declarations: the option's own name, where it is not the parameter's.
        help: what it decides, a sentence; the names come after it.
        rest: what else :func:`typer.Option` takes.
    """
    known = tuple(names)
    return typer.Option(
        *declarations,
        parser=_one_of(known),
        metavar="<name>",
        autocompletion=lambda incomplete: [n for n in known if n.startswith(incomplete)],
        help=f"{help} One of {', '.join(known)}.",
        **rest,
    )


def _one_of(known: tuple[str, ...]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in known:
            raise typer.BadParameter(f"{text!r} is not one of {', '.join(known)}")
        return text

    return parse
