"""The proof of a compressed network: the same bytes come out of the real interpreter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bridge.errors import ProofError
from bridge.graph import read_tflite
from bridge.graph.model import Array

RUNG = "compressed = plain, in TFLM"


def prove_equal(
    plain: bytes, compressed: bytes, inputs: Sequence[Array] | None = None, *, count: int = 100
) -> int:
    """Run both networks in TFLite Micro and compare every output byte.

    Args:
        plain: the .tflite as it was.
        compressed: the same with DECODE operators.
        inputs: one array ``[N, …]`` per input; random values are added up to ``count`` samples.
        count: samples at least.

    Returns:
        how many samples agreed.

    Raises:
        ProofError: a byte differs.
    """
    from bridge.convert.tflm import run

    inputs = _samples(plain, inputs, count)
    wanted, found = run(plain, inputs), run(compressed, inputs)
    different = sum(
        int(np.count_nonzero(a != b)) for a, b in zip(wanted, found, strict=True)
    )  # fmt: skip
    if different:
        raise ProofError(
            RUNG, f"{different} output values differ on {len(inputs[0])} samples",
            hint="a defect of tflm-bridge or of this interpreter; use the plain model",
        )  # fmt: skip
    return len(inputs[0])


def _samples(model: bytes, inputs: Sequence[Array] | None, count: int) -> list[Array]:
    graph = read_tflite(model)
    random = np.random.default_rng(0)
    result = []
    for position, index in enumerate(graph.inputs):
        tensor = graph.tensor(index)
        given = None if inputs is None else inputs[position]
        rows = max(0, count - (0 if given is None else len(given)))
        if tensor.dtype.startswith("float"):
            drawn = random.normal(size=(rows, *tensor.shape[1:])).astype(tensor.dtype)
        else:
            limits = np.iinfo(tensor.dtype)
            shape = (rows, *tensor.shape[1:])
            drawn = random.integers(limits.min, limits.max, shape, endpoint=True)
            drawn = drawn.astype(tensor.dtype)
        if given is not None:
            drawn = np.concatenate([given.reshape(len(given), *tensor.shape[1:]), drawn])
        result.append(drawn)
    return result
