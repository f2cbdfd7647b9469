"""How large an arena TFLM needs, found by search."""

from __future__ import annotations

from bridge.errors import ModelError

STEP = 64
"""Resolution of the search in bytes."""


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
    low, high = 0, 1024
    while not _allocates(model, high):
        low, high = high, high * 2
        if high > 1 << 28:
            raise ModelError("TFLite Micro can't allocate the network even in 256 MB")
    while high - low > STEP:
        middle = (low + high) // 2
        if _allocates(model, middle):
            high = middle
        else:
            low = middle
    return -(-high // STEP) * STEP


def _allocates(model: bytes, size: int) -> bool:
    from tflite_micro.python.tflite_micro import runtime

    from bridge.convert.quiet import quiet

    try:
        with quiet():
            runtime.Interpreter.from_bytes(model, arena_size=size)
    except Exception:
        return False
    return True
