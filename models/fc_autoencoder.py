"""A dense autoencoder, the anomaly detection network of MLPerf Tiny.

Source: Banbury et al., "MLPerf Tiny Benchmark", 2021, after the baseline of Koizumi et al.,
"Description and Discussion on DCASE2020 Challenge Task 2", 2020. 264,192 multiply-accumulates.

The checkpoint is a stand-in: no machine sounds were at hand, so it rebuilds motion sensor
windows of 128 steps × 5 channels (see ``bridge/data_standin.py``).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

WIDTHS = [640, 128, 128, 128, 128, 8, 128, 128, 128, 128]


class FcAutoencoder(nn.Module):
    """Four dense layers to a code of 8 values and four back, each with BatchNorm and ReLU."""

    def __init__(self) -> None:
        super().__init__()
        hidden: list[nn.Module] = []
        for inputs, outputs in pairwise(WIDTHS):
            hidden += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU()]
        self.hidden = nn.Sequential(*hidden)
        self.out = nn.Linear(128, 640)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The reconstruction [N, 640] of windows [N, 640]."""
        return self.out(self.hidden(x))
