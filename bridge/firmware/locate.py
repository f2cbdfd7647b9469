"""Find the layer where generated C first leaves the TFLM interpreter."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from bridge.compile import compile_graph
from bridge.firmware.host import run_on_host
from bridge.graph import Graph
from bridge.graph.model import Array

ReadTensor = Callable[[int], Array]


def first_difference(graph: Graph, sample: Array, reference: ReadTensor) -> str:
    """The first layer whose output differs, or an empty string.

    Args:
        graph: the whole network.
        sample: one int8 input.
        reference: gives a tensor's true values for that input, by index.
    """
    for operator in graph.operators:
        part = dataclasses.replace(
            graph,
            operators=graph.operators[: operator.index + 1],
            outputs=operator.outputs,
        )
        ours = run_on_host(compile_graph(part, engine="c-sparse"), sample[None])
        theirs = np.concatenate([reference(index).reshape(-1) for index in operator.outputs])
        if not np.array_equal(ours.reshape(-1), theirs):
            return operator.name
    return ""
