"""How large an arena TFLM needs: found by search on the host, with a bound for what a core adds.

TFLM does not check every allocation: an arena that is too small can end the whole process with a
segmentation fault. So this module runs itself as a program, which tries each size in a fork.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys

from bridge.errors import ModelError
from bridge.graph import Graph, Operator, read_tflite

STEP = 64
"""Resolution of the search in bytes."""
_LIMIT = 1 << 28


def target_arena_bytes(model: bytes, alternate: int = 0) -> int:
    """An arena that is large enough on any Cortex-M, with reference kernels or CMSIS-NN.

    It is what the host's interpreter needs (:func:`host_arena_bytes`) and a bound of the memory
    that CMSIS-NN's kernels ask for beside it.

    Args:
        model: an int8 .tflite.
        alternate: bytes of alternate decompression memory that the application lends.
    """
    return host_arena_bytes(model, alternate) + cmsis_nn_bytes(read_tflite(model))


def cmsis_nn_bytes(graph: Graph) -> int:
    """A bound of what CMSIS-NN's kernels take from the arena, for all its instruction sets.

    The scratch of one operator at a time, and what fully connected layers keep
    (``arm_*_get_buffer_size`` of CMSIS-NN; the largest of the plain, DSP and MVE versions).
    """
    kept = sum(4 * op_channels(graph, op) for op in graph.operators if op.kind in _KEEPING)
    scratch = max((_scratch(graph, op) for op in graph.operators), default=0)
    handles = 32 * len(graph.operators)  # a record of each scratch buffer, and alignment
    return -(-(kept + scratch + handles) // STEP) * STEP


_KEEPING = frozenset({"FULLY_CONNECTED"})
_MVE_CHANNELS = 124  # CH_IN_BLOCK_MVE


def op_channels(graph: Graph, operator: Operator) -> int:
    """How many channels an operator's output has."""
    shape = graph.output(operator).shape
    return shape[-1] if shape else 1


def _scratch(graph: Graph, operator: Operator) -> int:
    channels = op_channels(graph, operator)
    weights = graph.input(operator, 1)
    if operator.kind == "AVERAGE_POOL_2D":
        return 4 * channels
    if operator.kind == "FULLY_CONNECTED":
        return 8 * channels
    if weights is None or len(weights.shape) != 4:
        return 0
    taps = weights.shape[1] * weights.shape[2]
    if operator.kind == "CONV_2D":
        return 64 * -(-taps * weights.shape[3] // 16)
    if operator.kind == "DEPTHWISE_CONV_2D":
        return max(
            2 * channels * taps, 4 * _MVE_CHANNELS * taps, 64 * -(-taps // 16) + 2 * taps * channels
        )
    if operator.kind == "TRANSPOSE_CONV":
        image = graph.output(operator).elements
        return max(4 * 4 * image, 64 * -(-taps * weights.shape[3] // 16)) + weights.bytes
    return 0


def host_arena_bytes(model: bytes, alternate: int = 0) -> int:
    """The smallest arena in which the host's TFLM interpreter allocates the network.

    The host has 64-bit pointers, so this is an upper bound for a 32-bit core as far as TFLM's
    own structures go; CMSIS-NN kernels ask for scratch that the host's kernels don't. Measure
    on the target before cutting it to the byte.

    Args:
        model: an int8 .tflite.
        alternate: bytes of alternate decompression memory that the application lends.

    Raises:
        ModelError: TFLM refuses the network at any size.
    """
    result = subprocess.run(
        [sys.executable, "-m", "bridge.firmware.arena", str(alternate)],
        input=model, capture_output=True, check=False,
    )  # fmt: skip
    if result.returncode != 0 or not result.stdout.strip().isdigit():
        raise ModelError("TFLite Micro can't allocate the network even in 256 MB")
    return int(result.stdout)


def _search(model: bytes, alternate: int) -> int | None:
    """The smallest arena; None where the largest is refused too."""
    low, high = 0, 1024
    while not _allocates(model, high, alternate):
        low, high = high, high * 2
        if high > _LIMIT:
            return None
    while high - low > STEP:
        middle = (low + high) // 2
        if _allocates(model, middle, alternate):
            high = middle
        else:
            low = middle
    return -(-high // STEP) * STEP


def _allocates(model: bytes, size: int, alternate: int) -> bool:
    from tflite_micro.python.tflite_micro import runtime

    child = os.fork()
    if child == 0:
        try:
            runtime.Interpreter.from_bytes(
                model, arena_size=size, alt_decompression_memory_size=alternate
            )
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
    found = _search(sys.stdin.buffer.read(), int(sys.argv[1]))
    if found is None:
        sys.exit(1)
    answer.write(str(found))
    answer.close()
