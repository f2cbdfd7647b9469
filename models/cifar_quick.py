"""Plain CNNs for 32×32 colour images, with a narrow and with a wide dense layer.

Source: Krizhevsky's cuda-convnet ("quick" layers, 2011), also known as Caffe's CIFAR-10 quick
and as the image network of Lai et al., "CMSIS-NN: Efficient Neural Network Kernels for Arm
Cortex-M CPUs", 2018: three convolutions with pooling, then dense layers; here with 3×3 filters,
BatchNorm, 16, 32 and 64 filters, and a dense layer of 128. 156,074 parameters with BatchNorm
folded in, 2,934,016 multiply-accumulates.

``CifarWide`` has a dense layer of 512 instead, as in the CIFAR-10 example that Keras shipped for
years, and as Caffe's LeNet has 500: the shape with most weights in one dense layer that deep
compression was first shown on. 553,514 parameters, 3,331,072 multiply-accumulates.
"""

from __future__ import annotations

import torch
from torch import nn


class CifarQuick(nn.Module):
    """Three convolutions with BatchNorm and max pooling, then two dense layers."""

    def __init__(self, classes: int = 10, dense: int = 128) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)
        self.conv3 = nn.Conv2d(32, 64, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(64)
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(0.3)
        self.fc1 = nn.Linear(64 * 4 * 4, dense)
        self.fc2 = nn.Linear(dense, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits [N, classes] of images [N, 3, 32, 32] in 0..1."""
        x = self.pool(torch.relu(self.bn1(self.conv1(x))))  # [N, 16, 16, 16]
        x = self.pool(torch.relu(self.bn2(self.conv2(x))))  # [N, 32, 8, 8]
        x = self.pool(torch.relu(self.bn3(self.conv3(x))))  # [N, 64, 4, 4]
        x = self.dropout(torch.flatten(x, 1))  # [N, 1024]
        x = torch.relu(self.fc1(x))  # [N, dense]
        return self.fc2(x)


class CifarWide(CifarQuick):
    """The same with a dense layer of 512, which can spare more."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__(classes, dense=512)
