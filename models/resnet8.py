"""ResNet-8, the image classification network of MLPerf Tiny.

Source: Banbury et al., "MLPerf Tiny Benchmark", NeurIPS Datasets and Benchmarks 2021, after He
et al., "Deep Residual Learning for Image Recognition", CVPR 2016. 12,501,632
multiply-accumulates. As in the benchmark's reference, the shortcut convolutions have no
BatchNorm and strided convolutions pad as TensorFlow's SAME does: nothing before the first row
and column, one zero behind the last.
"""

from __future__ import annotations

import torch
from torch import nn


class Residual(nn.Module):
    """Two 3×3 convolutions beside an identity, or a 1×1 convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.pad = nn.ZeroPad2d((0, 1, 0, 1) if stride == 2 else 1)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        changes = stride != 1 or inputs != outputs
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride) if changes else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, inputs, H, W] → [N, outputs, H / stride, W / stride]."""
        y = torch.relu(self.bn1(self.conv1(self.pad(x))))
        y = self.bn2(self.conv2(y))
        return torch.relu(y + self.shortcut(x))


class ResNet8(nn.Module):
    """One convolution, three residual blocks, one dense layer."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        self.block1 = Residual(16, 16, 1)
        self.block2 = Residual(16, 32, 2)
        self.block3 = Residual(32, 64, 2)
        self.pool = nn.AvgPool2d(8)
        self.fc = nn.Linear(64, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits [N, classes] of images [N, 3, 32, 32] in 0..1."""
        x = torch.relu(self.bn(self.conv(x)))  # [N, 16, 32, 32]
        x = self.block1(x)  # [N, 16, 32, 32]
        x = self.block2(x)  # [N, 32, 16, 16]
        x = self.block3(x)  # [N, 64, 8, 8]
        x = torch.flatten(self.pool(x), 1)  # [N, 64]
        return self.fc(x)
