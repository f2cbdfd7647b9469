"""What the small test networks are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

Table = dict[str, tuple[nn.Module, list[tuple[int, ...]]]]
"""Name → network and its input shapes (without the batch, channels first)."""

IMAGE = [(3, 10, 14)]


class Of(nn.Module):
    """A module from a function over submodules."""

    def __init__(self, forward: Callable[..., Any], **parts: nn.Module) -> None:
        super().__init__()
        self.run = forward
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *x: torch.Tensor) -> Any:
        return self.run(self, *x)


def lively(network: nn.Module, seed: int = 0) -> nn.Module:
    """Weights and statistics that move the output: no layer is near an identity."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                module.running_mean.copy_(torch.randn(module.num_features, generator=g) * 0.3)
                module.running_var.copy_(torch.rand(module.num_features, generator=g) + 0.5)
                module.weight.copy_(torch.rand(module.num_features, generator=g) + 0.5)
                module.bias.copy_(torch.randn(module.num_features, generator=g) * 0.3)
            if isinstance(module, nn.PReLU):
                module.weight.copy_(torch.rand(module.weight.shape, generator=g) * 0.6)
    return network.eval()


def head(channels: int, h: int, w: int) -> nn.Linear:
    """The dense layer behind a flatten."""
    return nn.Linear(channels * h * w, 4)


def samples(shapes: list[tuple[int, ...]], count: int, seed: int = 0) -> list[np.ndarray]:
    """Random inputs whose level differs from sample to sample, so that means move too."""
    draw = np.random.default_rng(seed)
    return [
        (
            0.7 * draw.normal(size=(count, *shape))
            + draw.normal(size=(count, shape[0], *[1] * (len(shape) - 1)))
        ).astype(np.float32)
        for shape in shapes
    ]
