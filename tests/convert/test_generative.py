"""hypothesis draws small networks with awkward sizes; each converts and agrees.

BRIDGE_EXAMPLES draws that many, new ones each time; by default a few, always the same.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from bridge.convert import check, qat, quantize, ranges, tflm
from bridge.convert.export import export
from bridge.convert.judge import FOLLOWS
from bridge.convert.lift.lower import Lifted, lift
from bridge.convert.names import in_our_order
from bridge.convert.operators import check_operators
from bridge.convert.prove import (
    FLOAT_BOUND,
    own_rounding,
    relative_difference,
    run_keras,
    run_lifted,
    run_torch,
)
from bridge.graph import read_tflite
from tests.convert.network_parts import samples
from tests.convert.networks import lively

EXAMPLES = os.environ.get("BRIDGE_EXAMPLES")


@dataclass(frozen=True)
class Plan:
    """One network: its input and its steps, each a name with parameters."""

    shape: tuple[int, ...]
    steps: tuple[tuple[str, int, int, int], ...]
    ending: str


STEPS = (
    *("conv", "strided", "grouped", "depthwise", "dilated", "transposed", "even"),
    *("relu", "relu6", "leaky", "prelu", "silu", "hardswish", "hardsigmoid", "tanh", "sigmoid"),
    *("bn", "affine", "maxpool", "maxpool_pad", "avgpool", "ceil", "adaptive", "up", "bilinear"),
    *("residual", "concat", "squeeze", "split_swap", "shuffle", "slice", "pad", "inception"),
    *("broadcast", "turn"),
)


@st.composite
def plans(draw: Any) -> Plan:
    form = draw(st.sampled_from(["cube", "odd", "odd", "1-D"]))
    if form == "cube":
        side = draw(st.integers(5, 12))
        shape = (draw(st.sampled_from([side, 4])), side, side)
    elif form == "odd":
        shape = (draw(st.integers(1, 5)), draw(st.integers(5, 13)), draw(st.integers(5, 13)))
    else:
        shape = (draw(st.integers(1, 6)), draw(st.integers(6, 29)))
    number = st.integers(1, 6)
    step = st.tuples(st.sampled_from(STEPS), number, number, number)
    steps = draw(st.lists(step, min_size=1, max_size=5))
    endings = ["flatten", "mean", "map", "adaptive", "rows", "two_heads"]
    return Plan(shape, tuple(steps), draw(st.sampled_from(endings)))


PLAIN: dict[str, Any] = {
    "relu": F.relu, "relu6": F.relu6, "silu": F.silu, "hardswish": F.hardswish,
    "hardsigmoid": F.hardsigmoid, "tanh": torch.tanh, "sigmoid": torch.sigmoid,
    "leaky": lambda v: F.leaky_relu(v, 0.2), "affine": lambda v: (v - 0.25) * 1.5,
}  # fmt: skip


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
        if x.ndim == 3:
            return self.step_1d(x, f"s{i}", kind, a, b, d)
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
        if kind in PLAIN:
            return PLAIN[kind](x)
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
        if kind == "inception":
            one = F.relu(self.part(key, lambda: nn.Conv2d(c, b, 1))(x))
            two = self.part(f"{key}b", lambda: nn.Conv2d(c, a, 3, padding=1))(x)
            return torch.cat([one, two, F.max_pool2d(x, 3, 1, 1)], 1)
        if kind == "broadcast":
            low = self.part(key, lambda: nn.Conv2d(c, 1, 1))(x)
            return x - low.mean((2, 3), keepdim=True) if a % 2 else x * low + x.mean(1, True)
        if kind == "adaptive" and small > 3:
            return F.adaptive_avg_pool2d(x, (1 + a % small, 1 + b % small))
        if kind == "turn":
            return x.transpose(2, 3) if a % 2 else x.permute(0, 2, 3, 1).permute(0, 3, 1, 2)
        return x

    def step_1d(self, x: torch.Tensor, key: str, kind: str, a: int, b: int, d: int) -> torch.Tensor:
        c, n = x.shape[1:]
        if kind in ("conv", "even"):
            k = min(a, n)
            return self.part(key, lambda: nn.Conv1d(c, b, k, padding=d % k))(x)
        if kind == "strided" and n > 3:
            return self.part(key, lambda: nn.Conv1d(c, b, 3, stride=2 + d % 2, padding=1))(x)
        if kind == "dilated" and n > 5:
            y = F.pad(x, (4, 0)) if a % 2 else x
            return self.part(key, lambda: nn.Conv1d(c, b, 3, dilation=2))(y)
        if kind == "grouped" and c % 2 == 0:
            return self.part(key, lambda: nn.Conv1d(c, 2 * b, 1 + a % 2, groups=2))(x)
        if kind == "depthwise":
            y = self.part(key, lambda: nn.Conv1d(c, c * (1 + b % 2), 3, padding=1, groups=c))
            return y(x)
        if kind == "bn":
            return self.part(key, lambda: nn.BatchNorm1d(c))(x)
        if kind == "prelu":
            return self.part(key, lambda: nn.PReLU(c))(x)
        if kind in PLAIN:
            return PLAIN[kind](x)
        if kind in ("maxpool", "ceil") and n > 2:
            return F.max_pool1d(x, 2, ceil_mode=kind == "ceil")
        if kind == "maxpool_pad" and n > 2:
            return F.max_pool1d(x, 3, stride=2, padding=1)
        if kind == "avgpool" and n > 3:
            return F.avg_pool1d(x, 3, stride=1 + a % 2, padding=b % 2)
        if kind == "adaptive":
            return F.adaptive_avg_pool1d(x, 1 + a % n)
        if kind == "up" and n < 30:
            return F.interpolate(x, scale_factor=2.0)
        if kind == "residual":
            return x + F.relu(self.part(key, lambda: nn.Conv1d(c, c, 3, padding=1))(x))
        if kind == "concat":
            y = self.part(key, lambda: nn.Conv1d(c, b, 1))(x)
            return torch.cat([y, x] if a % 2 else [x, y], 1)
        if kind == "squeeze":
            gate = self.part(key, lambda: nn.Conv1d(c, c, 1))(x.mean(2, keepdim=True))
            return x * torch.sigmoid(gate)
        if kind == "split_swap" and c > 1:
            one, *rest = x.chunk(2, 1)
            return torch.cat([*rest, F.relu(one)], 1)
        if kind == "shuffle" and c % 2 == 0:
            return x.view(x.shape[0], 2, c // 2, n).transpose(1, 2).reshape(-1, c, n)
        if kind == "slice" and n > 4:
            return x[:, :, 1 : n - a % 2 : 1 + b % 2]
        if kind == "pad":
            return F.pad(x, (a % 3, b % 3))
        return x

    def forward(self, x: torch.Tensor) -> Any:
        for i, (kind, a, b, d) in enumerate(self.plan.steps):
            x = self.step(x, i, kind, a, b, d)
        if self.plan.ending == "map":
            return x
        if self.plan.ending == "rows":
            x = x.mean(-1)
        elif self.plan.ending == "adaptive":
            x = (F.adaptive_avg_pool2d if x.ndim == 4 else F.adaptive_avg_pool1d)(x, 1)
        elif self.plan.ending == "mean":
            x = x.flatten(2).mean(2)
        x = x.flatten(1)
        y = self.part("head", lambda: nn.Linear(x.shape[1], 3))(x)
        if self.plan.ending == "two_heads":
            return y, torch.sigmoid(self.part("second", lambda: nn.Linear(x.shape[1], 2))(x))
        return y


def drawn(few: int) -> Any:
    """Settings of a generative test."""
    return settings(
        max_examples=int(EXAMPLES or few),
        deadline=None,
        derandomize=EXAMPLES is None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )


def brought_over(plan: Plan, inputs: list[np.ndarray]) -> Lifted:
    """The lifted network, which agrees with PyTorch."""
    torch.manual_seed(0)
    network = lively(Drawn(plan))
    lifted = lift(export(network, [plan.shape]))
    difference = relative_difference(run_lifted(lifted, inputs), run_torch(network, inputs))
    if difference > FLOAT_BOUND:  # flat outputs: not more than float32 itself loses
        assert difference <= 8 * own_rounding(network, inputs)
    turned = any(kind == "turn" for kind, *_ in plan.steps)
    assert turned or lifted.transposes == ()
    return lifted


@pytest.mark.slow
@drawn(20)
@given(plans())
def test_drawn_networks_agree(plan: Plan) -> None:
    brought_over(plan, samples([plan.shape], 3))


@pytest.mark.slow
@drawn(6)
@given(plans())
def test_drawn_networks_agree_in_int8(plan: Plan) -> None:
    arrays = samples([plan.shape], 32)
    lifted = brought_over(plan, arrays)
    inputs = lifted.to_physical(arrays)
    model = lifted.model
    if not qat.refusal(model):
        model = qat.simulate(model, ranges.measure(model, inputs, clip=ranges.extremes))
    content = in_our_order(quantize.to_tflite(model, inputs))
    graph = read_tflite(content)
    check_operators(graph)
    check.check_structure(graph, len(lifted.transposes))
    outputs = tflm.run(content, tflm.quantize_inputs(graph, inputs))
    wanted = run_keras(lifted.model, inputs)
    real = tflm.dequantize_outputs(graph, outputs)
    for index, got, want in zip(graph.outputs, real, wanted, strict=True):
        noise = float(np.sqrt(np.square(got.reshape(want.shape) - want).mean()))
        scale = graph.tensor(index).quantization.scale
        assert noise <= max(FOLLOWS * float(want.std()), scale)
