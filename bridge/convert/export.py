"""PyTorch → ONNX with a free batch, by the dynamo exporter."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Sequence
from typing import Any

from bridge.convert.quiet import quiet
from bridge.errors import ModelError


def export(network: Any, shapes: Sequence[tuple[int, ...]]) -> Any:
    """Export a module, or a loaded ``.pt2`` program, to ONNX.

    Args:
        network: an ``nn.Module`` in eval mode, or a ``torch.export.ExportedProgram``.
        shapes: one per input, without the batch, as the network takes them.

    Returns:
        an ``onnx.ModelProto`` whose first axis is free on every input.

    Raises:
        ModelError: PyTorch can't export it; with PyTorch's own last words.
    """
    import torch

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    generator = torch.Generator().manual_seed(0)
    examples = tuple(torch.randn(2, *shape, generator=generator) for shape in shapes)
    with quiet():
        try:
            if isinstance(network, torch.export.ExportedProgram):
                program = torch.onnx.export(network, dynamo=True, verbose=False)
            else:
                batch = torch.export.Dim("batch", min=1)
                program = torch.onnx.export(
                    network,
                    examples,
                    dynamo=True,
                    dynamic_shapes=_free_batch(network, batch, len(shapes)),
                    verbose=False,
                )
        except Exception as error:
            raise ModelError(
                f"PyTorch can't export the network: {_reason(error)}",
                hint="its forward must work on any batch size, without Python branches on "
                "tensor values",
            ) from error
        if program is None:
            raise ModelError("PyTorch's exporter returned nothing")
        return program.model_proto


def _free_batch(network: Any, batch: Any, count: int) -> tuple[Any, ...]:
    """The exporter's description of a free batch, also for a ``forward(self, *inputs)``."""
    free: list[Any] = [{0: batch} for _ in range(count)]
    for position, parameter in enumerate(inspect.signature(network.forward).parameters.values()):
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL and position < count:
            return (*free[:position], tuple(free[position:]))
    return tuple(free)


def _reason(error: BaseException) -> str:
    """The innermost cause in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:300] if lines else ''}"
