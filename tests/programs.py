"""A machine on which a program is missing."""

from __future__ import annotations

import os
from pathlib import Path


def without(program: str, folder: Path) -> str:
    """A PATH with everything but one program, as links in an empty folder."""
    folder.mkdir()
    for place in reversed(os.environ["PATH"].split(os.pathsep)):
        for file in Path(place).glob("*"):
            (folder / file.name).unlink(missing_ok=True)
            if file.name != program:
                (folder / file.name).symlink_to(file)
    return str(folder)
