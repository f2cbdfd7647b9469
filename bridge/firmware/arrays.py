"""What drops into firmware: the model as an array, its settings, test vectors, its resolver.

Everything carries a prefix, so that two networks live in one firmware. The same input gives the
same bytes.
"""

from __future__ import annotations

import hashlib
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bridge.errors import InputError, ModelError
from bridge.firmware.resolver import resolver_header
from bridge.graph import Graph, Tensor
from bridge.graph.model import Array
from bridge.text import environment, float32_literal

_C_TYPES = {
    "int8": "int8_t", "uint8": "uint8_t", "int16": "int16_t", "uint16": "uint16_t",
    "int32": "int32_t", "float32": "float",
}  # fmt: skip
_QUANTIZED = ("int8", "uint8", "int16")


@dataclass(frozen=True)
class _Port:
    """One input or output, as the templates see it."""

    side: str
    number: int
    dtype: str
    ctype: str
    shape: tuple[int, ...]
    elements: int
    quantized: bool
    scale: float
    zero_point: int
    low: int
    high: int
    vectors: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.side}{self.number}"

    @property
    def label(self) -> str:
        return self.name.upper()


def package_arrays(
    graph: Graph,
    model_bytes: bytes,
    samples_inputs: Array | Sequence[Array],
    samples_expected: Array | Sequence[Array],
    prefix: str = "model",
    arena_bytes: int = 0,
    decompression_bytes: int = 0,
    lent_arena_bytes: int = 0,
) -> Mapping[str, str]:
    """The files that put one network into TFLM firmware.

    Args:
        graph: the network.
        model_bytes: the same as a TFLite flatbuffer.
        samples_inputs: ``[N, …]`` of the input's type; one such array for each input if several.
        samples_expected: the interpreter's outputs for them, likewise.
        prefix: what every name starts with; a C identifier in small letters.
        arena_bytes: the arena that ``<PREFIX>_ARENA_SIZE`` asks for.
        decompression_bytes: ``<PREFIX>_DECOMPRESSION_SIZE``, for a network with DECODE operators.
        lent_arena_bytes: ``<PREFIX>_LENT_ARENA_SIZE``, the arena where that much is lent beside it.

    Returns:
        File name → text: ``<prefix>_model_data.h/.cc``, ``<prefix>_settings.h``,
        ``<prefix>_test_vectors.h/.c``, ``<prefix>_resolver.h``.

    Raises:
        InputError: the prefix is no C identifier, or samples don't fit the network.
        ModelError: an input or output has a type that C settings can't express.
        UnsupportedOperator: TFLM lacks an operator.
    """
    return {
        **model_data(model_bytes, prefix),
        **vector_files(
            graph,
            samples_inputs,
            samples_expected,
            prefix,
            arena_bytes,
            decompression_bytes=decompression_bytes,
            lent_arena_bytes=lent_arena_bytes,
        ),
        f"{prefix}_resolver.h": resolver_header(graph, prefix),
    }


ARENA_NOTE = (
    "what TFLite Micro needs{asked} on a 64-bit host, found by search, {ours}and a bound of "
    "CMSIS-NN's scratch memory; interpreter.arena_used_bytes() tells on the target how much is used"
)
TFLM_ARENA = ARENA_NOTE.format(asked="", ours="")
"""How ``target_arena_bytes`` finds its number, for a comment."""


def vector_files(
    graph: Graph,
    samples_inputs: Array | Sequence[Array],
    samples_expected: Array | Sequence[Array],
    prefix: str,
    arena_bytes: int,
    arena_note: str = TFLM_ARENA,
    decompression_bytes: int = 0,
    lent_arena_bytes: int = 0,
) -> Mapping[str, str]:
    """Settings and test vectors alone, for any runtime: see :func:`package_arrays`.

    Args:
        arena_note: how the arena's size was found, in one sentence without a full stop.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", prefix):
        raise InputError(
            f"{prefix!r} can't start C names", hint="use small letters, digits, underscores"
        )
    inputs = _ports("input", graph, graph.inputs, samples_inputs)
    outputs = _ports("output", graph, graph.outputs, samples_expected)
    count = {len(port.vectors) for port in (*inputs, *outputs)}
    if len(count) != 1:
        raise InputError(f"inputs and outputs differ in how many samples they have: {count}")
    values = {
        "prefix": prefix,
        "arena_bytes": arena_bytes,
        "arena_note": textwrap.wrap(f"Bytes, 16-byte aligned: {arena_note}.", 95),
        "decompression_bytes": decompression_bytes,
        "lent_arena_bytes": lent_arena_bytes,
        "inputs": inputs,
        "outputs": outputs,
        "tensors": [*inputs, *outputs],
        "quantized": any(port.quantized for port in inputs),
        "count": count.pop(),
    }
    templates = environment("bridge.firmware")
    return {
        f"{prefix}_{name}": templates.get_template(f"{name}.j2").render(values)
        for name in ("settings.h", "test_vectors.h", "test_vectors.c")
    }


def model_data(model_bytes: bytes, prefix: str = "model") -> Mapping[str, str]:
    """The model's array alone: ``<prefix>_model_data.h`` and ``.cc``."""
    templates = environment("bridge.firmware")
    values = {
        "prefix": prefix,
        "size": len(model_bytes),
        "sha256": hashlib.sha256(model_bytes).hexdigest(),
        "rows": _rows((f"0x{byte:02x}" for byte in model_bytes), 16, 4),
    }
    return {
        f"{prefix}_{name}": templates.get_template(f"{name}.j2").render(values)
        for name in ("model_data.h", "model_data.cc")
    }


def _ports(
    side: str, graph: Graph, indices: Sequence[int], samples: Array | Sequence[Array]
) -> list[_Port]:
    arrays = [samples] if isinstance(samples, np.ndarray) else list(samples)
    if len(arrays) != len(indices):
        raise InputError(
            f"{len(arrays)} arrays of samples for {len(indices)} {side}s of {graph.name}"
        )
    return [
        _port(side, number, graph.tensor(index), array)
        for number, (index, array) in enumerate(zip(indices, arrays, strict=True))
    ]


def _port(side: str, number: int, tensor: Tensor, samples: Array) -> _Port:
    if tensor.dtype not in _C_TYPES:
        raise ModelError(f"{side} {tensor.name!r} has type {tensor.dtype}, which C lacks")
    if str(samples.dtype) != tensor.dtype or not len(samples):
        raise InputError(
            f"samples of {side} {tensor.name!r} are {samples.dtype} {samples.shape}, "
            f"where {tensor.dtype} [N, {tensor.elements}] is needed"
        )
    flat = samples.reshape(len(samples), -1)
    if flat.shape[1] != tensor.elements:
        raise InputError(
            f"a sample of {side} {tensor.name!r} has {flat.shape[1]} values, "
            f"where the network has {tensor.elements}"
        )
    quantization = tensor.quantization if tensor.dtype in _QUANTIZED else None
    limits = np.iinfo(tensor.dtype) if tensor.dtype in _QUANTIZED else None
    literal = float32_literal if tensor.dtype == "float32" else str
    return _Port(
        side,
        number,
        tensor.dtype,
        _C_TYPES[tensor.dtype],
        tensor.shape,
        tensor.elements,
        quantization is not None,
        quantization.scale if quantization else 1.0,
        quantization.zero_point if quantization else 0,
        int(limits.min) if limits else 0,
        int(limits.max) if limits else 0,
        tuple(_rows((literal(value) for value in row.tolist()), 16, 8) for row in flat),
    )


def _rows(values: Iterable[str], columns: int, indent: int) -> str:
    found = list(values)
    lines = (", ".join(found[at : at + columns]) for at in range(0, len(found), columns))
    return ",\n".join(" " * indent + line for line in lines)
