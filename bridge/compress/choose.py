"""For each constant of a network: whether it may be encoded, and the smallest way to do it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bridge.encode.decode_bitmask import pack_bitmask
from bridge.encode.decode_header import Encoded, EncodingError
from bridge.encode.decode_huffman import pack_huffman
from bridge.encode.decode_lut import pack_lut
from bridge.graph import Graph, Tensor
from bridge.graph.model import WEIGHTED

ENCODINGS = ("bitmask", "huffman", "lut")
"""What TFLite Micro decodes, by our names."""
NONE = "none"

OVERHEAD = 220
"""Bytes in the flatbuffer beside the encoded values: two tensors, two buffers, their alignment,
and the operator. Measured between 150 and 250; a tensor must gain more than that."""

_VALUES = {"TRANSPOSE_CONV": (1, 3)}  # weights and bias; the others have them at 1 and 2


@dataclass(frozen=True)
class TensorCoding:
    """What became of one constant.

    Attributes:
        name: the tensor's.
        encoding: one of :data:`ENCODINGS`, or ``none``.
        bytes_before: its values, uncompressed.
        bytes_after: encoded values, tables and header included; the same as before for ``none``.
        reason: why this encoding, or why none.
    """

    name: str
    encoding: str
    bytes_before: int
    bytes_after: int
    reason: str


def encodable(graph: Graph, shared: Mapping[int, Sequence[int]]) -> tuple[set[int], dict[int, str]]:
    """Which constants DECODE may rebuild while the network runs.

    Only weights and biases that kernels read in ``Invoke()`` may; shapes, axes and paddings are
    read before anything is decoded.

    Args:
        graph: the network.
        shared: for each constant the tensors that lie in the same buffer, itself included.

    Returns:
        the tensors that may, and for all other constants the reason why not.
    """
    refused: dict[int, str] = {}
    for operator in graph.operators:
        allowed = _VALUES.get(operator.kind, (1, 2)) if operator.kind in WEIGHTED else ()
        for position, index in enumerate(operator.inputs):
            if index >= 0 and position not in allowed and graph.tensor(index).data is not None:
                refused.setdefault(index, f"{operator.kind} reads it before anything is decoded")
    for index in graph.outputs:
        refused.setdefault(index, "it is an output of the network")
    used = {index for operator in graph.operators for index in operator.inputs}
    constants = {t.index for t in graph.tensors if t.data is not None}
    for index in constants - used:
        refused.setdefault(index, "no operator reads it")
    for index in constants - set(refused):
        for other in shared.get(index, ()):
            if other in refused:
                name = graph.tensor(other).name
                refused[index] = f"its values are shared with {name!r}, which stays"
    return constants - set(refused), {i: why for i, why in refused.items() if i in constants}


def smallest(tensor: Tensor, encodings: Sequence[str]) -> tuple[str, Encoded | None, str]:
    """The smallest of some encodings for one constant.

    Returns:
        its name, the encoded values, and the reason; ``none`` and None where nothing is gained.
    """
    options: list[tuple[int, int, str, Encoded]] = []
    refused: list[str] = []
    for place, name in enumerate(encodings):
        try:
            made = encode(tensor, name)
        except EncodingError as error:
            refused.append(error.what)
        else:
            options.append((made.bytes, place, name, made))
    if not options:
        return NONE, None, "; ".join(refused) or "no encoding was asked for"
    size, _, name, made = min(options, key=lambda option: option[:2])
    if size + OVERHEAD >= tensor.bytes:
        return NONE, None, f"{name} would take {size} bytes and about {OVERHEAD} beside them"
    others = ", ".join(f"{n} {s}" for s, _, n, _ in sorted(options)[1:])
    return name, made, f"smallest ({others})" if others else "the only one that fits"


def encode(tensor: Tensor, encoding: str) -> Encoded:
    """One constant in one encoding.

    Raises:
        EncodingError: the encoding can't hold it.
    """
    assert tensor.data is not None
    q = tensor.quantization
    channels, axis = (len(q.scales), q.axis) if q is not None else (1, 0)
    # The decoder looks at every tensor's quantized dimension, even where there is one channel.
    if channels == 1 and axis != 0 and encoding != "huffman":
        raise EncodingError(f"DECODE takes one scale along dimension 0 only, not {axis}")
    if encoding == "bitmask":
        zeros = q.zero_points if q is not None else (0,)
        if channels > 1 and len(zeros) == 1:
            zeros *= channels
        return pack_bitmask(tensor.data, zeros, axis)
    if encoding == "lut":
        return pack_lut(tensor.data, channels, axis)
    return pack_huffman(tensor.data)
