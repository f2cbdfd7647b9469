"""DS-CNN, the keyword spotting network of MLPerf Tiny.

Source: Zhang, Suda, Lai, Chandra, "Hello Edge: Keyword Spotting on Microcontrollers",
arXiv:1711.07128, 2017, in the size of Banbury et al., "MLPerf Tiny Benchmark", 2021. 2,656,768
multiply-accumulates. The first convolution pads as TensorFlow's SAME does, for 49 × 10 → 25 × 5.

The checkpoint is a stand-in: no speech was at hand, so it was trained on motion sensor windows
brought to 49 × 10 (see ``bridge/data_standin.py``), which use 6 of the 12 classes.
"""

from __future__ import annotations

import torch
from torch import nn


class Separable(nn.Module):
    """A depthwise 3×3 convolution, then a 1×1 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, channels, H, W] → the same shape."""
        x = torch.relu(self.bn1(self.depthwise(x)))
        return torch.relu(self.bn2(self.pointwise(x)))


class DsCnn(nn.Module):
    """One wide convolution, four depthwise separable blocks, one dense layer."""

    def __init__(self, classes: int = 12) -> None:
        super().__init__()
        self.pad = nn.ZeroPad2d((1, 1, 4, 5))  # left, right, top, bottom
        self.conv = nn.Conv2d(1, 64, (10, 4), stride=2, bias=False)
        self.bn = nn.BatchNorm2d(64)
        self.blocks = nn.Sequential(*(Separable(64) for _ in range(4)))
        self.dropout = nn.Dropout(0.4)
        self.pool = nn.AvgPool2d((25, 5))
        self.fc = nn.Linear(64, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits [N, classes] of feature maps [N, 1, 49 times, 10 features]."""
        x = torch.relu(self.bn(self.conv(self.pad(x))))  # [N, 64, 25, 5]
        x = self.blocks(x)  # [N, 64, 25, 5]
        x = torch.flatten(self.pool(x), 1)  # [N, 64]
        return self.fc(self.dropout(x))
