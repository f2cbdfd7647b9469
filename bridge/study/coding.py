"""Weights in fewer bytes: clustering, and the sizes of float32 and int8 tensors in each coding.

Networks are stored by ``bridge.compress`` and run in TFLM as they are; of float32 tensors the sizes
here are those of the same encoders, also in the one coding that TFLM decodes to int8 alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bridge.errors import ModelError
from bridge.graph import read_tflite
from bridge.graph.model import WEIGHTED, Array

CODINGS = ("none", "bitmask", "huffman", "lut")
LEVELS = 16
"""Distinct values of a clustered tensor, zero among them: four bits each."""


def cluster(values: Array, levels: int = LEVELS, seed: int = 0) -> Array:
    """The values with at most ``levels`` distinct ones, zeros kept (k-means of the others)."""
    from sklearn.cluster import KMeans

    flat = values.reshape(-1).astype(np.float64)
    used = flat != 0
    distinct = np.unique(flat[used])
    if len(distinct) < levels:
        return values
    means = KMeans(levels - 1, n_init=1, random_state=seed, max_iter=50).fit(flat[used, None])
    centres = means.cluster_centers_[:, 0]
    if np.issubdtype(values.dtype, np.integer):
        centres = np.rint(centres)
    result = np.zeros_like(flat)
    result[used] = centres[means.labels_]
    return result.reshape(values.shape).astype(values.dtype)


def float_bytes(tensors: Sequence[Array], coding: str) -> int:
    """Bytes of float32 weight tensors in a coding; tensors that would grow stay plain.

    Huffman codes the indices of clustered values, as in Han et al., "Deep Compression", 2016:
    float32 values hardly ever repeat, so a code for them alone would be longer than they are.
    """
    from bridge.encode.decode_bitmask import pack_bitmask
    from bridge.encode.decode_huffman import pack_huffman
    from bridge.encode.decode_lut import pack_lut

    total = 0
    for tensor in tensors:
        size = tensor.nbytes
        if coding == "bitmask":
            size = min(size, pack_bitmask(tensor.astype(np.float32)).bytes)
        elif coding == "lut":
            size = min(size, pack_lut(tensor.astype(np.float32)).bytes)
        elif coding == "huffman":
            table, index = np.unique(tensor, return_inverse=True)
            if len(table) <= 128:
                size = min(size, pack_huffman(index.astype(np.int8)).bytes + 4 * len(table))
        total += size
    return total


def clustered_network(network: Any, seed: int) -> Any:
    """A copy of a PyTorch network whose weight tensors are clustered."""
    import copy

    import torch

    from bridge.study.chain import weighted

    result = copy.deepcopy(network)
    for layer in weighted(result).values():
        layer.weight.data.copy_(torch.from_numpy(cluster(layer.weight.detach().numpy(), seed=seed)))
    return result


def clustered_tflite(model: bytes, seed: int) -> bytes:
    """An int8 .tflite with its weight tensors clustered in place; nothing else changes.

    Raises:
        ModelError: a tensor's bytes stand in the file more than once.
    """
    graph = read_tflite(model)
    for operator in graph.operators:
        weights = graph.input(operator, 1) if operator.kind in WEIGHTED else None
        if weights is None or weights.data is None or weights.dtype != "int8":
            continue
        before = weights.data.tobytes()
        if model.count(before) != 1:
            raise ModelError(f"the weights of {operator.name!r} can't be told apart in the file")
        model = model.replace(before, cluster(weights.data, seed=seed).tobytes())
    return model
