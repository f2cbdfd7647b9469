"""A small network of a user's own, with data that it can learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bridge.convert.options import ConvertOptions
from bridge.explore import Limits, Settings, Space

NET = '''
import torch
from torch import nn


class Net(nn.Module):
    """H, W and C all differ: 6 x 9 x 3."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.a = nn.Conv2d(3, 8, 3, padding=1)
        self.b = nn.Conv2d(8, 12, 3, stride=2)
        self.fc = nn.Linear(12 * 2 * 4, 4)

    def forward(self, x):
        x = torch.relu(self.b(torch.relu(self.a(x))))
        return self.fc(torch.flatten(x, 1))
'''

DATA = """
import numpy as np


def load():
    random = np.random.default_rng(0)
    y = random.integers(0, 4, 700)
    slope = np.linspace(-1, 1, 3, dtype=np.float32)
    x = random.normal(0, 0.3, (700, 6, 9, 3)).astype(np.float32) + y[:, None, None, None] * slope
    return x[:600], y[:600], x[600:], y[600:]
"""


LOOSE = Limits(max_accuracy_drop=0.9)
"""No point of so small a network is given up for its accuracy."""


@pytest.fixture(scope="session")
def user(tmp_path_factory):
    import torch

    folder = tmp_path_factory.mktemp("user")
    (folder / "net.py").write_text(NET)
    (folder / "data.py").write_text(DATA)
    given: dict[str, Any] = {}
    exec(NET, given)
    exec(DATA, given)
    x, y, _, _ = given["load"]()
    network, images = given["Net"](), torch.from_numpy(np.moveaxis(x, -1, 1).copy()).float()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(100):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(images), torch.from_numpy(y)).backward()
        optimizer.step()
    torch.save(network.state_dict(), folder / "net.pt")
    return folder


@pytest.fixture(scope="session")
def base(user):
    return ConvertOptions(
        model=f"{user / 'net.py'}:Net", weights=user / "net.pt", data=f"{user / 'data.py'}:load",
        layout="channels-last", epochs=1, prune_all=True,
    )  # fmt: skip


@pytest.fixture(scope="session")
def small():
    """Eight points, each a build of seconds."""
    return Space(
        ("none", "unstructured"), (0.9,), ("ptq", "qat"), ("dense", "sparse"), ("cortex-m4",)
    )


@pytest.fixture
def settings(base, small, tmp_path):
    return Settings(base, small, tmp_path / "study", LOOSE, trials=3)
