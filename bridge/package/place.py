"""Write a package's files where a user works, without ever touching what is the user's.

A manifest in the folder remembers the hash of every file as it was written. A file that still has
that hash is ours and may be replaced or removed; any other is the user's: it stays, and the new
version is written beside it as ``NAME.new``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.bundle import digest, write_atomic
from bridge.errors import BundleError, InputError

MANIFEST = "tflm-bridge.json"
FORMAT = 1


@dataclass(frozen=True)
class Placed:
    """What became of each file, by its path in the package.

    Attributes:
        written: new or replaced.
        unchanged: stood there with the same content.
        beside: the user's; the new version stands beside it as ``NAME.new``.
        removed: ours from an earlier export, no longer needed.
        kept: no longer needed, but changed by the user.
    """

    written: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


def read_manifest(folder: Path) -> dict[str, Any]:
    """What an earlier export left in a folder; empty where there was none.

    Raises:
        InputError: the place is no folder.
        BundleError: the manifest is damaged or of another version.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(
            f"{folder} is no folder", hint="give --into a folder; it is made if needed"
        )
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        raise BundleError(
            f"{folder / MANIFEST} is damaged", hint="remove it; files there then count as yours"
        ) from None
    if manifest.get("format") != FORMAT:
        raise BundleError(
            f"{folder / MANIFEST} has format {manifest.get('format')}, this version reads {FORMAT}",
            hint="export with the same version, or into a new folder",
        )
    return manifest


def place(
    folder: Path, files: Mapping[str, str], entries: Mapping[str, Any], other: set[str]
) -> Placed:
    """Write files into a package.

    Args:
        folder: the package; it is made.
        files: path in the package → text.
        entries: what the manifest holds beside the hashes.
        other: files of earlier exports that stay as they are.

    Raises:
        InputError: a new version can't be put beside a file of the user's; nothing was written.
    """
    known: dict[str, str] = dict(read_manifest(folder).get("files", {}))
    hashes = {name: known[name] for name in other if name in known}
    done: dict[str, list[str]] = {n: [] for n in Placed.__dataclass_fields__}
    writes: dict[str, bytes] = {}
    for name, text in sorted(files.items()):
        new, beside = text.encode(), f"{name}.new"
        found = _content(folder / name)
        # A new version that the user has moved into its place is ours as well.
        ours = {known.get(name), known.get(beside)}
        if found == new:
            done["unchanged"].append(name)
        elif found is None or digest(found) in ours:
            writes[name] = new
            done["written"].append(name)
        else:
            _check_beside(folder / beside, new, known.get(beside))
            writes[beside] = new
            hashes[beside] = digest(new)
            done["beside"].append(name)
            if name in known:
                hashes[name] = known[name]
            continue
        hashes[name] = digest(new)
    for name, content in writes.items():
        write_atomic(folder / name, content)
    for name in sorted(known.keys() - hashes.keys() - files.keys()):
        found = _content(folder / name)
        if found is None:
            continue
        if digest(found) == known[name]:
            (folder / name).unlink()
            done["removed"].append(name)
        else:
            done["kept"].append(name)
    manifest = {**entries, "format": FORMAT, "files": hashes}
    write_atomic(folder / MANIFEST, json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    return Placed(**{name: tuple(values) for name, values in done.items()})


def _content(path: Path) -> bytes | None:
    """A file's bytes, None where there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(
            f"can't replace {path}: {error.strerror}", hint="move it away, or give another --into"
        ) from None


def _check_beside(path: Path, content: bytes, ours: str | None) -> None:
    found = _content(path)
    if found is not None and found != content and digest(found) != ours:
        raise InputError(
            f"{path} holds changes of yours too", hint="merge it into the file beside it, remove it"
        )
