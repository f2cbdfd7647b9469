"""One layer in many formats as one C program, to check and to count kernel against kernel."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bridge.compile.emit import constant
from bridge.compile.formats import Stored, Weighted
from bridge.compile.program import CProgram, LayerPlan
from bridge.compile.steps import Step
from bridge.graph.model import Array
from bridge.text import environment

PREFIX = "kernels"


@dataclass(frozen=True, eq=False)
class Case:
    """A layer, stored in one format.

    Attributes:
        layer: the layer with its weights.
        format: the format's name, for tables.
        stored: what the format made of it.
    """

    layer: Weighted
    format: str
    stored: Stored

    @property
    def input_bytes(self) -> int:
        """Bytes of the input."""
        return self.layer.source.h * self.layer.source.w * self.layer.source.c

    @property
    def output_bytes(self) -> int:
        """Bytes of the output."""
        return self.layer.target.h * self.layer.target.w * self.layer.target.c

    @property
    def constants(self) -> dict[str, Array]:
        """All arrays in flash, requantization tables included."""
        return self.stored.with_requantization(self.layer)

    @property
    def weight_bytes(self) -> int:
        """Flash of weights and per-channel tables."""
        return sum(int(array.nbytes) for array in self.constants.values())


def kernel_program(
    cases: Sequence[Case], *, defines: Sequence[str] = (), tolerant: bool = False
) -> CProgram:
    """A program whose input is the number of a case (int32) and that case's input.

    Args:
        cases: at least one.
        defines: how to compile the library: ``SNN_CHECKED``, ``SNN_PORTABLE``.
        tolerant: a kernel's status becomes the first output byte instead of the program's end.
    """
    constants = []
    calls = []
    for index, case in enumerate(cases):
        names = {}
        for role, array in case.constants.items():
            names[role] = f"case{index}_{role}"
            constants.append(constant(names[role], array))
        step = Step(
            kernel=case.stored.kernel,
            inputs=(0,),
            outputs=(1,),
            plan=LayerPlan(f"case {index}", case.layer.kind, case.stored.function),
            parameters={
                "source": case.layer.source,
                "target": case.layer.target,
                "window": case.layer.window,
                "groups": case.layer.groups,
                "multiplier": case.layer.target.c // case.layer.source.c,
                "quant": case.layer.quant,
                **case.stored.parameters,
            },
            constants=case.constants,
            scratch=case.stored.scratch,
        )
        call: dict[str, Any] = {
            "index": index,
            "step": step,
            "constants": names,
            "sizes": {role: int(array.size) for role, array in case.constants.items()},
            "inputs": [f"input{index}"],
            "outputs": [f"output{index}"],
            "scratch": f"scratch{index}" if case.stored.scratch else "NULL",
        }
        calls.append({**call, "input_bytes": case.input_bytes, "output_bytes": case.output_bytes})
    uses_cmsis = any(case.stored.kernel.startswith("cmsis_") for case in cases)
    input_bytes = 4 + max(case.input_bytes for case in cases)
    output_bytes = max(case.output_bytes for case in cases)
    context = {
        "constants": constants,
        "calls": calls,
        "prefix": PREFIX,
        "graph": "the kernel bench",
        "cmsis": uses_cmsis,
        "tolerant": tolerant,
        "input_bytes": input_bytes,
        "output_bytes": output_bytes,
        "scratch": max(case.stored.scratch for case in cases),
    }
    files = {
        f"{PREFIX}.h": "kernels.h.j2",
        f"{PREFIX}.c": "kernels.c.j2",
        f"{PREFIX}_weights.h": "weights.h.j2",
        f"{PREFIX}_weights.c": "weights.c.j2",
    }
    templates = environment("bridge.compile")
    return CProgram(
        prefix=PREFIX,
        engine="kernels",
        files={name: templates.get_template(file).render(context) for name, file in files.items()},
        defines=tuple(defines),
        library=("sparse_nn", "cmsis_nn") if uses_cmsis else ("sparse_nn",),
        arena_bytes=input_bytes + output_bytes,
    )


def kernel_input(cases: Sequence[Case], index: int, activations: Array) -> bytes:
    """The program's input for one case."""
    size = 4 + max(case.input_bytes for case in cases)
    return (struct.pack("<i", index) + activations.astype(np.int8).tobytes()).ljust(size, b"\0")


def reference(case: Case, activations: Array) -> Array:
    """What every kernel must give: TFLite's arithmetic in int64, ``[h, w, out]`` int8."""
    layer = case.layer
    w = layer.window
    x = activations.reshape(layer.source.h, layer.source.w, layer.source.c).astype(np.int64)
    x = x + case.layer.quant["input_offset"]
    out = layer.target
    ys = np.arange(out.h)[:, None] * w.stride_h - w.pad_top
    xs = np.arange(out.w)[:, None] * w.stride_w - w.pad_left
    ys = ys + np.arange(w.kernel_h) * w.dilation_h
    xs = xs + np.arange(w.kernel_w) * w.dilation_w
    inside_y = (ys >= 0) & (ys < layer.source.h)
    inside_x = (xs >= 0) & (xs < layer.source.w)
    patches = x[np.clip(ys, 0, layer.source.h - 1)[:, None, :, None],
                np.clip(xs, 0, layer.source.w - 1)[None, :, None, :]]  # fmt: skip
    patches = patches * (inside_y[:, None, :, None] & inside_x[None, :, None, :])[..., None]
    weights = layer.weights.astype(np.int64)
    if layer.kind == "DEPTHWISE_CONV_2D":
        multiplier = out.c // layer.source.c
        sums = np.einsum("yxhwc,hwc->yxc", np.repeat(patches, multiplier, axis=-1), weights[0])
    elif layer.groups > 1:
        depth, share = layer.source.c // layer.groups, out.c // layer.groups
        sums = np.concatenate(
            [
                np.einsum(
                    "yxhwc,ohwc->yxo",
                    patches[..., g * depth : (g + 1) * depth],
                    weights[g * share : (g + 1) * share],
                )
                for g in range(layer.groups)
            ],
            axis=-1,
        )
    else:
        sums = patches.reshape(out.h * out.w, -1) @ weights.reshape(out.c, -1).T
        sums = sums.reshape(out.h, out.w, out.c)
    if layer.bias is not None:
        sums = sums + layer.bias.astype(np.int64)
    return requantize(sums, layer.multiplier, layer.shift, case.layer.quant)


def requantize(sums: Array, multiplier: Array, shift: Array, quant: dict[str, int]) -> Array:
    """TFLite's two roundings, channel last."""
    left = np.maximum(shift, 0).astype(np.int64)
    right = np.maximum(-shift, 0).astype(np.int64)
    high = ((sums << left) * multiplier.astype(np.int64) + (1 << 30)) >> 31
    mask = (1 << right) - 1
    up = (high & mask) > (mask >> 1) + (high < 0)
    value = (high >> right) + up + quant["output_offset"]
    return np.clip(value, quant["activation_min"], quant["activation_max"]).astype(np.int8)
