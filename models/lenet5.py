"""LeNet-5 as used on 28×28 digits.

Source: LeCun, Bottou, Bengio, Haffner, "Gradient-Based Learning Applied to Document
Recognition", Proceedings of the IEEE 86(11), 1998, figure 2; with ReLU and max pooling in place
of the scaled tanh and trainable subsampling, as is usual today. 61,706 parameters, 416,520
multiply-accumulates.
"""

from __future__ import annotations

import torch
from torch import nn


class LeNet5(nn.Module):
    """Two convolutions, two poolings, three dense layers."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, classes)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits [N, classes] of images [N, 1, 28, 28]."""
        x = self.pool(torch.relu(self.conv1(x)))  # [N, 6, 14, 14]
        x = self.pool(torch.relu(self.conv2(x)))  # [N, 16, 5, 5]
        x = torch.flatten(x, 1)  # [N, 400]
        x = torch.relu(self.fc1(x))  # [N, 120]
        x = torch.relu(self.fc2(x))  # [N, 84]
        return self.fc3(x)
