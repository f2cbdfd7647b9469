"""The output folder: everything that stages share on disk, with a manifest of what is in it.

A bundle is written beside its final place, in ``DIR.partial``, and moved there when it is whole;
an interrupted run leaves the previous bundle untouched and can take up its finished stages. What is
recorded in a finished bundle later (a bench, compressed variants) is recorded in turns.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.errors import BundleError

MANIFEST = "bridge.json"
MODEL = "model_int8.tflite"
"""The int8 network's name in every bundle."""
FORMAT = 1


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write a file beside its place, then rename, so that a reader never sees half of it.

    Raises:
        BundleError: the folder can't be made or written, or the disk is full.
    """
    data = content.encode() if isinstance(content, str) else content
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(temporary, 0o666 & ~umask)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """What the system refuses is the user's to change: a place, its rights, its space."""
    try:
        yield
    except OSError as error:
        raise BundleError(
            f"can't write {path}: {error.strerror}",
            hint="name another place, or see to the folder's permissions and free space",
        ) from error


def digest(content: bytes) -> str:
    """The sha256 of some bytes, in hex."""
    return hashlib.sha256(content).hexdigest()


def _previous(target: Path) -> Path:
    """Where a bundle stands for the moment in which another takes its place."""
    return target.with_name(f".{target.name}.previous")


def _put_back(target: Path) -> None:
    """Undo half a commit: a run cut between its two renames left the previous bundle beside."""
    if not target.exists() and (_previous(target) / MANIFEST).is_file():
        os.replace(_previous(target), target)


def _dump(manifest: Mapping[str, Any]) -> str:
    return json.dumps(manifest, indent=2, sort_keys=True) + "\n"


@dataclass(frozen=True)
class Bundle:
    """A finished bundle on disk.

    Attributes:
        path: its folder.
        manifest: the content of ``bridge.json``.
    """

    path: Path
    manifest: Mapping[str, Any]

    @classmethod
    def open(cls, path: Path) -> Bundle:
        """Read a bundle and check its files against their hashes.

        Raises:
            BundleError: there is none, it was made by another format, or a file was changed.
        """
        _put_back(path)
        try:
            return cls(path, _checked(path))
        except BundleError:
            if not (path / MANIFEST).is_file():
                raise
        with _turn(path):  # another process may have been between its files and its manifest
            return cls(path, _checked(path))

    def model(self) -> bytes:
        """The int8 network.

        Raises:
            BundleError: it is gone.
        """
        try:
            return (self.path / MODEL).read_bytes()
        except OSError:
            raise BundleError(
                f"{self.path} holds no {MODEL}", hint=f"convert again, with --out {self.path}"
            ) from None

    def turn(self) -> AbstractContextManager[None]:
        """Keep other processes from recording until several changes are done together."""
        return _turn(self.path)

    def add(self, files: Mapping[str, bytes | str], **entries: Any) -> Bundle:
        """Write files into the bundle and record them (with further manifest entries).

        What other processes have recorded since the bundle was opened stays.

        Raises:
            BundleError: the manifest is gone or damaged, or another conversion has taken the
                bundle's place meanwhile.
        """
        with self.turn():
            current = _manifest(self.path)
            if current.get("key") != self.manifest.get("key"):
                raise BundleError(
                    f"{self.path} is not the bundle any more that was opened; nothing was written",
                    hint="it was converted anew meanwhile: run the command again",
                )
            hashes = dict(current.get("files", {}))
            for name, content in files.items():
                write_atomic(self.path / name, content)
                hashes[name] = digest(content.encode() if isinstance(content, str) else content)
            manifest = {**current, **entries, "files": hashes}
            write_atomic(self.path / MANIFEST, _dump(manifest))
        return Bundle(self.path, manifest)


@contextmanager
def _turn(path: Path) -> Iterator[None]:
    """Processes that change one bundle take turns; within a process turns nest."""
    from filelock import FileLock

    lock = FileLock(path / ".lock", is_singleton=True)
    try:
        lock.acquire()
    except OSError:  # where no lock can be made, nothing can be changed either
        yield
        return
    try:
        yield
    finally:
        lock.release()


def _manifest(path: Path) -> dict[str, Any]:
    """What ``bridge.json`` holds."""
    try:
        manifest: dict[str, Any] = json.loads((path / MANIFEST).read_text())
    except OSError:
        raise BundleError(
            f"{path} is not a bundle: it has no {MANIFEST}",
            hint=f"make one with: tflm-bridge convert MODEL --out {path}",
        ) from None
    except ValueError:
        raise BundleError(f"{path / MANIFEST} is damaged", hint="convert again") from None
    return manifest


def _checked(path: Path) -> dict[str, Any]:
    """The manifest, once every file has the hash that stands in it."""
    manifest = _manifest(path)
    if manifest.get("format") != FORMAT:
        raise BundleError(
            f"{path} has bundle format {manifest.get('format')}, this version reads {FORMAT}",
            hint="convert again with this version",
        )
    for name, expected in manifest.get("files", {}).items():
        file = path / name
        if not file.is_file():
            raise BundleError(f"{file} is missing from its bundle", hint="convert again")
        if digest(file.read_bytes()) != expected:
            raise BundleError(f"{file} was changed after the bundle was made", hint="convert again")
    return manifest


@dataclass
class BundleWriter:
    """A bundle in the making.

    Stages write through :meth:`write` and end with :meth:`finish_stage`; :meth:`commit` puts
    the whole folder in its place.

    Attributes:
        target: where the bundle will stand.
        key: what decides its content (options, seed, source hashes); finished stages of an
            interrupted run are taken up only under the same key.
        manifest: entries for ``bridge.json``, filled in by the stages.
    """

    target: Path
    key: str
    manifest: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _put_back(self.target)
        if (
            self.target.exists()
            and not (self.target / MANIFEST).is_file()
            and (not self.target.is_dir() or any(self.target.iterdir()))
        ):
            raise BundleError(
                f"{self.target} exists and is no bundle of ours",
                hint="give --out a new folder; nothing was changed",
            )
        self.manifest = {"format": FORMAT, "key": self.key, "stages": {}, "files": {}}
        earlier = self._interrupted()
        if earlier is not None:
            self.manifest = earlier
        else:
            shutil.rmtree(self.work, ignore_errors=True)
        with _writing(self.work):
            self.work.mkdir(parents=True, exist_ok=True)

    @property
    def work(self) -> Path:
        """The folder beside the target where files are written until the end."""
        return self.target.with_name(self.target.name + ".partial")

    def _interrupted(self) -> dict[str, Any] | None:
        try:
            manifest: dict[str, Any] = json.loads((self.work / MANIFEST).read_text())
        except (OSError, ValueError):
            return None
        whole = all(
            (self.work / name).is_file() and digest((self.work / name).read_bytes()) == expected
            for name, expected in manifest.get("files", {}).items()
        )
        return manifest if whole and manifest.get("key") == self.key else None

    def write(self, name: str, content: bytes | str) -> Path:
        """Write one file (a relative path) and record its hash."""
        data = content.encode() if isinstance(content, str) else content
        write_atomic(self.work / name, data)
        self.manifest["files"][name] = digest(data)
        return self.work / name

    def path(self, name: str) -> Path:
        """Where a file of this bundle stands while it is being made."""
        return self.work / name

    def finished(self, stage: str) -> dict[str, Any] | None:
        """What a stage of an interrupted run left, or None if it must run."""
        result: dict[str, Any] | None = self.manifest["stages"].get(stage)
        return result

    def finish_stage(self, stage: str, **results: Any) -> None:
        """Record a stage as done, with JSON-able results, so that it need not run again."""
        self.manifest["stages"][stage] = results
        write_atomic(self.work / MANIFEST, _dump(self.manifest))

    def abandon(self) -> None:
        """Leave nothing behind a failed run but what another one can take up."""
        if not self.manifest["stages"]:
            shutil.rmtree(self.work, ignore_errors=True)

    def commit(self) -> Bundle:
        """Move the finished folder to its place; the previous bundle goes only then."""
        write_atomic(self.work / MANIFEST, _dump(self.manifest))
        old = _previous(self.target)
        shutil.rmtree(old, ignore_errors=True)
        if self.target.exists():
            os.replace(self.target, old)
        os.replace(self.work, self.target)
        shutil.rmtree(old, ignore_errors=True)
        return Bundle(self.target, self.manifest)
