"""Finished points on disk: one JSON file each, so that a killed study goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.bundle import digest, write_atomic
from bridge.progress import Progress


@dataclass(frozen=True)
class Store:
    """A folder of points.

    A point is made once: its file holds the result and a hash of what decides it. A changed
    recipe makes it anew.

    Attributes:
        folder: where the files are.
    """

    folder: Path

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
            result: dict[str, Any] = stored["result"]
            return result
        with progress.stage(key.replace("-", " ")):
            made = make()
        text = json.dumps({"decides": mark, "result": made}, indent=1, sort_keys=True)
        write_atomic(path, text + "\n")
        # As it will be read the next time: what it decides must not depend on who asks first.
        fresh: dict[str, Any] = json.loads(text)["result"]
        return fresh

    def keys(self) -> Iterator[str]:
        """The names of all finished points."""
        for path in sorted(self.folder.glob("*.json")):
            yield path.stem

    @staticmethod
    def _read(path: Path) -> dict[str, Any] | None:
        try:
            stored: dict[str, Any] = json.loads(path.read_text())
        except (OSError, ValueError):
            return None
        return stored if {"decides", "result"} <= set(stored) else None
