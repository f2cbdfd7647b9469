"""How large an arena TFLM needs, found by search on the host.

TFLM does not check every allocation: an arena that is too small can end the whole process with a
segmentation fault. So this module runs itself as a program, which tries each size in a fork.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys

from bridge.errors import ModelError

STEP = 64
"""Resolution of the search in bytes."""
_LIMIT = 1 << 28


def host_arena_bytes(model: bytes) -> int:
    """The smallest arena in which the host's TFLM interpreter allocates the network.

    The host has 64-bit pointers, so this is an upper bound for a 32-bit core as far as TFLM's
    own structures go; CMSIS-NN kernels ask for scratch that the host's kernels don't. Measure
    on the target before cutting it to the byte.

    Args:
        model: an int8 .tflite.

    Raises:
        ModelError: TFLM refuses the network at any size.
    """
    result = subprocess.run(
        [sys.executable, "-m", "bridge.firmware.arena"],
        input=model, capture_output=True, check=False,
    )  # fmt: skip
    if result.returncode != 0 or not result.stdout.strip().isdigit():
        raise ModelError("TFLite Micro can't allocate the network even in 256 MB")
    return int(result.stdout)


def _search(model: bytes) -> int | None:
    """The smallest arena; None where the largest is refused too."""
    low, high = 0, 1024
    while not _allocates(model, high):
        low, high = high, high * 2
        if high > _LIMIT:
            return None
    while high - low > STEP:
        middle = (low + high) // 2
        if _allocates(model, middle):
            high = middle
        else:
            low = middle
    return -(-high // STEP) * STEP


def _allocates(model: bytes, size: int) -> bool:
    from tflite_micro.python.tflite_micro import runtime

    child = os.fork()
    if child == 0:
        try:
            runtime.Interpreter.from_bytes(model, arena_size=size)
        except Exception:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answer = os.fdopen(os.dup(1), "w")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)  # TFLM says aloud what does not fit
    os.dup2(quiet, 2)
    found = _search(sys.stdin.buffer.read())
    if found is None:
        sys.exit(1)
    answer.write(str(found))
    answer.close()
