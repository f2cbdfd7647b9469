"""PyTorch → ONNX with a free batch, by the dynamo exporter."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from bridge.convert.quiet import quiet
from bridge.errors import ModelError, UnsupportedOperator


def export(network: Any, shapes: Sequence[tuple[int, ...]]) -> Any:
    """Export a module, or a loaded ``.pt2`` program, to ONNX.

    Args:
        network: an ``nn.Module`` in eval mode, or a ``torch.export.ExportedProgram``.
        shapes: one per input, without the batch, as the network takes them.

    Returns:
        an ``onnx.ModelProto``; its first axis is free on every input, or 1 where the network
        works on one sample only (see :func:`batch_is_free`).

    Raises:
        ModelError: PyTorch can't export it; with PyTorch's own last words.
        UnsupportedOperator: it has a recurrent layer.
    """
    import torch

    if isinstance(network, torch.nn.Module):
        _refuse_recurrent(network)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    generator = torch.Generator().manual_seed(0)
    examples = tuple(torch.randn(2, *shape, generator=generator) for shape in shapes)
    with quiet(), adaptive_pooling_in_parts():
        try:
            if isinstance(network, torch.export.ExportedProgram):
                program = torch.onnx.export(network, dynamo=True, verbose=False)
            else:
                program = _export_module(network, examples)
        except Exception as error:
            raise ModelError(
                f"PyTorch can't export the network for inputs {_show(shapes)}: {_reason(error)}",
                hint="check --layout and --input-shape; its forward must work on any batch size, "
                "without Python branches on tensor values",
            ) from error
        if program is None:
            raise ModelError(
                "PyTorch's exporter returned nothing",
                hint="export it by hand (torch.onnx.export) to see why, and give the .onnx",
            )
        return program.model_proto


def _refuse_recurrent(network: Any) -> None:
    """Name a recurrent layer before the exporter takes it apart."""
    import torch

    from bridge.convert.lift.lower import ADVICE

    for name, module in network.named_modules():
        if isinstance(module, torch.nn.RNNBase):
            raise UnsupportedOperator(type(module).__name__, name, hint=ADVICE["RNN"])


def _export_module(network: Any, examples: tuple[Any, ...]) -> Any:
    """Export with a free batch; with batch 1 where the network allows no other."""
    import torch

    batch = torch.export.Dim("batch", min=1)
    free = _free_batch(network, batch, len(examples))
    try:
        return torch.onnx.export(network, examples, dynamo=True, dynamic_shapes=free, verbose=False)
    except Exception as first:
        try:
            single = tuple(e[:1] for e in examples)
            return torch.onnx.export(network, single, dynamo=True, verbose=False)
        except Exception:
            raise first from first.__cause__


def batch_is_free(onnx_model: Any) -> bool:
    """Whether an ONNX model takes any number of samples at a time."""
    constants = {i.name for i in onnx_model.graph.initializer}
    inputs = [i for i in onnx_model.graph.input if i.name not in constants]
    return all(i.type.tensor_type.shape.dim[0].dim_value == 0 for i in inputs)


@contextmanager
def adaptive_pooling_in_parts() -> Iterator[None]:
    """Let adaptive average pooling whose sizes don't divide export as slices and pools.

    PyTorch itself decomposes it into gathers that no int8 operator takes.
    """
    import torch
    from torch.nn import functional

    originals = functional.adaptive_avg_pool1d, functional.adaptive_avg_pool2d

    def along(x: Any, axis: int, size: int) -> Any:
        n = int(x.shape[axis])
        if n % size == 0:
            step = n // size
            kernel = (step, 1) if axis == x.ndim - 2 and x.ndim == 4 else (1, step)
            return functional.avg_pool2d(x, kernel)
        parts = []
        for i in range(size):
            low, high = i * n // size, -(-(i + 1) * n // size)
            parts.append(x.narrow(axis, low, high - low).mean(axis, keepdim=True))
        return torch.cat(parts, axis)

    def two(x: Any, output_size: Any) -> Any:
        pair = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * 2
        h, w = (int(s or d) for s, d in zip(pair, x.shape[-2:], strict=True))
        if int(x.shape[-2]) % h == 0 and int(x.shape[-1]) % w == 0:
            return originals[1](x, output_size)
        return along(along(x, x.ndim - 2, h), x.ndim - 1, w)

    def one(x: Any, output_size: Any) -> Any:
        size = int(output_size[0] if isinstance(output_size, (tuple, list)) else output_size)
        if int(x.shape[-1]) % size == 0:
            return originals[0](x, output_size)
        return two(x.unsqueeze(-2), (1, size)).squeeze(-2)

    place: Any = functional
    place.adaptive_avg_pool1d, place.adaptive_avg_pool2d = one, two
    try:
        yield
    finally:
        place.adaptive_avg_pool1d, place.adaptive_avg_pool2d = originals


def _free_batch(network: Any, batch: Any, count: int) -> tuple[Any, ...]:
    """The exporter's description of a free batch, also for a ``forward(self, *inputs)``."""
    free: list[Any] = [{0: batch} for _ in range(count)]
    for position, parameter in enumerate(inspect.signature(network.forward).parameters.values()):
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL and position < count:
            return (*free[:position], tuple(free[position:]))
    return tuple(free)


def _show(shapes: Sequence[Sequence[int]]) -> str:
    return " and ".join("×".join(map(str, shape)) for shape in shapes)


def _reason(error: BaseException) -> str:
    """The innermost cause in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:300] if lines else ''}"
