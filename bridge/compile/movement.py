"""Operators that only move values: each as indices from and to, see :mod:`bridge.compile.loops`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bridge.compile.loops import Indices, Loop, copies, indices
from bridge.compile.places import VIEW_ALIGNMENT
from bridge.compile.quantization import quantization
from bridge.compile.steps import Shape, Step
from bridge.compile.target import Target, constant_input, plain_plan, required
from bridge.errors import UnsupportedOperator
from bridge.graph import Graph, Operator, Tensor
from bridge.graph.model import Array

MOST_PLACES = 1 << 16
"""Rows or columns that ``snn_pick_s8`` can name."""


def reshape(graph: Graph, operator: Operator, target: Target) -> Step:
    """RESHAPE, SQUEEZE and EXPAND_DIMS move nothing."""
    return Step(
        kernel="",
        inputs=operator.inputs[:1],
        outputs=operator.outputs,
        plan=plain_plan(operator, "", {}),
        views={0: 0},
    )


def rearrange(graph: Graph, operator: Operator, target: Target) -> Step:
    """Operators from one tensor whose outputs are made of its values."""
    position = 1 if operator.kind == "SPLIT" else 0
    source = required(graph, operator, position)
    shapes = [graph.tensor(index).shape for index in operator.outputs]
    given = _REARRANGE[operator.kind](graph, operator, indices(source.shape))
    views: dict[int, int] = {}
    moves: list[dict[str, Any]] = []
    for place, (part, shape) in enumerate(zip(given, shapes, strict=True)):
        if part.size != int(np.prod(shape, dtype=np.int64)):
            raise UnsupportedOperator(f"{operator.kind} to {shape}", operator.name)
        flat = part.reshape(-1)
        first = int(flat[0]) if flat.size else 0
        straight = np.array_equal(flat, np.arange(first, first + flat.size))
        if straight and first % VIEW_ALIGNMENT == 0 and source.data is None:
            views[place] = first
        else:
            moves += _moves(operator, 0, place, part, indices(part.shape))
    return _copy(operator, (source,), moves, views)


def concatenate(graph: Graph, operator: Operator, target: Target) -> Step:
    """CONCATENATION and PACK, of tensors with one quantization, as TFLM demands."""
    output = graph.output(operator)
    axis = int(operator.options["axis"]) % len(output.shape)
    places = indices(output.shape)
    moves: list[dict[str, Any]] = []
    sources = []
    first = 0
    for position in range(len(operator.inputs)):
        tensor = required(graph, operator, position)
        _same_scale(operator, tensor, output)
        size = 1 if operator.kind == "PACK" else tensor.shape[axis]
        part = np.take(places, range(first, first + size), axis)
        part = part.reshape(tensor.shape)
        moves += _moves(operator, position, 0, indices(tensor.shape), part)
        sources.append(tensor)
        first += size
    return _copy(operator, sources, moves, {})


def pad(graph: Graph, operator: Operator, target: Target) -> Step:
    """PAD and PADV2: the whole output is filled, then the input copied into it."""
    source, output = required(graph, operator), graph.output(operator)
    paddings = constant_input(graph, operator, 1).reshape(-1, 2)
    value = quantization(output).zero_point
    real = 0.0
    if operator.kind == "PADV2" and len(operator.inputs) > 2:
        value = int(constant_input(graph, operator, 2).reshape(-1)[0])
        how = quantization(output)
        real = how.scale * (value - how.zero_point)
    inner = tuple(
        slice(int(before), int(before) + size)
        for (before, _), size in zip(paddings, source.shape, strict=True)
    )
    moves = _moves(operator, 0, 0, indices(source.shape), indices(output.shape)[inner])
    step = _copy(operator, (source,), moves, {})
    fill = {"value": value, "real": real, "size": output.elements}
    return Step(
        kernel="copy_s8",
        inputs=step.inputs,
        outputs=step.outputs,
        plan=step.plan,
        parameters={**step.parameters, "fill": fill},
        constants=step.constants,
    )


def pick(graph: Graph, operator: Operator, target: Target) -> Step:
    """GATHER, MIRROR_PAD, RESIZE_NEAREST_NEIGHBOR: rows and columns by tables of indices."""
    source, output = required(graph, operator), graph.output(operator)
    place, rows, columns = _PICK[operator.kind](graph, operator, source, output)
    depth = place.c
    if max(place.h, place.w) > MOST_PLACES:
        raise UnsupportedOperator(f"{operator.kind} of {source.shape}", operator.name)
    tables: dict[str, Array] = {
        "rows": np.array(rows, dtype=np.uint16),
        "columns": np.array(columns, dtype=np.uint16),
    }
    constants = dict(tables)
    if source.data is not None:
        constants["input0"] = source.data
    return Step(
        kernel="pick_s8",
        inputs=(-1 if source.data is not None else source.index,),
        outputs=operator.outputs,
        plan=plain_plan(operator, "snn_pick_s8", constants),
        parameters={"source": place, "target": Shape(len(rows), len(columns), depth)},
        constants=constants,
    )


def _same_scale(operator: Operator, tensor: Tensor, output: Tensor) -> None:
    a, b = quantization(tensor), quantization(output)
    if tensor.dtype != "int8" or (a.scales, a.zero_points) != (b.scales, b.zero_points):
        raise UnsupportedOperator(
            f"{operator.kind} of unlike scales", operator.name, hint="TFLite Micro refuses it too"
        )


def _moves(
    operator: Operator, source: int, target: int, given: Indices, wanted: Indices
) -> list[dict[str, Any]]:
    loops = copies(given, wanted)
    if loops is None:
        raise UnsupportedOperator(f"{operator.kind} over this many dimensions", operator.name)
    return [{"input": source, "output": target, "loop": loop} for loop in loops]


def _copy(
    operator: Operator,
    sources: Sequence[Tensor],
    moves: Sequence[Mapping[str, Any]],
    views: Mapping[int, int],
) -> Step:
    constants: dict[str, Array] = {
        f"input{i}": t.data for i, t in enumerate(sources) if t.data is not None
    }
    loops: list[Loop] = [move["loop"] for move in moves]
    function = "snn_copy_s8" if any(not loop.contiguous for loop in loops) else "memcpy"
    return Step(
        kernel="copy_s8",
        inputs=tuple(-1 if t.data is not None else t.index for t in sources),
        outputs=operator.outputs,
        plan=plain_plan(operator, function if moves else "", constants),
        parameters={"moves": list(moves)},
        constants=constants,
        views=views,
    )


def _transpose(graph: Graph, operator: Operator, given: Indices) -> list[Indices]:
    return [given.transpose([int(i) for i in constant_input(graph, operator, 1)])]


def _slice(graph: Graph, operator: Operator, given: Indices) -> list[Indices]:
    first, size = (constant_input(graph, operator, i).reshape(-1) for i in (1, 2))
    return [
        given[
            tuple(
                slice(int(f), n if s < 0 else int(f) + int(s))
                for f, s, n in zip(first, size, given.shape, strict=True)
            )
        ]
    ]


def _strided_slice(graph: Graph, operator: Operator, given: Indices) -> list[Indices]:
    options = operator.options
    if options.get("ellipsis_mask") or options.get("new_axis_mask"):
        raise UnsupportedOperator("STRIDED_SLICE with ellipsis or new axis", operator.name)
    first, last, step = (constant_input(graph, operator, i).reshape(-1) for i in (1, 2, 3))
    index: list[Any] = []
    for axis in range(len(first)):
        begin, end, stride = int(first[axis]), int(last[axis]), int(step[axis])
        bit = 1 << axis
        if int(options.get("shrink_axis_mask", 0)) & bit:
            index.append(begin)
            continue
        if options.get("offset"):
            end += begin
        open_begin = int(options.get("begin_mask", 0)) & bit
        open_end = int(options.get("end_mask", 0)) & bit
        index.append(slice(None if open_begin else begin, None if open_end else end, stride))
    return [given[tuple(index)]]


def _split(graph: Graph, operator: Operator, given: Indices) -> list[Indices]:
    if operator.kind == "SPLIT":
        axis = int(constant_input(graph, operator, 0).reshape(-1)[0])
    elif operator.kind == "SPLIT_V":
        axis = int(constant_input(graph, operator, 2).reshape(-1)[0])
    else:
        axis = int(operator.options["axis"])
    shapes = [graph.tensor(index).shape for index in operator.outputs]
    sizes = [1 if operator.kind == "UNPACK" else shape[axis] for shape in shapes]
    return list(np.split(given, np.cumsum(sizes)[:-1], axis))


def _space(graph: Graph, operator: Operator, given: Indices) -> list[Indices]:
    block = int(operator.options["block_size"])
    n, h, w, c = given.shape
    if operator.kind == "SPACE_TO_DEPTH":
        parts = given.reshape(n, h // block, block, w // block, block, c)
    else:
        parts = given.reshape(n, h, w, block, block, c // block**2)
    return [parts.transpose(0, 1, 3, 2, 4, 5)]


_REARRANGE: Mapping[str, Callable[[Graph, Operator, Indices], list[Indices]]] = {
    "TRANSPOSE": _transpose,
    "SLICE": _slice,
    "STRIDED_SLICE": _strided_slice,
    "SPLIT": _split,
    "SPLIT_V": _split,
    "UNPACK": _split,
    "SPACE_TO_DEPTH": _space,
    "DEPTH_TO_SPACE": _space,
}

Picked = tuple[Shape, Sequence[int], Sequence[int]]


def _gather(graph: Graph, operator: Operator, source: Tensor, output: Tensor) -> Picked:
    axis = int(operator.options.get("axis", 0)) % len(source.shape)
    if int(operator.options.get("batch_dims", 0)):
        raise UnsupportedOperator("GATHER with batch dimensions", operator.name)
    chosen = [int(i) for i in constant_input(graph, operator, 1).reshape(-1)]
    outer = int(np.prod(source.shape[:axis], dtype=np.int64))
    inner = int(np.prod(source.shape[axis + 1 :], dtype=np.int64))
    return Shape(outer, source.shape[axis], inner), range(outer), chosen


def _nearest(graph: Graph, operator: Operator, source: Tensor, output: Tensor) -> Picked:
    """tensorflow/lite/kernels/internal/reference/resize_nearest_neighbor.h, in float32."""
    corners = bool(operator.options.get("align_corners"))
    half = np.float32(0.5 if operator.options.get("half_pixel_centers") else 0.0)

    def rows(size: int, wanted: int) -> list[int]:
        if corners and wanted > 1:
            scale = np.float32(size - 1) / np.float32(wanted - 1)
        else:
            scale = np.float32(size) / np.float32(wanted)
        at = (np.arange(wanted, dtype=np.float32) + half) * scale
        whole = np.floor(at.astype(np.float64) + 0.5) if corners else np.floor(at)
        return [min(max(int(i), 0), size - 1) for i in whole]

    _, h, w, c = source.shape
    _, wanted_h, wanted_w, _ = output.shape
    return Shape(h, w, c), rows(h, wanted_h), rows(w, wanted_w)


def _mirror(graph: Graph, operator: Operator, source: Tensor, output: Tensor) -> Picked:
    paddings = constant_input(graph, operator, 1).reshape(-1, 2)
    axes = [axis for axis, pads in enumerate(paddings) if pads.any()] or [len(source.shape) - 1]
    first, last = axes[0], axes[-1]
    outer = math.prod(source.shape[:first])
    if last - first > 1 or (last > first and outer > 1):
        raise UnsupportedOperator("MIRROR_PAD of dimensions far apart", operator.name)
    reflect = operator.options["mode"] == "REFLECT"

    def mirrored(axis: int) -> list[int]:
        size, (before, after) = source.shape[axis], (int(p) for p in paddings[axis])
        skip = 1 if reflect else 0  # whether the edge itself is repeated
        front = range(before - 1 + skip, skip - 1, -1)
        back = range(size - 1 - skip, size - 1 - skip - after, -1)
        return [*front, *range(size), *back]

    inner = math.prod(source.shape[last + 1 :])
    rows = mirrored(first) if last > first else range(outer)
    height = source.shape[first] if last > first else outer
    return Shape(height, source.shape[last], inner), rows, mirrored(last)


_PICK: Mapping[str, Callable[[Graph, Operator, Tensor, Tensor], Picked]] = {
    "GATHER": _gather,
    "RESIZE_NEAREST_NEIGHBOR": _nearest,
    "MIRROR_PAD": _mirror,
}
