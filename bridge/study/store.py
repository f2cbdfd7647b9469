"""Finished points on disk: one JSON file each, so that a killed study goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.bundle import digest, write_atomic
from bridge.doctor import versions
from bridge.errors import ToolchainError
from bridge.progress import Progress
from bridge.toolchain import version


@dataclass(frozen=True)
class Store:
    """A folder of points.

    A point is made once: its file holds the result, a hash of what decides it, and the versions
    that it was made with. A changed recipe makes it anew.

    Attributes:
        folder: where the files are.
        origins: the versions of every point that was asked for are added here.
    """

    folder: Path
    origins: list[dict[str, str]] = field(default_factory=list)

    def point(
        self,
        key: str,
        make: Callable[[], dict[str, Any]],
        *,
        decides: Any,
        progress: Progress,
        needs: tuple[Path, ...] = (),
        again: bool = False,
    ) -> dict[str, Any]:
        """The point's result: from disk where it is finished, else made now.

        Args:
            key: its name, also its file's.
            make: gives a JSON-able result.
            decides: what the result depends on; anything with a stable ``repr``.
            progress: told what runs.
            needs: files that must still be there for the stored result to count.
            again: make it whatever is stored.
        """
        path = self.folder / f"{key}.json"
        mark = digest(repr(decides).encode())
        stored = None if again else self._read(path)
        if stored is not None and stored["decides"] == mark and all(n.exists() for n in needs):
            self.origins.append(stored["made_with"])
            result: dict[str, Any] = stored["result"]
            return result
        with progress.stage(key.replace("-", " ")):
            made = make()
        made_with = _versions()
        self.origins.append(made_with)
        whole = {"decides": mark, "made_with": made_with, "result": made}
        text = json.dumps(whole, indent=1, sort_keys=True)
        write_atomic(path, text + "\n")
        # As it will be read the next time: what it decides must not depend on who asks first.
        fresh: dict[str, Any] = json.loads(text)["result"]
        return fresh

    @staticmethod
    def _read(path: Path) -> dict[str, Any] | None:
        try:
            stored: dict[str, Any] = json.loads(path.read_text())
        except (OSError, ValueError):
            return None
        return stored if {"decides", "made_with", "result"} <= set(stored) else None


def _versions() -> dict[str, str]:
    """Python packages, compiler and emulator, as far as they are installed."""
    found = versions()
    for program in ("arm-none-eabi-gcc", "qemu-system-arm"):
        with suppress(ToolchainError):
            found[program] = version(program)
    return found
