"""Small networks, one a family of layers or a form of graph, with weights that move the output."""

from __future__ import annotations

import torch

from tests.convert.network_graphs import graphs
from tests.convert.network_layers import layers
from tests.convert.network_parts import Table, lively

__all__ = ["NAMES", "lively", "networks"]


def networks() -> Table:
    """Name → network and its input shapes (without the batch, channels first)."""
    table = {**layers(), **graphs()}
    for network, shapes in table.values():
        network.eval()
        with torch.no_grad():
            network(*[torch.zeros(1, *shape) for shape in shapes])
        lively(network)
    return table


NAMES = sorted(networks())
