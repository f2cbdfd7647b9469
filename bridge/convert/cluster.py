"""Weight clustering: few distinct values a tensor, for short codes; tfmot's centroids, trained.

Zeros that pruning made stay zero. What clustering gives is file size alone (look-up tables and
Huffman codes, see ``bridge.compress``): no kernel runs faster for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bridge.convert.options import ConvertOptions
from bridge.convert.prune import custom_objects, fresh_copy, kernel_of, variable_of, weighted_layers
from bridge.convert.quiet import quantizer_library, quiet, tensorflow
from bridge.convert.train import Fit, Task, fit
from bridge.errors import ProofError

CLUSTERED = ("Conv2D", "Dense")
"""Layers that tfmot clusters; the others keep their values."""

_LEARNING_RATE = 0.1
"""Of that of pruning: centroids move far for a small step of each of their weights."""


def cluster(
    model: Any, task: Task | None, options: ConvertOptions, report: Callable[[str], None]
) -> Fit | None:
    """Give each weight tensor at most ``options.clusters`` distinct values, zero among them.

    Args:
        model: float, perhaps pruned; its weights become the clustered ones.
        task: what to train the centroids for; without it they are where tfmot puts them.
        options: how many, and how long to train: half as long as pruning.
        report: gets one line per epoch.

    Returns:
        how training went; None without it.

    Raises:
        ProofError: a tensor has more values, or a zero got lost.
    """
    tfmot = quantizer_library()
    _, keras = tensorflow()
    from tensorflow_model_optimization.python.core.clustering.keras.experimental import (
        cluster as collaborative,
    )

    zeros = {layer.name: kernel_of(layer) == 0 for layer in weighted_layers(model)}

    def wrap(layer: Any) -> Any:
        if type(layer).__name__ not in CLUSTERED or _values(layer) <= options.clusters:
            return layer
        return collaborative.cluster_weights(
            layer,
            number_of_clusters=options.clusters,
            cluster_centroids_init=tfmot.clustering.keras.CentroidInitialization.KMEANS_PLUS_PLUS,
            preserve_sparsity=bool(zeros[layer.name].any()),
        )

    with quiet(), custom_objects():
        keras.utils.set_random_seed(options.seed)
        # The wrapper takes its first centroids from the weights that the layer has by then.
        wrapped = keras.models.clone_model(fresh_copy(model), clone_function=wrap)
        outcome = None
        if task is not None and options.epochs:
            outcome = fit(
                wrapped,
                task,
                epochs=max(1, options.epochs // 2),
                batch_size=options.batch_size,
                learning_rate=options.learning_rate * _LEARNING_RATE,
                seed=options.seed + 2,
                report=report,
            )
        stripped = tfmot.clustering.keras.strip_clustering(wrapped)
    for layer in weighted_layers(model):
        found = stripped.get_layer(layer.name)
        variable_of(layer).assign(np.where(zeros[layer.name], 0, kernel_of(found)))
        if layer.use_bias:
            layer.bias.assign(found.bias)
        if type(layer).__name__ in CLUSTERED and _values(layer) > options.clusters:
            raise ProofError(
                "clustered", f"{_values(layer)} values, wanted {options.clusters}", layer=layer.name
            )
    return outcome


def _values(layer: Any) -> int:
    return len(np.unique(kernel_of(layer)))
