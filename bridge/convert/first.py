"""Train a zoo network that has no checkpoint yet: a few epochs of plain PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bridge.convert.options import ConvertOptions
from bridge.convert.train import network_arrays
from bridge.data import Dataset


def train_torch(
    network: Any,
    data: Dataset,
    options: ConvertOptions,
    report: Callable[[str], None],
    epochs: int = 15,
) -> None:
    """Train a classifier in place with Adam and a cosine schedule, reproducibly."""
    import torch

    torch.manual_seed(options.seed)
    data = data.limited(options.max_train)
    inputs = [
        torch.from_numpy(a) for a in network_arrays(data.train_inputs, options.network_layout)
    ]
    labels = torch.from_numpy(data.y_train)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    steps = max(1, -(-len(labels) // options.batch_size)) * epochs
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    draw = np.random.default_rng(options.seed)
    network.train()
    for epoch in range(epochs):
        order = torch.from_numpy(draw.permutation(len(labels)))
        total = 0.0
        for chosen in order.split(options.batch_size):  # type: ignore[no-untyped-call]
            optimizer.zero_grad()
            output = network(*[a[chosen] for a in inputs])
            loss = torch.nn.functional.cross_entropy(output, labels[chosen])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(chosen)
        report(f"epoch {epoch + 1}/{epochs}, loss {total / len(labels):.4f}")
    network.eval()
