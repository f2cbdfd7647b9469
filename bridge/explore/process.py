"""Processes that run trials: which one has a trial, whether it still lives, starting more."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.errors import BridgeError
from bridge.progress import Progress

if TYPE_CHECKING:
    from bridge.explore.settings import Settings


def this_process() -> dict[str, str | int]:
    """What tells this process from every other: host, id and when it started."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "start": _start(os.getpid())}


def alive(process: dict[str, str | int]) -> bool | None:
    """Whether a process of :func:`this_process` still runs; None on another machine."""
    if process.get("host") != socket.gethostname():
        return None
    pid = int(process["pid"])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return _start(pid) == process.get("start")


def _start(pid: int) -> str:
    """A process's start time in clock ticks since boot (proc(5), field 22); empty if unknown."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]


def run_workers(settings: Settings, progress: Progress) -> None:
    """Run trials in ``settings.workers`` processes and wait for them.

    A process that dies costs only its trial: the others go on, and the caller finishes the rest.

    Raises:
        BridgeError: none of them got through.
    """
    context = multiprocessing.get_context("spawn")
    with progress.stage(f"{settings.workers} processes"):
        processes = [
            context.Process(target=_worker, args=(settings, number + 1), daemon=False)
            for number in range(settings.workers)
        ]
        for process in processes:
            process.start()
        try:
            for process in processes:
                process.join()
        except BaseException:
            for process in processes:
                process.terminate()
            raise
    failed = [process for process in processes if process.exitcode]
    if len(failed) == len(processes):
        raise BridgeError("every process of the exploration failed", hint="see what they said")
    for process in failed:
        progress.note(f"a process ended with status {process.exitcode}; the others went on")


def _worker(settings: Settings, number: int) -> None:
    """One process of several: tells a line a trial on stderr."""
    from rich.console import Console

    from bridge.console import Terminal
    from bridge.explore.networks import Workshop
    from bridge.explore.study import work

    progress = Terminal(Console(stderr=True, highlight=False, force_terminal=False))
    try:
        work(settings, Workshop(settings, progress), progress, worker=number)
    except BridgeError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_status) from None
