"""A small network with a task that it learns within two epochs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from bridge import data
from bridge.convert import train
from bridge.convert.export import export
from bridge.convert.lift.lower import lift
from bridge.convert.run import Ladder
from bridge.progress import Silent


def stripes(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images 8×9 of four kinds that a small network learns within an epoch."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 4, count)
    rows, columns = np.mgrid[:8, :9]
    kinds = np.stack([rows % 2, columns % 2, (rows + columns) % 2, rows > 3])
    x = kinds[labels] + draw.normal(scale=0.3, size=(count, 8, 9))
    return x[..., None].astype(np.float32), labels


def small_network() -> tuple[Any, train.Task]:
    """Lifted and trained, with its task."""
    torch.manual_seed(0)
    network = nn.Sequential(
        *(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()),
        *(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 16, 16), nn.ReLU(), nn.Linear(16, 4)),
    ).eval()
    lifted = lift(export(network, [(1, 8, 9)]))
    dataset = data.Dataset("stripes", *stripes(600, 0), *stripes(200, 1))
    task = train.task_of(lifted, dataset, "channels-first", None)
    train.fit(
        lifted.model, task, epochs=2, batch_size=32, learning_rate=3e-3, seed=0, report=str.strip
    )
    return lifted, task


def ladder() -> Ladder:
    return Ladder(Silent(), [], [])
