"""MobileNet v1 at a quarter of its width, the person detection network of MLPerf Tiny.

Source: Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
Applications", arXiv:1704.04861, 2017, as in Banbury et al., "MLPerf Tiny Benchmark", 2021.
7,489,664 multiply-accumulates. Strided convolutions pad as TensorFlow's SAME does: nothing
before the first row and column, one zero behind the last.

The checkpoint is a stand-in: no pictures with persons were at hand, so it tells animals from
vehicles in CIFAR-10 images enlarged to 96 × 96 (see ``bridge/data_standin.py``).
"""

from __future__ import annotations

import torch
from torch import nn

# (output channels, stride) of the thirteen separable blocks, after the paper's table 1.
BLOCKS = [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2)]
BLOCKS += [(128, 1)] * 5 + [(256, 2), (256, 1)]


def padding(stride: int) -> nn.ZeroPad2d:
    """What a 3×3 convolution needs around an input of even size (or of stride 1)."""
    return nn.ZeroPad2d((0, 1, 0, 1) if stride == 2 else 1)


def separable(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """A depthwise 3×3 convolution, then a 1×1 convolution, both with BatchNorm and ReLU."""
    return nn.Sequential(
        padding(stride),
        nn.Conv2d(inputs, inputs, 3, stride, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.ReLU(),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class MobileNetV1(nn.Module):
    """One convolution, thirteen depthwise separable blocks, one dense layer."""

    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            padding(2), nn.Conv2d(3, 8, 3, 2, bias=False), nn.BatchNorm2d(8), nn.ReLU()
        )
        inputs = [8] + [outputs for outputs, _ in BLOCKS]
        self.blocks = nn.Sequential(
            *(separable(i, o, s) for i, (o, s) in zip(inputs, BLOCKS, strict=False))
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(256, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits [N, classes] of images [N, 3, 96, 96] in 0..1."""
        x = self.stem(x)  # [N, 8, 48, 48]
        x = self.blocks(x)  # [N, 256, 3, 3]
        x = torch.flatten(self.pool(x), 1)  # [N, 256]
        return self.fc(x)
