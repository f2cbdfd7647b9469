"""hypothesis draws small networks with awkward sizes; each lifts and agrees with PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from bridge.convert.export import export
from bridge.convert.lift.lower import lift
from bridge.convert.prove import FLOAT_BOUND, relative_difference, run_lifted, run_torch
from tests.convert.networks import lively


@dataclass(frozen=True)
class Plan:
    """One network: its input and its steps, each a name with parameters."""

    shape: tuple[int, int, int]
    steps: tuple[tuple[str, int, int, int], ...]
    ending: str


STEPS = (
    *("conv", "strided", "grouped", "depthwise", "dilated", "transposed", "even"),
    *("relu", "relu6", "leaky", "prelu", "silu", "hardswish", "hardsigmoid", "tanh", "bn"),
    *("maxpool", "maxpool_pad", "avgpool", "ceil", "up", "bilinear"),
    *("residual", "concat", "squeeze", "split_swap", "shuffle", "slice", "pad", "affine"),
)


@st.composite
def plans(draw: Any) -> Plan:
    if draw(st.booleans()):
        side = draw(st.integers(5, 12))
        shape = (draw(st.sampled_from([side, 4])), side, side)
    else:
        shape = (draw(st.integers(1, 5)), draw(st.integers(5, 13)), draw(st.integers(5, 13)))
    number = st.integers(1, 6)
    step = st.tuples(st.sampled_from(STEPS), number, number, number)
    steps = draw(st.lists(step, min_size=1, max_size=5))
    ending = draw(st.sampled_from(["flatten", "mean", "map", "adaptive", "rows"]))
    return Plan(shape, tuple(steps), ending)


class Drawn(nn.Module):
    """A network from a plan; steps that don't fit the size at hand do nothing."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        self.parts = nn.ModuleDict()
        self.sizes: dict[str, Any] = {}
        self.built = False
        with torch.no_grad():
            self.forward(torch.zeros(2, *plan.shape))
        self.built = True

    def part(self, key: str, make: Any) -> nn.Module:
        if not self.built:
            self.parts[key] = make()
        return self.parts[key]

    def step(self, x: torch.Tensor, i: int, kind: str, a: int, b: int, d: int) -> torch.Tensor:
        c, h, w = x.shape[1:]
        key = f"s{i}"
        small = min(h, w)
        if kind == "conv":
            k = min(1 + a % 3 * 2, small)
            return self.part(key, lambda: nn.Conv2d(c, b, k, padding=(d % 2, a % 2)))(x)
        if kind == "even" and h > 2 and w > 3:
            return self.part(key, lambda: nn.Conv2d(c, b, (2, 4), padding=(1, 2)))(x)
        if kind == "strided" and small > 3:
            return self.part(key, lambda: nn.Conv2d(c, b, 3, stride=(1 + d % 2, 2), padding=1))(x)
        if kind == "grouped":
            g = 2 if c % 2 == 0 else 1
            return self.part(
                key,
                lambda: nn.Conv2d(
                    c, 2 * b, 1 + 2 * (a % 2), padding=a % 2, groups=g, bias=d % 2 == 0
                ),
            )(x)
        if kind == "depthwise":
            return self.part(
                key,
                lambda: nn.Conv2d(
                    c,
                    c * (1 + b % 2),
                    3,
                    padding=1,
                    groups=c,
                    stride=1 + (a % 2 if small > 3 else 0),
                ),
            )(x)
        if kind == "dilated" and small > 4:
            return self.part(key, lambda: nn.Conv2d(c, b, 3, dilation=2, padding=d % 3))(x)
        if kind == "transposed" and small < 20:
            return self.part(
                key, lambda: nn.ConvTranspose2d(c, b, 2 + a % 3, stride=2, padding=d % 2)
            )(x)
        if kind == "bn":
            return self.part(key, lambda: nn.BatchNorm2d(c))(x)
        if kind == "prelu":
            return self.part(key, lambda: nn.PReLU(c))(x)
        plain: dict[str, Any] = {
            "relu": F.relu, "relu6": F.relu6, "silu": F.silu, "hardswish": F.hardswish,
            "hardsigmoid": F.hardsigmoid, "tanh": torch.tanh,
            "leaky": lambda v: F.leaky_relu(v, 0.2), "affine": lambda v: (v - 0.25) * 1.5,
        }  # fmt: skip
        if kind in plain:
            return plain[kind](x)
        if kind == "maxpool" and small > 2:
            return F.max_pool2d(x, 2, stride=1 + a % 2)
        if kind == "maxpool_pad" and small > 2:
            return F.max_pool2d(x, 3, stride=2, padding=1)
        if kind == "avgpool" and small > 3:
            return F.avg_pool2d(x, 3, stride=1 + a % 2, padding=b % 2, count_include_pad=d % 2 == 0)
        if kind == "ceil" and small > 3:
            return F.max_pool2d(x, 2, ceil_mode=True)
        if kind == "up" and small < 15:
            return F.interpolate(x, scale_factor=2.0)
        if kind == "bilinear" and small < 15:
            return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=a % 2 == 0)
        if kind == "residual":
            return x + F.relu(self.part(key, lambda: nn.Conv2d(c, c, 3, padding=1))(x))
        if kind == "concat":
            y = self.part(key, lambda: nn.Conv2d(c, b, 1))(x)
            return torch.cat([y, x] if a % 2 else [x, y], 1)
        if kind == "squeeze":
            gate = self.part(key, lambda: nn.Conv2d(c, c, 1))(x.mean((2, 3), keepdim=True))
            return x * torch.sigmoid(gate)
        if kind == "split_swap" and c > 1:
            one, two = x[:, : c // 2], x[:, c // 2 :]
            return torch.cat([two, F.relu(one)], 1)
        if kind == "shuffle" and c % 2 == 0:
            return x.view(x.shape[0], 2, c // 2, h, w).transpose(1, 2).reshape(-1, c, h, w)
        if kind == "slice" and small > 4:
            return x[:, :, 1 : h - a % 2, :: 1 + b % 2]
        if kind == "pad":
            return F.pad(x, (a % 3, b % 3, d % 2, 1))
        return x

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for i, (kind, a, b, d) in enumerate(self.plan.steps):
            x = self.step(x, i, kind, a, b, d)
        if self.plan.ending == "map":
            return x
        if self.plan.ending == "rows":
            x = x.mean(3)
        elif self.plan.ending == "adaptive":
            x = F.adaptive_avg_pool2d(x, 1)
        elif self.plan.ending == "mean":
            x = x.mean((2, 3))
        x = x.flatten(1)
        return self.part("head", lambda: nn.Linear(x.shape[1], 3))(x)


@pytest.mark.slow
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(plans())
def test_drawn_networks_agree(plan: Plan) -> None:
    torch.manual_seed(0)
    network = lively(Drawn(plan))
    lifted = lift(export(network, [plan.shape]))
    inputs = [np.random.default_rng(1).normal(size=(3, *plan.shape)).astype(np.float32)]
    expected = run_torch(network, inputs)
    assert relative_difference(run_lifted(lifted, inputs), expected) <= FLOAT_BOUND
    assert lifted.transposes == ()
