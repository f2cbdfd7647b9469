"""Compiled libraries in the user's cache: each is compiled once for its sources and flags."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bridge.paths import cache_folder

_MONTH = 30 * 24 * 3600.0


def keep(
    place: str, name: str, flags: object, files: Sequence[Path], make: Callable[[Path], Path]
) -> Path:
    """A static library, made where the cache holds none of the same origin.

    Processes may ask for it at the same time: each makes it beside and renames.

    Args:
        place: a folder in the cache.
        name: of the library.
        flags: what decides it beside its sources: compiler, options; anything with a stable
            ``repr``.
        files: its sources.
        make: given an empty folder, compiles it there and returns its path.
    """
    key = hashlib.sha256(repr(flags).encode())
    for file in files:
        key.update(file.name.encode() + file.read_bytes())
    archive = _writable(cache_folder() / place) / f"{name}-{key.hexdigest()[:24]}.a"
    if archive.is_file():
        os.utime(archive)
        return archive
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        os.replace(make(Path(folder)), archive)
    _forget(archive.parent)
    return archive


def _writable(folder: Path) -> Path:
    """The folder, or one for this process alone where the user has no place for a cache."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    own = Path(tempfile.mkdtemp(prefix="tflm-bridge-library-"))
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    return own


def _forget(folder: Path) -> None:
    """Remove libraries of sources that nobody has used for a month."""
    for archive in folder.glob("*.a"):
        with contextlib.suppress(OSError):
            if archive.stat().st_mtime < time.time() - _MONTH:
                archive.unlink()
