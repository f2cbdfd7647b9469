"""A real PostgreSQL server in a temporary folder, on loopback, for as long as a test runs."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def _binary(name: str) -> Path:
    # Debian keeps the server's programs beside each other, one folder a version, off the PATH.
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = places[-1] if places else shutil.which(name)
    if not found:
        pytest.skip("PostgreSQL is not installed (Debian package postgresql)")
    return Path(found)


def _as_server(folder: Path) -> list[str]:
    """What runs a command as a user that PostgreSQL accepts: it refuses root."""
    if os.getuid() != 0:
        return []
    if shutil.which("runuser") is None:
        pytest.skip("PostgreSQL does not run as root, and there is no runuser")
    shutil.chown(folder, "postgres")
    return ["runuser", "-u", "postgres", "--"]


@contextmanager
def server() -> Iterator[str]:
    """Start a server; gives the URL of an empty database."""
    pytest.importorskip("psycopg", reason="the driver psycopg is not installed")
    # Not pytest's folder: the server's user could not enter it, and a socket's path is short.
    with tempfile.TemporaryDirectory(prefix="bridge-pg-") as name:
        yield from _serve(Path(name))


def _serve(folder: Path) -> Iterator[str]:
    initdb, control = _binary("initdb"), _binary("pg_ctl")
    prefix = _as_server(folder)
    cluster, log = folder / "cluster", folder / "log"

    def run(*command: str) -> None:
        subprocess.run(
            [*prefix, *command], cwd=folder, check=True, stdout=subprocess.DEVNULL, timeout=120
        )

    run(str(initdb), "-D", str(cluster), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} -c fsync=off"
    run(str(control), "-D", str(cluster), "-l", str(log), "-w", "-o", options, "start")
    try:
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    finally:
        run(str(control), "-D", str(cluster), "-m", "immediate", "stop")
