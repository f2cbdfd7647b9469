"""A 1-D CNN that tells human activities apart from a smartphone's motion sensors.

Source: Ronao and Cho, "Human activity recognition with smartphone sensors using deep learning
neural networks", Expert Systems with Applications 59, 2016: three convolutions over time, each
with max pooling, then dense layers; here with fewer and shorter filters and BatchNorm. Data:
Anguita et al., "A Public Domain Dataset for Human Activity Recognition Using Smartphones",
ESANN 2013. 82,086 parameters, 1,334,016 multiply-accumulates.
"""

from __future__ import annotations

import torch
from torch import nn


class HarCnn(nn.Module):
    """Three convolutions over time with BatchNorm, then two dense layers."""

    def __init__(self, classes: int = 6) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(9, 32, 5, bias=False)
        self.bn1 = nn.BatchNorm1d(32)
        self.conv2 = nn.Conv1d(32, 64, 5, bias=False)
        self.bn2 = nn.BatchNorm1d(64)
        self.conv3 = nn.Conv1d(64, 64, 5, bias=False)
        self.bn3 = nn.BatchNorm1d(64)
        self.pool = nn.MaxPool1d(2)
        self.dropout = nn.Dropout(0.5)
        self.fc1 = nn.Linear(64 * 12, 64)
        self.fc2 = nn.Linear(64, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits [N, classes] of sensor windows [N, 9 channels, 128 steps]."""
        x = self.pool(torch.relu(self.bn1(self.conv1(x))))  # [N, 32, 62]
        x = self.pool(torch.relu(self.bn2(self.conv2(x))))  # [N, 64, 29]
        x = self.pool(torch.relu(self.bn3(self.conv3(x))))  # [N, 64, 12]
        x = self.dropout(torch.flatten(x, 1))  # [N, 768]
        x = torch.relu(self.fc1(x))  # [N, 64]
        return self.fc2(x)
