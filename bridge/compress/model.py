"""A whole .tflite with its weights encoded, within a budget of RAM."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bridge.compress.choose import ENCODINGS, NONE, TensorCoding, encodable, smallest
from bridge.compress.write import CUSTOM_CODE, write_decoded
from bridge.encode.decode_header import Encoded
from bridge.errors import InputError, ModelError
from bridge.graph import Graph, Operator, read_tflite
from bridge.graph.rewrite import unpack


@dataclass(frozen=True)
class Compressed:
    """A network whose weights are decoded while it runs.

    Attributes:
        model: the .tflite for unmodified TFLite Micro; the very bytes given where nothing could be
            encoded.
        tensors: what became of each constant, in the file's order.
        decompression_bytes: RAM that the decoded weights of one operator take at most. They lie in
            the arena, or in alternate decompression memory of this size if the application lends
            it (``MicroInterpreter::SetDecompressionMemory``).
        bytes_before: size of the file given.
        rewritten_bytes: size of the same network without any encoding, written as small as
            ``model`` is: the part of the gain that is not due to encoding.
    """

    model: bytes
    tensors: tuple[TensorCoding, ...]
    decompression_bytes: int
    bytes_before: int
    rewritten_bytes: int

    @property
    def encoded(self) -> bool:
        """Whether any tensor is encoded."""
        return any(tensor.encoding != NONE for tensor in self.tensors)


def compress_model(
    model: bytes, *, encodings: Sequence[str] = ENCODINGS, ram: int | None = None
) -> Compressed:
    """Store each weight tensor in its smallest encoding, or as it is.

    Args:
        model: an int8 .tflite that TFLite Micro runs.
        encodings: which may be used; none of them leaves the model whole.
        ram: bytes that the arena may take with the decoded weights in it, as the host's
            interpreter needs them (an upper bound for a 32-bit core except for the scratch memory
            of CMSIS-NN). Operators whose weights would exceed it keep them plain. None for no
            bound.

    Raises:
        InputError: an unknown encoding, or a budget that the plain network exceeds by itself.
        ModelError: the network is encoded already, or can't be read.
    """
    for name in encodings:
        if name not in ENCODINGS:
            raise InputError(f"{name!r} is no encoding", hint=f"choose from {', '.join(ENCODINGS)}")
    graph = read_tflite(model)
    if any(operator.kind == f"CUSTOM:{CUSTOM_CODE.decode()}" for operator in graph.operators):
        raise ModelError("the model holds DECODE operators already", hint="give the plain .tflite")
    found, refused = encodable(graph, _shared(model))
    chosen: dict[int, Encoded] = {}
    names: dict[int, tuple[str, str]] = {i: (NONE, why) for i, why in refused.items()}
    for index in sorted(found):
        name, made, reason = smallest(graph.tensor(index), encodings)
        names[index] = (name, reason)
        if made is not None:
            chosen[index] = made
    if ram is not None and chosen:
        kept = _within(model, graph, chosen, ram)
        for index in chosen.keys() - kept.keys():
            names[index] = (NONE, f"decoded, it would take the arena above {ram} bytes")
        chosen = kept
    rewritten = write_decoded(model, {})
    result = write_decoded(model, chosen) if chosen else model
    if len(result) >= len(model):
        names |= {i: (NONE, "the whole file would not get smaller") for i in chosen}
        result, chosen = model, {}
    return Compressed(
        result,
        tuple(_coding(graph, i, *names[i], chosen.get(i)) for i in sorted(names)),
        max(_decoded_bytes(graph, chosen).values(), default=0),
        len(model),
        len(rewritten),
    )


def _coding(
    graph: Graph, index: int, name: str, reason: str, encoded: Encoded | None
) -> TensorCoding:
    tensor = graph.tensor(index)
    after = tensor.bytes if encoded is None else encoded.bytes
    return TensorCoding(tensor.name, name, tensor.bytes, after, reason)


def _shared(model: bytes) -> Mapping[int, Sequence[int]]:
    """Tensor → all tensors of the same buffer."""
    tensors = unpack(model).subgraphs[0].tensors
    groups: dict[int, list[int]] = {}
    for index, tensor in enumerate(tensors):
        groups.setdefault(tensor.buffer, []).append(index)
    return {i: group for group in groups.values() if len(group) > 1 for i in group}


def _decoded_bytes(graph: Graph, chosen: Iterable[int]) -> dict[int, int]:
    """Operator → RAM for its decoded tensors, each aligned to 16 bytes."""
    wanted = set(chosen)
    return {
        operator.index: sum(-(-graph.tensor(i).bytes // 16) * 16 for i in indices)
        for operator in graph.operators
        if (indices := wanted & set(operator.inputs))
    }


def _within(
    model: bytes, graph: Graph, chosen: Mapping[int, Encoded], ram: int
) -> dict[int, Encoded]:
    """As many encoded tensors as fit the budget, those of the hungriest operators left out."""
    from bridge.firmware.arena import host_arena_bytes

    decoded = _decoded_bytes(graph, chosen)
    peaks = sorted(
        (graph.operators[i] for i in decoded),
        key=lambda op: (decoded[op.index] + _live_bytes(graph, op), op.index),
        reverse=True,
    )

    def without(count: int) -> dict[int, Encoded]:
        left = {i for operator in peaks[:count] for i in operator.inputs}
        return {i: made for i, made in chosen.items() if i not in left}

    low, high = 0, len(peaks)
    while low < high:
        middle = (low + high) // 2
        if host_arena_bytes(write_decoded(model, without(middle))) <= ram:
            high = middle
        else:
            low = middle + 1
    if low == len(peaks) and (needed := host_arena_bytes(model)) > ram:
        raise InputError(
            f"the plain network needs an arena of {needed} bytes, more than --ram {ram}",
            hint="decoding only adds to it; give more RAM or a smaller network",
        )
    return without(low)


def _live_bytes(graph: Graph, operator: Operator) -> int:
    """Bytes of the activations that exist while an operator runs."""
    live = 0
    for tensor in graph.tensors:
        if tensor.data is not None:
            continue
        made = [op.index for op in graph.operators if tensor.index in op.outputs]
        read = [op.index for op in graph.operators if tensor.index in op.inputs]
        first = -1 if tensor.index in graph.inputs else min(made, default=len(graph.operators))
        last = len(graph.operators) if tensor.index in graph.outputs else max(read, default=-1)
        if first <= operator.index <= last:
            live += tensor.bytes
    return live
